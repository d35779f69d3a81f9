"""The relay between real sockets: exact while it passes, and wrong in exactly the way it was told to be."""

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringmain.apps.lab import direction, link, relay
from ringmain.apps.lab.relay import Relay
from ringmain.apps.lab.relay_mode import CommandRefused

pytestmark = pytest.mark.slow  # seconds together; the fast tier has its neighbours

SOON_S = 5.0
"""For what has to happen. It takes milliseconds."""

QUIET_S = 0.05
"""How long nothing has to come before we call it nothing."""


class Peer:
    """One end of a connection."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer

    def say(self, data):
        self.writer.write(data)

    def vanish(self):
        """With RST."""
        raw = self.writer.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, link._LINGER_NOT)
        self.writer.transport.abort()

    async def hears(self, data):
        async with asyncio.timeout(SOON_S):
            assert await self.reader.readexactly(len(data)) == data

    async def hears_nothing(self):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(QUIET_S):
                pytest.fail(f"heard {await self.reader.read(100)!r}")

    async def hears_the_end(self):
        async with asyncio.timeout(SOON_S):
            assert await self.reader.read(1) == b""

    async def is_reset(self):
        with pytest.raises(ConnectionResetError):
            async with asyncio.timeout(SOON_S):
                await self.reader.readexactly(1)


class World:
    """A server that accepts, a relay before it, and clients."""

    def __init__(self, relay_, arrivals):
        self.relay, self._arrivals, self.peers = relay_, arrivals, []

    async def dial(self):
        async with asyncio.timeout(SOON_S):
            peer = Peer(*await asyncio.open_connection("127.0.0.1", self.relay.port))
        self.peers.append(peer)
        return peer

    async def pair(self):
        client = await self.dial()
        async with asyncio.timeout(SOON_S):
            server = await self._arrivals.get()
        self.peers.append(server)
        return client, server

    def nobody_arrived(self):
        return self._arrivals.empty()

    async def until(self, **figures):
        """Wait until the relay's figures are these."""
        async with asyncio.timeout(SOON_S):
            while any(getattr(self.relay.stats(), name) != value for name, value in figures.items()):
                await asyncio.sleep(0.005)


@contextlib.asynccontextmanager
async def a_world(seed=0):
    arrivals = asyncio.Queue()
    server = await asyncio.start_server(lambda r, w: arrivals.put_nowait(Peer(r, w)), "127.0.0.1", 0)
    async with Relay(server.sockets[0].getsockname()[:2], seed=seed) as relay_:
        world = World(relay_, arrivals)
        yield world
        for peer in world.peers:
            peer.writer.transport.abort()
    server.close()
    await asyncio.sleep(0.01)


async def test_words_that_are_no_command_change_nothing():
    async with a_world() as world:
        world.relay.command("refuse")
        with pytest.raises(CommandRefused):
            world.relay.command("half-open sideways")
        assert world.relay.stats().mode == "refuse"


async def test_a_server_that_is_not_there_resets_the_client():
    async with a_world() as world:
        world.relay._to = ("127.0.0.1", 1)
        client = await world.dial()
        await client.is_reset()
        await world.until(open=0, unreachable=1)


async def test_a_server_that_does_not_answer_in_time_is_not_there(monkeypatch):
    async def never(*_):
        await asyncio.sleep(60)

    async with a_world() as world:
        dial = asyncio.get_running_loop().create_connection
        to_server = lambda factory, host, port, **more: (
            never() if port == world.relay._to[1] else dial(factory, host, port, **more)
        )
        monkeypatch.setattr(relay, "DIAL_S_MAX", 0.01)
        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", to_server)
        await (await world.dial()).is_reset()
        await world.until(open=0, unreachable=1)


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.integers(1, 200_000), min_size=1, max_size=6),
    st.integers(0, 1_000),
    st.sampled_from(["pass", "delay 1 3"]),
)
def test_bytes_arrive_exactly_whatever_they_are_split_into(sizes, seed, mode):
    chunks = [Random(seed + number).randbytes(size) for number, size in enumerate(sizes)]

    async def both_ways():
        async with a_world(seed) as world:
            world.relay.command(mode)
            client, server = await world.pair()
            for chunk in chunks:
                client.say(chunk)
                server.say(chunk[::-1])
                await asyncio.sleep(0)
            await server.hears(b"".join(chunks))
            await client.hears(b"".join(chunk[::-1] for chunk in chunks))
            stats = world.relay.stats()
            assert stats.bytes_up == stats.bytes_down == sum(sizes)
            assert (stats.lost_bytes_up, stats.lost_bytes_down, stats.buffered_bytes) == (0, 0, 0)

    asyncio.run(both_ways())


@pytest.mark.parametrize("mode", ["pass", "delay 5"])
async def test_the_end_of_one_direction_is_passed_on_after_its_bytes_and_leaves_the_other_open(mode):
    async with a_world() as world:
        world.relay.command(mode)
        client, server = await world.pair()
        client.say(b"last words")
        client.writer.write_eof()
        await server.hears(b"last words")
        await server.hears_the_end()
        server.say(b"an answer")
        await client.hears(b"an answer")
        server.writer.close()
        await client.hears_the_end()
        client.writer.close()
        await world.until(open=0)


@pytest.mark.parametrize("mode", ["pass", "delay 5"])
async def test_a_reset_is_passed_on(mode):
    async with a_world() as world:
        client, server = await world.pair()
        world.relay.command(mode)
        client.vanish()
        await server.is_reset()
        await world.until(open=0)


async def test_cut_resets_both_sides_of_all_and_new_ones_pass():
    async with a_world() as world:
        pairs = [await world.pair() for _ in range(3)]
        assert world.relay.command("cut").cut == 3
        for peer in (peer for pair in pairs for peer in pair):
            await peer.is_reset()
        await world.until(open=0)
        client, server = await world.pair()
        client.say(b"again")
        await server.hears(b"again")


async def test_refuse_resets_new_connections_and_leaves_open_ones():
    async with a_world() as world:
        client, server = await world.pair()
        world.relay.command("refuse")
        await (await world.dial()).is_reset()
        client.say(b"still here")
        await server.hears(b"still here")
        assert world.relay.stats().refused == 1
        assert world.nobody_arrived()
        world.relay.command("pass")
        await world.pair()


async def test_a_black_hole_swallows_both_ways_and_stays_dead_after_pass():
    async with a_world() as world:
        client, server = await world.pair()
        client.say(b"before")
        await server.hears(b"before")
        world.relay.command("black-hole")
        client.say(b"x" * 1_000_000)
        server.say(b"y" * 500_000)
        await world.until(lost_bytes_up=1_000_000, lost_bytes_down=500_000, buffered_bytes=0, open=1, dead=1)
        late = await world.dial()
        late.say(b"hello?")
        await world.until(lost_bytes_up=1_000_006)
        world.relay.command("pass")
        client.say(b"after")
        for peer in (client, server, late):
            await peer.hears_nothing()
        assert world.nobody_arrived()
        fresh, other = await world.pair()
        fresh.say(b"alive")
        await other.hears(b"alive")


async def test_nobody_learns_that_the_other_side_of_a_black_hole_has_gone():
    async with a_world() as world:
        client, server = await world.pair()
        world.relay.command("black-hole")
        await world.until(dead=1)
        client.writer.transport.abort()
        await server.hears_nothing()
        await world.until(open=1)
        server.writer.close()
        await world.until(open=0)


async def test_cut_ends_the_dead_too():
    async with a_world() as world:
        client, server = await world.pair()
        world.relay.command("black-hole")
        world.relay.command("cut")
        await client.is_reset()
        await server.is_reset()
        await world.until(open=0)


@pytest.mark.parametrize("lost", ["up", "down"])
async def test_half_open_loses_one_direction_for_good(lost):
    async with a_world() as world:
        client, server = await world.pair()
        mute, heard = (client, server) if lost == "up" else (server, client)
        world.relay.command(f"half-open {lost}")
        mute.say(b"lost")
        heard.say(b"heard")
        await mute.hears(b"heard")
        await world.until(**{f"lost_bytes_{lost}": 4})
        world.relay.command("pass")
        mute.say(b"lost, too")
        await heard.hears_nothing()
        heard.say(b"on and on")
        await mute.hears(b"on and on")
        mute.writer.close()
        await heard.hears_nothing()


async def test_what_is_said_to_somebody_who_has_gone_is_lost_and_counted():
    async with a_world() as world:
        client, server = await world.pair()
        world.relay.command("half-open up")
        client.vanish()
        await world.until(dead=1)
        await server.hears_nothing()
        server.say(b"hello?")
        await world.until(lost_bytes_down=6, bytes_down=0, open=1)


async def test_a_client_whose_way_back_is_dead_does_not_learn_that_there_is_no_server():
    async with a_world() as world:
        world.relay._to = ("127.0.0.1", 1)
        world.relay.command("half-open down")
        client = await world.dial()
        await world.until(unreachable=1)
        await client.hears_nothing()


async def test_a_cut_while_the_server_is_dialled_ends_that_connection_too(monkeypatch):
    async with a_world() as world:
        dial, go = asyncio.get_running_loop().create_connection, asyncio.Event()

        async def slow(factory, host, port, **more):
            if port == world.relay._to[1]:
                await go.wait()
            return await dial(factory, host, port, **more)

        monkeypatch.setattr(asyncio.get_running_loop(), "create_connection", slow)
        client = await world.dial()
        await world.until(open=1)
        world.relay.command("cut")
        await client.is_reset()
        go.set()
        await world.until(open=0)


async def test_a_new_connection_in_half_open_reaches_the_server_and_hears_nothing():
    async with a_world() as world:
        world.relay.command("half-open down")
        client, server = await world.pair()
        client.say(b"hello")
        await server.hears(b"hello")
        server.say(b"welcome")
        await client.hears_nothing()
        assert world.relay.stats().lost_bytes_down == 7


async def test_a_delay_is_at_least_what_was_asked_and_what_follows_waits_its_turn():
    async with a_world() as world:
        client, server = await world.pair()
        loop = asyncio.get_running_loop()
        world.relay.command("delay 60")
        started = loop.time()
        client.say(b"slow")
        await world.until(buffered_bytes=4)
        world.relay.command("pass")
        client.say(b"fast")
        await server.hears(b"slowfast")
        assert loop.time() - started >= 0.06


async def test_what_is_late_is_lost_in_a_black_hole():
    async with a_world() as world:
        client, server = await world.pair()
        world.relay.command("delay 60")
        client.say(b"late")
        await world.until(buffered_bytes=4)
        world.relay.command("black-hole")
        await server.hears_nothing()
        assert (world.relay.stats().lost_bytes_up, world.relay.stats().buffered_bytes) == (4, 0)


@pytest.mark.parametrize("mode", ["pass", "delay 50"])
async def test_a_sender_waits_for_a_reader_who_does_not_read_and_loses_nothing(mode):
    sent = Random(1).randbytes(24 * 1024 * 1024)
    async with a_world() as world:
        client, server = await world.pair()
        world.relay.command(mode)
        server.writer.transport.pause_reading()
        client.say(sent)
        held = 0
        for _ in range(20):
            await asyncio.sleep(0.01)
            held = max(held, world.relay.stats().buffered_bytes)
        assert 0 < held <= direction.BUFFER_BYTES_MAX + 256 * 1024  # one read more than the limit, at most
        assert client.writer.transport.get_write_buffer_size() > 0
        server.writer.transport.resume_reading()
        world.relay.command("pass")
        await server.hears(sent)


async def test_a_black_hole_reads_on_where_back_pressure_had_stopped_reading():
    async with a_world() as world:
        client, server = await world.pair()
        server.writer.transport.pause_reading()
        client.say(bytes(24 * 1024 * 1024))
        await asyncio.sleep(0.1)
        world.relay.command("black-hole")
        async with asyncio.timeout(SOON_S):
            while client.writer.transport.get_write_buffer_size():
                await asyncio.sleep(0.01)


async def test_more_links_than_the_limit_are_refused(monkeypatch):
    monkeypatch.setattr(relay, "LINKS_MAX", 2)
    async with a_world() as world:
        for _ in range(2):
            await world.pair()
        await (await world.dial()).is_reset()
        assert world.relay.stats().refused == 1


@pytest.mark.slow
def test_the_process_says_its_port_obeys_and_ends_with_its_input():
    argv = [sys.executable, "-m", "ringmain.apps.lab.relay", "--listen-port", "0", "--to", "127.0.0.1:1", "--seed", "3"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert json.loads(process.stdout.readline())["port"] > 0
        answers = []
        for line in (b"black-hole\n", b"melt\n", b"delay 20 5\n", b"cut\n", b"stats\n", b"pass\n"):
            process.stdin.write(line)
            process.stdin.flush()
            answers.append(json.loads(process.stdout.readline()))
        process.stdin.close()
        assert process.wait(SOON_S) == 0
        assert process.stderr.read() == b""
    assert [answer.get("mode") for answer in answers] == ["black-hole", None, "delay", "delay", "delay", "pass"]
    assert "is none of" in answers[1]["error"]


@pytest.mark.parametrize("to", ["nowhere", ":1", "host:", "host:x"])
def test_a_destination_that_is_none_is_a_usage_error(to):
    with pytest.raises(SystemExit) as ended:
        relay.main(["--to", to])
    assert ended.value.code == 2
