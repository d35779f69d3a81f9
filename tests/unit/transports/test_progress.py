"""How far bytes have come: on a connection whose peer does not read, and one that does."""

import asyncio
import socket

import pytest

from ringmain.transports.progress import progress

SIZE = 8 << 20


@pytest.fixture
async def pair():
    """A transport, and the other end of its connection."""
    listener = socket.create_server(("127.0.0.1", 0))
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, *listener.getsockname())
    peer, _ = listener.accept()
    yield transport, peer
    transport.abort()
    peer.close()
    listener.close()
    await asyncio.sleep(0)


async def test_what_the_peer_has_not_taken_has_not_left(pair):
    transport, peer = pair
    left, waiting = progress(transport)
    assert waiting == 0
    transport.write(bytes(SIZE))
    _, waiting = progress(transport)
    assert waiting > 0
    peer.setblocking(False)
    taken, reads = 0, []
    async with asyncio.timeout(20):
        while taken < SIZE:
            try:
                taken += len(await asyncio.get_running_loop().sock_recv(peer, 1 << 20))
            finally:
                reads.append(progress(transport))
        while progress(transport)[1]:
            await asyncio.sleep(0.001)
    assert [each[0] for each in reads] == sorted(each[0] for each in reads)
    assert progress(transport)[0] - left >= SIZE


async def test_without_a_socket_the_transports_own_buffer_has_to_do():
    class Held(asyncio.Transport):
        def get_write_buffer_size(self) -> int:
            return 7

    assert progress(Held()) == (-7, 7)


async def test_a_socket_that_tells_nothing_of_tcp_is_no_error():
    one, other = socket.socketpair()
    transport, _ = await asyncio.get_running_loop().create_connection(asyncio.Protocol, sock=one)
    assert progress(transport) == (0, 0)
    transport.abort()
    other.close()
    await asyncio.sleep(0)
