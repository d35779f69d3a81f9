"""The disk keeps what was synced, tears what was not, and the journal notices."""

import asyncio
from random import Random

import pytest
from tests.simulation.disk import Disk, Journal
from tests.simulation.durable import Durable, Store

from ringmain.adapters.simulated.queue import SimulatedQueue
from ringmain.model.errors import Failed
from ringmain.transports.simulated_loop import VirtualLoop


def run(story):
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(story)
    finally:
        loop.close()


def disk(seed=1):
    return Disk(Random(seed), lambda _: None)


@pytest.mark.parametrize("seed", range(30))
def test_what_was_synced_survives_and_what_was_not_is_whole_or_gone(seed):
    one = disk(seed)
    chance = Random(seed)

    async def story():
        journal = Journal(one.mount(), "file")
        for number in range(chance.randint(0, 9)):
            journal.write(bytes([number]) * chance.randint(0, 40))
        synced = journal._count
        await journal.sync()
        for number in range(chance.randint(0, 9)):
            journal.write(bytes([100 + number]) * chance.randint(0, 40))
        written = journal._count
        one.lose_power()
        recovered = Journal(one.mount(), "file").recover()
        return synced, written, recovered

    synced, written, recovered = run(story())
    assert synced <= len(recovered) <= written
    assert all(set(record) <= {number} for number, record in enumerate(recovered[:synced]))


def test_a_flipped_bit_ends_the_journal():
    one = disk()

    async def story():
        journal = Journal(one.mount(), "file")
        for number in range(3):
            journal.write(bytes([number]) * 10)
        await journal.sync()
        one.files["file"].content[18 + 8] ^= 1
        return Journal(one.mount(), "file").recover()

    assert run(story()) == [bytes(10)]


def test_a_dead_process_writes_nothing_any_more():
    one = disk()

    async def story():
        mount = one.mount()
        mount.write("file", b"kept")
        one.end_process()
        mount.write("file", b"never")
        with pytest.raises(asyncio.CancelledError):
            await mount.sync("file")
        return one.mount().read("file")

    assert run(story()) == b"kept"


def test_a_home_comes_back_as_it_was_and_a_failed_sync_ends_it():
    one = disk()

    async def queue():
        store = Store(one.mount(), "log", {"queue": SimulatedQueue()})
        await store.open()
        return Durable(store, "queue", {"append": True}, ("wait",))

    async def story():
        first = await queue()
        assert await first.append(b"one") == 1
        one.lose_power()
        second = await queue()
        assert [entry.body for entry in await second.read(0, 100)] == [b"one"]
        one.full = True
        with pytest.raises(Failed, match="no room"):
            await second.append(b"two")
        one.full = False
        one.failing.add("log")
        with pytest.raises(Failed, match="input/output"):
            await second.append(b"two")
        with pytest.raises(Failed, match="input/output"):
            await second.read(0, 100)
        return second.broken

    assert "input/output" in run(story())
