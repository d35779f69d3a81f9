"""A byte stream in the binary frames of a WebSocket (RFC 6455), as an asyncio transport over ASGI: a `StreamDriver`, or
any other `asyncio.Protocol`, runs behind it as behind a TCP socket.

It must never look into the bytes, nor take a frame's end for the end of anything: one frame may hold several packets of
the protocol inside, or a part of one [MQTT-6.0.0-2]. A frame of text ends the connection with 1003 [MQTT-6.0.0-1].

Who serves ASGI bounds the size of a message before it is in memory, answers pings, and closes the socket behind us.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

log = logging.getLogger(__name__)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

READ_BYTES_MAX = 262_144
"""Handed on at a time, and between two of them whoever reads may have said stop: what uvloop reads from a TCP socket at
most. A machine that reckons with one more read after `pause_reading` need not know whether a frame is larger."""

HIGH_WATER_BYTES = 65_536
"""Unsent bytes at which a writer is told to pause, unless it sets another limit: asyncio's own."""

NORMAL, UNACCEPTABLE_DATA, INTERNAL_ERROR = 1000, 1003, 1011
"""RFC 6455 §7.4.1."""

CUT = "ringmain.cut"
"""ASGI extension: `scope["extensions"][CUT]["now"]` closes the socket at once, whatever is unsent. ASGI itself has no
word for that, and a peer that does not read would keep its socket for as long as it likes."""


class WebSocketTransport(asyncio.Transport):
    """One accepted WebSocket. `run` calls the protocol's `connection_made`, `data_received` and `connection_lost` in
    that order, and returns when all is over.
    """

    def __init__(
        self, protocol: asyncio.Protocol, extra: Mapping[str, object], cut: Callable[[], None] = lambda: None
    ) -> None:
        super().__init__(dict(extra))
        self._protocol = protocol
        self._cut = cut
        self._lost: Exception | None = None
        self._closing = False
        self._close_code = NORMAL
        self._over = asyncio.Event()
        self._may_read = asyncio.Event()
        self._may_read.set()
        self._something_to_do = asyncio.Event()
        self._unsent: list[bytes] = []
        self._unsent_bytes = 0
        self._writing_paused = False
        self.set_write_buffer_limits()

    async def run(self, receive: Receive, send: Send) -> None:
        """From the accepted handshake to the end."""
        self._protocol.connection_made(self)
        try:
            async with asyncio.TaskGroup() as tasks:
                sides = [tasks.create_task(self._read(receive)), tasks.create_task(self._write(send))]
                await self._over.wait()
                for side in sides:
                    side.cancel()
        finally:
            self._closing = True
            self._protocol.connection_lost(self._lost)

    # -- what the protocol asks for -------------------------------------------------------------------------

    def get_protocol(self) -> asyncio.BaseProtocol:
        """Who is told."""
        return self._protocol

    def is_closing(self) -> bool:
        """Whether it is closed, or will be as soon as all is sent."""
        return self._closing

    def can_write_eof(self) -> bool:
        """There is no half of it that could be closed."""
        return False

    def is_reading(self) -> bool:
        """Whether what comes is handed on."""
        return self._may_read.is_set() and not self._closing

    def pause_reading(self) -> None:
        """Hand nothing on; the socket is not read either as soon as one message waits."""
        self._may_read.clear()

    def resume_reading(self) -> None:
        """Hand on again."""
        self._may_read.set()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        """As asyncio's: above `high` unsent bytes the protocol pauses, from `low` on it resumes."""
        self._high = HIGH_WATER_BYTES if high is None else high
        self._low = self._high // 4 if low is None else low

    def get_write_buffer_size(self) -> int:
        """Bytes that are not sent yet."""
        return self._unsent_bytes

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send in a binary frame; what is written before that leaves goes in the same."""
        if self._closing or not data:
            return
        self._unsent.append(bytes(data))
        self._unsent_bytes += len(data)
        self._something_to_do.set()
        if self._unsent_bytes > self._high and not self._writing_paused:
            self._writing_paused = True
            self._protocol.pause_writing()

    def close(self) -> None:
        """Send what is unsent, then the closing handshake; nothing more is handed on."""
        if not self._closing:
            self._closing = True
            self._may_read.set()
            self._something_to_do.set()

    def abort(self) -> None:
        """At once; what is unsent is gone."""
        self._closing = True
        self._cut()
        self._over.set()

    # -- the two sides --------------------------------------------------------------------------------------

    async def _read(self, receive: Receive) -> None:
        while not self._closing:
            message = await receive()
            if message["type"] == "websocket.disconnect":
                self._over.set()
                return
            data = message.get("bytes")
            if data is None:
                self._end(UNACCEPTABLE_DATA, ValueError("a text frame where bytes are spoken"))
                return
            await self._hand_on(data)

    async def _hand_on(self, data: bytes) -> None:
        for at in range(0, len(data), READ_BYTES_MAX):
            await self._may_read.wait()
            if self._closing:
                return
            try:
                self._protocol.data_received(data[at : at + READ_BYTES_MAX])
            except Exception as error:
                log.exception("a protocol in a WebSocket failed; its connection is closed")
                self._end(INTERNAL_ERROR, error)
        await self._may_read.wait()

    async def _write(self, send: Send) -> None:
        try:
            while not self._closing or self._unsent:
                await self._something_to_do.wait()
                self._something_to_do.clear()
                if self._unsent:
                    await self._send(send)
            await send({"type": "websocket.close", "code": self._close_code})
        except OSError as error:  # ASGI 2.4: the peer is gone
            self._lost = self._lost or error
        self._over.set()

    async def _send(self, send: Send) -> None:
        data = b"".join(self._unsent)
        self._unsent.clear()
        await send({"type": "websocket.send", "bytes": data})
        self._unsent_bytes -= len(data)
        if self._writing_paused and self._unsent_bytes <= self._low:
            self._writing_paused = False
            self._protocol.resume_writing()

    def _end(self, code: int, error: Exception) -> None:
        self._close_code, self._lost = code, error
        self.close()


class WebSocketEndpoint:
    """An ASGI app that puts a protocol of `factory` behind every WebSocket that offers `subprotocol`, and echoes it
    [MQTT-6.0.0-3], [MQTT-6.0.0-4]; a handshake without is refused, and so is plain HTTP.

    It does not look at Origin. A browser attaches nothing of its user's to this handshake that would be believed here:
    no cookie is read and no HTTP credential, so a page of any origin gets no further than anybody who reaches the port,
    and has to bring what the protocol inside asks for. Behind a factory whose protocol asks for nothing, that is not
    enough: put a check of Origin (RFC 6455 §10.2) before such an endpoint.
    """

    def __init__(self, factory: Callable[[], asyncio.Protocol], subprotocol: str) -> None:
        self._factory = factory
        self._subprotocol = subprotocol

    async def __call__(self, scope: Mapping[str, Any], receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "websocket":
            await self._answer(
                send, "http.response", 426, "Open this address as a WebSocket.", (b"upgrade", b"websocket")
            )
            return
        await receive()  # websocket.connect
        if self._subprotocol not in scope["subprotocols"]:
            await self._refuse(scope, send)
            return
        await send({"type": "websocket.accept", "subprotocol": self._subprotocol})
        client = scope.get("client")
        extra = {"peername": tuple(client) if client else None}
        cut = scope.get("extensions", {}).get(CUT, {}).get("now", lambda: None)
        await WebSocketTransport(self._factory(), extra, cut).run(receive, send)

    async def _refuse(self, scope: Mapping[str, Any], send: Send) -> None:
        if "websocket.http.response" in scope.get("extensions", {}):
            said = f"Offer the subprotocol {self._subprotocol}."
            await self._answer(send, "websocket.http.response", 400, said)
        else:
            await send({"type": "websocket.close"})

    async def _answer(self, send: Send, kind: str, status: int, said: str, *headers: tuple[bytes, bytes]) -> None:
        text = (b"content-type", b"text/plain; charset=utf-8")
        body = f"{said}\n".encode()
        length = (b"content-length", str(len(body)).encode())
        await send({"type": f"{kind}.start", "status": status, "headers": [text, length, *headers]})
        await send({"type": f"{kind}.body", "body": body})
