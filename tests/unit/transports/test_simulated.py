"""The simulated network does to a connection what real ones suffer, and nothing else."""

import asyncio
from contextvars import copy_context
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringmain.transports.simulated import CALLER, SimulatedNetwork
from ringmain.transports.simulated_line import Conditions
from ringmain.transports.simulated_loop import Deadlock, VirtualLoop


class Ear(asyncio.Protocol):
    """Remembers what it is told; echoes if asked to."""

    def __init__(self):
        self.heard = b""
        self.told = []
        self.transport = None

    def connection_made(self, transport):
        self.transport = transport

    def data_received(self, data):
        self.heard += data

    def eof_received(self):
        self.told.append("eof")

    def connection_lost(self, exc):
        self.told.append(type(exc).__name__)

    def pause_writing(self):
        self.told.append("pause")

    def resume_writing(self):
        self.told.append("resume")


class World:
    def __init__(self, seed=1, **conditions):
        self.loop = VirtualLoop()
        self.notes = []
        self.network = SimulatedNetwork(self.loop, Random(seed), self.notes.append, Conditions(**conditions))
        self.loop.network = self.network
        self.served = []

    def on(self, host, coro):
        """Run it as a program of that host."""
        context = copy_context()
        context.run(CALLER.set, self.network.host(host))
        return self.loop.create_task(coro, context=context)

    def serve(self):
        ear = Ear()
        self.served.append(ear)
        return ear

    async def pair(self):
        """A connection from `a` to `b`: both protocols."""
        await self.on("b", self.loop.create_server(self.serve, port=1))
        _, opener = await self.on("a", self.loop.create_connection(Ear, "b", 1))
        return opener, self.served[-1]

    def run(self, story):
        try:
            return self.loop.run_until_complete(story)
        finally:
            self.loop.close()


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.lists(st.binary(min_size=1, max_size=50), max_size=20))
def test_bytes_arrive_once_and_in_order_however_they_are_split(seed, writes):
    world = World(seed, pieces_max=5, split_share=0.9)

    async def story():
        one, other = await world.pair()
        for each in writes:
            one.transport.write(each)
            await asyncio.sleep(world.network.chance.choice((0, 0.01)))
        one.transport.close()
        await asyncio.sleep(10)
        return other

    other = world.run(story())
    assert other.heard == b"".join(writes)
    assert other.told == ["eof", "NoneType"]


def test_a_day_passes_in_no_time():
    world = World()

    async def story():
        await asyncio.sleep(86_400)
        return world.loop.time()

    assert world.run(story()) == pytest.approx(86_400)


def test_waiting_for_nothing_is_a_deadlock_and_not_a_hang():
    world = World()

    async def story():
        await world.loop.create_future()

    with pytest.raises(Deadlock, match="nothing is scheduled"):
        world.run(story())


def test_threads_are_refused():
    world = World()

    async def story():
        await asyncio.to_thread(print)

    with pytest.raises(RuntimeError, match="no threads"):
        world.run(story())


def test_a_cut_is_heard_at_both_ends():
    world = World()

    async def story():
        one, other = await world.pair()
        world.network.cut(world.network.connections()[0])
        await asyncio.sleep(5)
        return one, other

    one, other = world.run(story())
    assert one.told == other.told == ["ConnectionResetError"]


@pytest.mark.parametrize("seed", range(20))
def test_what_is_written_to_a_cut_connection_never_arrives_behind_a_gap(seed):
    world = World(seed)

    async def story():
        one, other = await world.pair()
        for number in range(5):
            one.transport.write(bytes([number]))
        world.network.cut(world.network.connections()[0])
        while not one.told:
            one.transport.write(b"x")
            await asyncio.sleep(0.01)
        return other.heard

    assert bytes(range(5)).startswith(world.run(story()))


def test_a_muted_end_is_heard_by_nobody_and_hears():
    world = World()

    async def story():
        one, other = await world.pair()
        world.network.connections()[0].mute()
        one.transport.write(b"lost")
        other.transport.write(b"heard")
        await asyncio.sleep(600)
        return one, other

    one, other = world.run(story())
    assert (one.heard, other.heard) == (b"heard", b"")
    assert one.told == other.told == []


def test_a_blocked_line_delays_bytes_and_loses_none():
    world = World()

    async def story():
        one, other = await world.pair()
        line = world.network.line("a", "b")
        line.block()
        one.transport.write(b"late")
        await asyncio.sleep(30)
        before = other.heard
        line.open(world.network.chance)
        await asyncio.sleep(5)
        return before, other.heard

    assert world.run(story()) == (b"", b"late")


def test_of_a_host_without_power_its_peer_hears_only_when_it_asks_again():
    world = World()

    async def story():
        one, other = await world.pair()
        host = world.network.host("b")
        host.lose_power(world.network.chance)
        one.transport.write(b"anybody")
        await asyncio.sleep(60)
        silent = list(one.told)
        host.is_up = True
        one.transport.write(b"there?")
        await asyncio.sleep(5)
        return silent, one.told, other.told

    assert world.run(story()) == ([], ["ConnectionResetError"], [])


def test_a_killed_process_leaves_its_last_words_and_an_end():
    world = World()

    async def story():
        one, other = await world.pair()
        other.transport.write(b"last words")
        world.network.host("b").end_process()
        await asyncio.sleep(5)
        return one, other

    one, other = world.run(story())
    assert one.heard == b"last words"
    assert one.told == ["eof", "NoneType"]
    assert other.told == []


def test_nobody_listens():
    world = World()

    async def story():
        await world.on("a", world.loop.create_connection(Ear, "b", 1))

    with pytest.raises(ConnectionRefusedError):
        world.run(story())


def test_nobody_is_there():
    world = World()
    world.network.line("a", "b").block()

    async def story():
        try:
            await world.on("a", world.loop.create_connection(Ear, "b", 1))
        except TimeoutError:
            return world.loop.time()

    assert world.run(story()) == pytest.approx(127)


def test_a_peer_that_does_not_read_makes_the_writer_pause():
    world = World()

    async def story():
        one, other = await world.pair()
        one.transport.set_write_buffer_limits(high=1000)
        other.transport.pause_reading()
        one.transport.write(b"x" * 1001)
        await asyncio.sleep(1)
        waiting, heard = list(one.told), other.heard
        other.transport.resume_reading()
        await asyncio.sleep(1)
        return waiting, heard, one.told, len(other.heard)

    assert world.run(story()) == (["pause"], b"", ["pause", "resume"], 1001)


def test_unread_bytes_make_a_close_a_reset():
    world = World()

    async def story():
        one, other = await world.pair()
        other.transport.pause_reading()
        one.transport.write(b"unread")
        await asyncio.sleep(1)
        other.transport.close()
        await asyncio.sleep(1)
        return one.told

    assert world.run(story()) == ["ConnectionResetError"]
