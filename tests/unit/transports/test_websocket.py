"""The transport over ASGI, against an ASGI server of three queues that does what the test says."""

import asyncio

import pytest

from ringmain.transports.stream import StreamDriver
from ringmain.transports.websocket import CUT, READ_BYTES_MAX, WebSocketEndpoint


class Protocol(asyncio.Protocol):
    """Writes down what it is told, in order."""

    def __init__(self):
        self.told, self.transport, self.on_data = [], None, lambda _: None

    def connection_made(self, transport):
        self.transport = transport
        self.told.append("made")

    def data_received(self, data):
        self.told.append(data)
        self.on_data(data)

    def pause_writing(self):
        self.told.append("pause")

    def resume_writing(self):
        self.told.append("resume")

    def connection_lost(self, exc):
        self.told.append(("lost", type(exc)))


class Peer:
    """The other side: what it sends is received, what it gets stands in `got`; `stalled` stops its reading."""

    def __init__(self, protocol, subprotocols=("mqtt",), *, extensions=None, kind="websocket"):
        self.inbox = asyncio.Queue()
        self.got = []
        self.reads = asyncio.Event()
        self.reads.set()
        self.gone = False
        self.protocol = protocol
        self.endpoint = WebSocketEndpoint(lambda: protocol, "mqtt")
        self.scope = {"type": kind, "subprotocols": list(subprotocols), "client": ["192.0.2.7", 4711]}
        self.scope["extensions"] = extensions or {}
        self.task = None

    async def _send(self, message):
        await self.reads.wait()
        if self.gone:
            raise OSError("gone")
        self.got.append(message)

    async def __aenter__(self):
        await self.inbox.put({"type": "websocket.connect"})
        self.task = asyncio.create_task(self.endpoint(self.scope, self.inbox.get, self._send))
        await self.turns()
        return self

    async def __aexit__(self, *_):
        self.task.cancel()
        await asyncio.wait([self.task])

    async def turns(self):
        for _ in range(12):
            await asyncio.sleep(0)

    async def send(self, *pieces):
        for piece in pieces:
            await self.inbox.put({"type": "websocket.receive", "bytes": piece})
        await self.turns()

    async def leave(self):
        await self.inbox.put({"type": "websocket.disconnect", "code": 1000})
        await self.turns()

    def frames(self):
        return [message["bytes"] for message in self.got if message["type"] == "websocket.send"]

    @property
    def is_over(self):
        return self.task.done()


CLOSED = {"type": "websocket.close", "code": 1000}


async def test_a_handshake_with_the_subprotocol_is_accepted_and_it_is_echoed():
    protocol = Protocol()
    async with Peer(protocol, ("mqttv3.1", "mqtt")) as peer:
        assert peer.got == [{"type": "websocket.accept", "subprotocol": "mqtt"}]
        assert protocol.told == ["made"]
        assert protocol.transport.get_extra_info("peername") == ("192.0.2.7", 4711)
        assert protocol.transport.get_extra_info("ssl_object") is None
        assert protocol.transport.get_protocol() is protocol


@pytest.mark.parametrize("offered", [(), ("mqttv3.1",), ("MQTT",), ("mqtt ",)])
async def test_a_handshake_without_it_is_refused(offered):
    protocol = Protocol()
    async with Peer(protocol, offered, extensions={"websocket.http.response": {}}) as peer:
        assert [message["type"] for message in peer.got] == [
            "websocket.http.response.start",
            "websocket.http.response.body",
        ]
        assert peer.got[0]["status"] == 400
    async with Peer(protocol, offered) as peer:
        assert peer.got == [{"type": "websocket.close"}]
    assert protocol.told == []


async def test_plain_http_is_told_to_upgrade():
    async with Peer(Protocol(), kind="http") as peer:
        assert peer.got[0]["status"] == 426
        assert (b"upgrade", b"websocket") in peer.got[0]["headers"]
        assert int(dict(peer.got[0]["headers"])[b"content-length"]) == len(peer.got[1]["body"])


async def test_bytes_go_both_ways_and_frames_mean_nothing():
    protocol = Protocol()
    async with Peer(protocol) as peer:
        await peer.send(b"one", b"", b"two")
        assert protocol.told == ["made", b"one", b"two"]
        protocol.transport.write(b"a")
        protocol.transport.write(bytearray(b"b"))
        protocol.transport.write(memoryview(b"c"))
        protocol.transport.write(b"")
        await peer.turns()
        assert peer.frames() == [b"abc"]


async def test_the_peer_leaves():
    protocol = Protocol()
    async with Peer(protocol) as peer:
        await peer.leave()
        assert protocol.told == ["made", ("lost", type(None))]
        assert peer.is_over
        assert protocol.transport.is_closing()
        protocol.transport.write(b"too late")
        protocol.transport.close()
    assert peer.got[1:] == []


async def test_a_text_frame_ends_it_with_1003():
    protocol = Protocol()
    async with Peer(protocol) as peer:
        await peer.inbox.put({"type": "websocket.receive", "text": "{}"})
        await peer.turns()
        assert peer.got[-1] == {"type": "websocket.close", "code": 1003}
        assert protocol.told == ["made", ("lost", ValueError)]
        assert peer.is_over


async def test_close_sends_what_is_written_and_hands_nothing_more_on():
    protocol = Protocol()
    async with Peer(protocol) as peer:
        protocol.transport.write(b"goodbye")
        protocol.transport.close()
        protocol.transport.close()
        assert protocol.transport.is_closing()
        assert not protocol.transport.is_reading()
        assert protocol.told == ["made"], "connection_lost is never called from within close"
        await peer.send(b"unheard")
        assert peer.got[1:] == [{"type": "websocket.send", "bytes": b"goodbye"}, CLOSED]
        assert protocol.told == ["made", ("lost", type(None))]
        assert peer.is_over


async def test_close_from_within_data_received():
    protocol = Protocol()

    def answer(_):
        protocol.transport.write(b"no")
        protocol.transport.close()

    protocol.on_data = answer
    async with Peer(protocol) as peer:
        await peer.send(b"x", b"y")
        assert peer.got[1:] == [{"type": "websocket.send", "bytes": b"no"}, CLOSED]
        assert protocol.told == ["made", b"x", ("lost", type(None))]


async def test_a_paused_reader_hears_nothing_until_it_resumes():
    protocol = Protocol()
    async with Peer(protocol) as peer:
        protocol.on_data = lambda _: protocol.transport.pause_reading()
        await peer.send(b"1", b"2", b"3")
        assert protocol.told == ["made", b"1"]
        assert peer.inbox.qsize() == 2
        assert not protocol.transport.is_reading()
        protocol.on_data = lambda _: None
        protocol.transport.resume_reading()
        await peer.turns()
        assert protocol.told == ["made", b"1", b"2", b"3"]
        assert protocol.transport.is_reading()


async def test_a_large_message_comes_in_pieces_between_which_one_may_stop():
    protocol = Protocol()
    async with Peer(protocol) as peer:
        protocol.on_data = lambda _: protocol.transport.pause_reading()
        message = bytes(range(256)) * (READ_BYTES_MAX * 5 // 512)
        await peer.send(message)
        heard = protocol.told[1:]
        assert [len(piece) for piece in heard] == [READ_BYTES_MAX]
        for _ in range(2):
            protocol.transport.resume_reading()
            await peer.turns()
        assert b"".join(protocol.told[1:]) == message
        assert len(protocol.told) == 4


async def test_closing_while_paused_within_a_message():
    protocol = Protocol()
    async with Peer(protocol) as peer:
        protocol.on_data = lambda _: protocol.transport.pause_reading()
        await peer.send(b"x" * (2 * READ_BYTES_MAX))
        protocol.transport.close()
        await peer.turns()
        assert len(protocol.told) == 3
        assert peer.got[-1] == CLOSED


async def test_unsent_bytes_pause_the_writer_and_sent_ones_resume_it():
    protocol = Protocol()
    async with Peer(protocol) as peer:
        transport = protocol.transport
        transport.set_write_buffer_limits(high=10)
        peer.reads.clear()
        transport.write(b"12345")
        await peer.turns()
        transport.write(b"67890")
        assert "pause" not in protocol.told
        transport.write(b"!")
        transport.write(b"!")
        assert protocol.told == ["made", "pause"]
        assert transport.get_write_buffer_size() == 12
        peer.reads.set()
        await peer.turns()
        assert protocol.told == ["made", "pause", "resume"]
        assert peer.frames() == [b"12345", b"67890!!"]
        assert transport.get_write_buffer_size() == 0


async def test_abort_cuts_the_socket_at_once_whatever_is_unsent():
    protocol, cut = Protocol(), []
    async with Peer(protocol, extensions={CUT: {"now": lambda: cut.append(1)}}) as peer:
        peer.reads.clear()
        protocol.transport.write(b"never read")
        await peer.turns()
        protocol.transport.abort()
        assert cut == [1]
        await peer.turns()
        assert peer.got[1:] == []
        assert protocol.told == ["made", ("lost", type(None))]
        assert peer.is_over


async def test_a_peer_that_went_while_we_wrote():
    protocol = Protocol()
    async with Peer(protocol) as peer:
        peer.gone = True
        protocol.transport.write(b"anybody?")
        await peer.turns()
        assert protocol.told == ["made", ("lost", OSError)]


async def test_a_protocol_that_fails_ends_its_connection_with_1011(caplog):
    protocol = Protocol()
    protocol.on_data = lambda _: 1 // 0
    async with Peer(protocol) as peer:
        await peer.send(b"x")
        assert peer.got[-1] == {"type": "websocket.close", "code": 1011}
        assert protocol.told == ["made", b"x", ("lost", ZeroDivisionError)]
    assert "failed" in caplog.text


async def test_a_cancelled_endpoint_still_says_that_it_is_over():
    protocol = Protocol()
    async with Peer(protocol):
        pass
    assert protocol.told == ["made", ("lost", type(None))]


class Echo:
    """A machine that answers with what it hears; `!` ends it."""

    def __init__(self):
        self.out = b""

    def receive(self, data, now):
        self.out += data
        return ["end"] if b"!" in data else []

    def data_to_send(self):
        data, self.out = self.out, b""
        return data

    def deadline(self):
        return None

    def wake(self, now):
        return []

    def lost(self):
        return ["lost"]


async def test_the_stream_driver_runs_on_it_unchanged():
    heard = []

    def owner(driver, events):
        heard.extend(events)
        if "end" in events:
            driver.close()

    driver = StreamDriver(Echo(), owner)
    async with Peer(driver) as peer:
        assert driver.peer == "192.0.2.7:4711"
        assert driver.certificate is None
        driver.hold("log")
        await peer.send(b"held", b"more")
        assert peer.frames() == []
        driver.release("log")
        await peer.turns()
        assert b"".join(peer.frames()) == b"heldmore"
        peer.reads.clear()
        await peer.send(*[b"x" * 300_000] * 3)
        assert driver.is_choked
        peer.reads.set()
        await peer.turns()
        assert not driver.is_choked
        await peer.send(b"bye!")
        assert peer.got[-2:] == [{"type": "websocket.send", "bytes": b"bye!"}, CLOSED]
        assert not driver.is_open
    assert heard == ["end", "lost"]


async def test_a_local_peer_has_no_address():
    driver = StreamDriver(Echo(), lambda *_: None)
    peer = Peer(driver)
    peer.scope["client"] = None
    async with peer:
        assert driver.peer == "local"
