"""uvicorn with our WebSocket in it, over a real socket, spoken to frame by frame."""

import asyncio
import os
import struct
from contextlib import asynccontextmanager

import pytest
import websockets

from ringmain.apps.server import websocket_server
from ringmain.apps.server.doors import FIXED_HEADER_BYTES_MAX, http_server, with_websockets
from ringmain.apps.sockets import tcp_socket
from ringmain.transports.websocket import WebSocketEndpoint

PACKET = 100_000
BINARY, CONT, CLOSE, PING, PONG = 2, 0, 8, 9, 10


class Protocol(asyncio.Protocol):
    def __init__(self):
        self.heard, self.transport, self.lost = [], None, asyncio.Event()

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.heard.append(data)

    def connection_lost(self, exc):
        self.lost.set()


async def plain(scope, receive, send):
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def serving():
    """The port, and the protocols behind every WebSocket."""
    protocols = []

    def protocol():
        protocols.append(Protocol())
        return protocols[-1]

    app = with_websockets(plain, {"/mqtt": WebSocketEndpoint(protocol, "mqtt")})
    server = http_server(app, packet_bytes_max=PACKET)
    socket = tcp_socket("127.0.0.1", 0, "http.port")
    socket.listen()
    task = asyncio.create_task(server.serve(sockets=[socket]))
    while not server.started:
        await asyncio.sleep(0.005)
    try:
        yield socket.getsockname()[1], protocols
    finally:
        server.should_exit = True
        await task


HANDSHAKE = (
    b"GET /mqtt HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n"
    b"Sec-WebSocket-Extensions: permessage-deflate\r\n\r\n"
)


async def raw(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HANDSHAKE)
    answer = await reader.readuntil(b"\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 101")
    return answer, reader, writer


def frame(opcode, payload=b"", *, fin=True, length=None):
    """A client's frame; its mask is zero, so that the payload stands as it is."""
    length = len(payload) if length is None else length
    first = bytes([(128 if fin else 0) | opcode])
    if length < 126:
        size = bytes([128 | length])
    elif length < 65_536:
        size = bytes([128 | 126]) + struct.pack("!H", length)
    else:
        size = bytes([128 | 127]) + struct.pack("!Q", length)
    return first + size + bytes(4) + payload


async def answered(reader):
    """(opcode, payload) of a server's short frame."""
    first, length = await reader.readexactly(2)
    return first & 15, await reader.readexactly(length)


async def until(condition):
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


async def test_nothing_is_deflated():
    async with serving() as (port, _):
        answer, _, writer = await raw(port)
        assert b"extensions" not in answer.lower()
        writer.close()


async def test_what_one_read_brings_is_handed_on_together_in_order():
    async with serving() as (port, protocols):
        _, _, writer = await raw(port)
        writer.write(b"".join(frame(BINARY, b"%d," % n) for n in range(1000)) + frame(BINARY, b"end") + frame(CLOSE))
        await until(lambda: protocols and protocols[0].lost.is_set())
        heard = protocols[0].heard
        assert b"".join(heard) == b"".join(b"%d," % n for n in range(1000)) + b"end"
        assert len(heard) <= 2, "one call for a read, not for a frame"
        writer.close()


async def test_a_message_in_pieces_and_empty_ones():
    async with serving() as (port, protocols):
        _, reader, writer = await raw(port)
        pieces = [frame(BINARY, b"a", fin=False), frame(CONT, b"", fin=False), frame(PING, b"p"), frame(CONT, b"b")]
        for piece in [*pieces, frame(BINARY), frame(BINARY, b"c")]:
            writer.write(piece)
            await asyncio.sleep(0.01)
        await until(lambda: b"".join(protocols[0].heard) == b"abc")
        assert await answered(reader) == (PONG, b"p")
        assert b"" not in protocols[0].heard
        writer.close()


async def closed_with(reader):
    opcode, payload = await answered(reader)
    assert opcode == CLOSE
    return struct.unpack("!H", payload[:2])[0]


async def test_a_message_that_is_too_large_is_refused_by_its_header():
    async with serving() as (port, protocols):
        _, reader, writer = await raw(port)
        largest = os.urandom(PACKET + FIXED_HEADER_BYTES_MAX)
        writer.write(frame(BINARY, largest))
        await until(lambda: b"".join(protocols[0].heard) == largest)
        writer.write(frame(BINARY, length=len(largest) + 1))
        assert await closed_with(reader) == 1009
        await until(protocols[0].lost.is_set)
        writer.close()


async def test_so_is_one_in_pieces():
    async with serving() as (port, protocols):
        _, reader, writer = await raw(port)
        writer.write(frame(BINARY, bytes(PACKET), fin=False) + frame(CONT, length=FIXED_HEADER_BYTES_MAX + 1))
        assert await closed_with(reader) == 1009
        await until(protocols[0].lost.is_set)
        assert protocols[0].heard == []
        writer.close()


async def test_a_message_of_ever_more_pieces_ends():
    async with serving() as (port, protocols):
        _, reader, writer = await raw(port)
        empty = frame(CONT, fin=False)
        writer.write(frame(BINARY, fin=False) + empty * (websocket_server.FRAMES_MAX + 50))
        assert await closed_with(reader) == 1008
        await until(protocols[0].lost.is_set)
        writer.close()


async def test_writing_after_the_peer_broke_the_standard_harms_nobody():
    async with serving() as (port, protocols):
        _, reader, writer = await raw(port)
        await until(lambda: protocols)
        protocols[0].transport.pause_reading()
        writer.write(frame(BINARY, b"x"))
        await asyncio.sleep(0.05)
        writer.write(frame(BINARY, length=PACKET * 2))
        await asyncio.sleep(0.05)
        protocols[0].transport.resume_reading()
        protocols[0].transport.write(b"late")
        assert await closed_with(reader) == 1009
        await until(protocols[0].lost.is_set)
        writer.close()


async def test_a_peer_that_does_not_read_is_cut(monkeypatch):
    monkeypatch.setattr(websocket_server, "CLOSE_DEADLINE_S", 0.1)
    async with serving() as (port, protocols):
        _, _, writer = await raw(port)
        writer.transport.pause_reading()
        await until(lambda: protocols)
        transport = protocols[0].transport
        transport.close()
        await until(protocols[0].lost.is_set)
        await asyncio.sleep(0.3)
        writer.transport.resume_reading()
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            for _ in range(20):
                writer.write(frame(PING))
                await writer.drain()
                await asyncio.sleep(0.02)
        writer.close()


@pytest.mark.slow
@pytest.mark.parametrize("piece", [frame(1, b"{}"), frame(1, b"\xff"), frame(3)])
async def test_what_is_no_binary_frame_ends_it(piece):
    async with serving() as (port, protocols):
        _, reader, writer = await raw(port)
        writer.write(piece)
        assert await closed_with(reader) in {1002, 1003, 1007}
        await until(protocols[0].lost.is_set)
        writer.close()


async def test_abort_cuts_the_socket():
    async with serving() as (port, protocols):
        _, reader, writer = await raw(port)
        await until(lambda: protocols)
        protocols[0].transport.write(bytes(30_000_000))
        await asyncio.sleep(0.05)
        protocols[0].transport.abort()
        async with asyncio.timeout(5):
            assert len(await reader.read()) < 30_000_000
        assert protocols[0].lost.is_set()
        writer.close()


@pytest.mark.parametrize("path", ["/mqtt/", "/other"])
async def test_there_is_nothing_at_another_path(path):
    seen = []

    async def api(scope, receive, send):
        seen.append(scope["path"])

    app = with_websockets(api, {"/mqtt": None})
    await app({"type": "http", "path": path}, None, None)
    assert seen == [path]


async def test_a_client_library_is_content():
    async with (
        serving() as (port, protocols),
        websockets.connect(f"ws://127.0.0.1:{port}/mqtt", subprotocols=["mqtt"]) as client,
    ):
        assert client.subprotocol == "mqtt"
        await client.send(b"hello")
        await until(lambda: protocols and protocols[0].heard == [b"hello"])
        protocols[0].transport.write(b"there")
        assert await client.recv() == b"there"
        assert await (await client.ping()) >= 0
        protocols[0].transport.close()
        with pytest.raises(websockets.ConnectionClosedOK):
            await client.recv()
