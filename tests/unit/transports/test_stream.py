"""The driver of byte streams, over real sockets of both event loops and with a transport that misbehaves."""

import asyncio
import socket

import pytest
import uvloop

from ringmain.transports import stream
from ringmain.transports.stream import StreamDriver


class Echo:
    """A machine that answers with what it hears; `!` ends it."""

    def __init__(self):
        self.out, self.ends, self.woken, self.until, self.was_lost = [], False, 0, None, 0

    def receive(self, data, now):
        self.out.append(data)
        return ["end"] if b"!" in data else []

    def data_to_send(self):
        data = b"".join(self.out)
        self.out.clear()
        return data

    def deadline(self):
        return self.until

    def wake(self, now):
        if now < self.until:
            return []
        self.woken += 1
        self.until = None
        return ["woken"]

    def lost(self):
        self.was_lost += 1
        return ["lost"]


class Owner:
    def __init__(self):
        self.heard, self.opened = [], 0
        self.drivers = []

    def __call__(self, driver, events):
        self.heard += events
        if "end" in events or "woken" in events:
            driver.close()

    def protocol(self):
        driver = StreamDriver(Echo(), self, self.open)
        self.drivers.append(driver)
        return driver

    def open(self):
        self.opened += 1


async def listening(owner):
    server = await asyncio.get_running_loop().create_server(owner.protocol, "127.0.0.1", 0)
    return server, server.sockets[0].getsockname()


async def conversation():
    owner = Owner()
    server, address = await listening(owner)
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"hello")
    assert await reader.readexactly(5) == b"hello"
    (driver,) = owner.drivers
    assert owner.opened == 1
    assert driver.is_open
    assert driver.peer == "{}:{}".format(*writer.get_extra_info("sockname"))
    driver.hold("log")
    driver.hold("in flight")
    writer.write(b"held")
    await asyncio.sleep(0.05)
    driver.release("log")
    await asyncio.sleep(0.05)
    assert not driver.machine.out
    driver.release("in flight")
    driver.release("never held")
    assert await reader.readexactly(4) == b"held"
    writer.write(b"bye!")
    assert await reader.read() == b"bye!"
    writer.close()
    await asyncio.sleep(0.05)
    assert not driver.is_open
    assert owner.heard == ["end", "lost"]
    driver.hold("log")
    driver.release("log")
    driver.flush()
    driver.close()
    driver.abort()
    server.close()


async def test_over_asyncio():
    await conversation()


def test_over_uvloop():
    uvloop.run(conversation())


async def last_words():
    """What it still says when it has not heard yet that we are done must not cost it our last words."""
    owner = Owner()
    server, address = await listening(owner)
    loop = asyncio.get_running_loop()
    with socket.create_connection(address) as peer:
        peer.setblocking(False)
        await loop.sock_sendall(peer, b"bye!")
        await asyncio.sleep(0.05)
        (driver,) = owner.drivers
        assert owner.heard == ["end"]
        driver.hold("log")
        for _ in range(10):
            await loop.sock_sendall(peer, b"more")
            await asyncio.sleep(0.005)
        assert await loop.sock_recv(peer, 100) == b"bye!"
        assert await loop.sock_recv(peer, 100) == b""
        assert owner.heard == ["end"], "nothing more is heard"
        assert driver.is_open
    await asyncio.sleep(0.05)
    assert not driver.is_open
    server.close()


async def test_last_words_over_asyncio():
    await last_words()


def test_last_words_over_uvloop():
    uvloop.run(last_words())


async def test_a_stranger_is_not_waited_for():
    owner = Owner()
    server, address = await listening(owner)
    reader, writer = await asyncio.open_connection(*address)
    await asyncio.sleep(0.02)
    (driver,) = owner.drivers
    driver.close(linger=False)
    assert await reader.read() == b""
    await asyncio.sleep(0.02)
    assert not driver.is_open
    writer.close()
    server.close()


async def test_who_does_not_close_too_is_closed_after_a_while(monkeypatch):
    monkeypatch.setattr(stream, "LINGER_S", 0.1)
    owner = Owner()
    server, address = await listening(owner)
    reader, writer = await asyncio.open_connection(*address)
    writer.write(b"bye!")
    assert await reader.read() == b"bye!"
    (driver,) = owner.drivers
    assert driver.is_open
    await asyncio.sleep(0.3)
    assert not driver.is_open
    writer.close()
    server.close()


async def lost_by_reset():
    owner = Owner()
    server, address = await listening(owner)
    _, writer = await asyncio.open_connection(*address)
    await asyncio.sleep(0.02)
    writer.transport.abort()
    await asyncio.sleep(0.05)
    assert owner.heard == ["lost"]
    server.close()


async def test_lost_over_asyncio():
    await lost_by_reset()


def test_lost_over_uvloop():
    uvloop.run(lost_by_reset())


class Socket(asyncio.Transport):
    """A transport whose peer never takes a byte."""

    def __init__(self):
        super().__init__({"peername": ""})
        self.paused = self.closed = self.aborted = False
        self.written = b""

    def set_write_buffer_limits(self, high=None, low=None):
        self.high = high

    def write(self, data):
        self.written += data

    def is_reading(self):
        return not self.paused and not self.closed

    def pause_reading(self):
        self.paused = True

    def resume_reading(self):
        self.paused = False

    def is_closing(self):
        return self.closed

    def can_write_eof(self):
        return False

    def close(self):
        self.closed = True

    def abort(self):
        self.closed = self.aborted = True


@pytest.fixture
def open_driver():
    def make(until=None):
        owner = Owner()
        driver = owner.protocol()
        driver.machine.until = until
        transport = Socket()
        driver.connection_made(transport)
        return driver, transport, owner

    return make


async def test_a_peer_that_does_not_read_is_not_waited_for_for_ever(open_driver, monkeypatch):
    monkeypatch.setattr(stream, "CLOSE_DEADLINE_S", 0.02)
    driver, transport, _ = open_driver()
    driver.close()
    driver.close()
    assert transport.closed
    assert not transport.aborted
    await asyncio.sleep(0.05)
    assert transport.aborted


async def test_a_peer_that_went_has_no_timers(open_driver):
    driver, transport, _ = open_driver(until=asyncio.get_running_loop().time() + 0.02)
    driver.close()
    driver.connection_lost(None)
    assert driver._timer.cancelled()
    assert driver._last_call.cancelled()
    await asyncio.sleep(0.05)
    assert driver.machine.woken == 0
    assert not transport.aborted


async def test_unread_answers_stop_the_reading(open_driver):
    driver, transport, _ = open_driver()
    assert transport.high == stream.WRITE_BUFFER_BYTES_MAX
    driver.pause_writing()
    assert transport.paused
    assert driver.is_choked
    driver.hold("log")
    driver.resume_writing()
    assert transport.paused
    assert not driver.is_choked
    driver.release("log")
    assert not transport.paused


async def test_the_deadline_is_kept(open_driver):
    _, transport, owner = open_driver(until=asyncio.get_running_loop().time() + 0.02)
    await asyncio.sleep(0.06)
    assert owner.heard == ["woken"]
    assert transport.closed


async def test_a_deadline_that_came_nearer(open_driver):
    driver, _, owner = open_driver(until=driver_time() + 100)
    driver.machine.until = driver_time() + 0.01
    driver.rearm()
    await asyncio.sleep(0.04)
    assert owner.heard == ["woken"]


def driver_time():
    return asyncio.get_running_loop().time()


@pytest.mark.parametrize(("excuses", "woken"), [(True, 0), (False, 1)])
async def test_a_hold_of_ours_excuses_the_silence(open_driver, monkeypatch, excuses, woken):
    monkeypatch.setattr(stream, "EXCUSED_S", 0.02)
    driver, _, _ = open_driver(until=driver_time() + 0.01)
    driver.hold("log", excuses=excuses)
    await asyncio.sleep(0.05)
    assert driver.machine.woken == woken
    driver.release("log")
    await asyncio.sleep(0.05)
    assert driver.machine.woken == 1


async def test_a_closing_socket_is_not_read_again(open_driver):
    driver, transport, _ = open_driver()
    driver.hold("log")
    driver.close()
    driver.release("log")
    assert transport.paused


async def test_a_peer_without_an_address(open_driver):
    driver, _, _ = open_driver()
    assert driver.peer == "local"
