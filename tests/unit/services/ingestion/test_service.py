"""Ingestion: every entry once and in order, whatever fails; and the log goes only behind what is safely stored."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.queue import SimulatedQueue
from ringmain.adapters.simulated.timeseries import SimulatedTimeSeries
from ringmain.model.batch import FORMAT, Batch, block_of, encode_batch
from ringmain.model.errors import Failed
from ringmain.model.time import Interval
from ringmain.services.ingestion import service
from ringmain.services.ingestion.service import GROUP, Ingestion

NOTHING = Failed("storage_failed", "the store is away")


class NoWindows:
    def windows(self, device, at_ms):
        return ()


class Store(SimulatedTimeSeries):
    """The simulated store, which fails when it is told to, and whose checkpoints may lag."""

    def __init__(self, clock):
        super().__init__(NoWindows(), clock)
        self.failures = []
        self.batches = []
        self.checkpoints = 0
        self.lagging = False

    async def append(self, entries):
        if self.failures:
            failure = self.failures.pop(0)
            if failure == "after":
                await super().append(entries)
            raise NOTHING
        self.batches.append([entry.offset for entry in entries])
        return await super().append(entries)

    async def checkpoint(self):
        self.checkpoints += 1
        return 0 if self.lagging else await super().checkpoint()


def body(n):
    return encode_batch(Batch(FORMAT, n, (block_of(("a",), [1], [n], [float(n)], exact=False),)))


SIZE = len(body(1))


class Bench:
    def __init__(self, limit_bytes=1 << 30, retain_bytes=0):
        self.clock = SimulatedClock()
        self.queue = SimulatedQueue(limit_bytes=limit_bytes)
        self.store = Store(self.clock)
        self.retain_bytes = retain_bytes
        self.news = []
        self.new()

    def new(self):
        self.ingestion = Ingestion(
            self.queue,
            self.store,
            self.clock,
            retain_bytes=self.retain_bytes,
            on_appended=lambda news, offset: self.news.append((news, offset)),
        )

    async def put(self, *numbers):
        for n in numbers:
            await self.queue.append(body(n))

    @asynccontextmanager
    async def running(self):
        await self.ingestion.start()
        task = asyncio.ensure_future(self.ingestion.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def stored(self):
        found = await self.store.readings(1, "a", Interval(0, 10**9), after=None, limit=10**6)
        return [it.at_ms for it in found]

    async def until(self, what):
        async with asyncio.timeout(5):
            while not what():
                await asyncio.sleep(0.005)


@pytest.fixture(autouse=True)
def brisk(monkeypatch):
    monkeypatch.setattr(service, "RETRY_S", 0.005)
    monkeypatch.setattr(service, "IDLE_CHECKPOINT_S", 0.02)
    monkeypatch.setattr(service, "APPEND_EVERY_S", 0.0)


async def test_another_log_than_the_stores_own_is_refused():
    """Its first entries have offsets that the store already knows, and would be skipped: acknowledged and lost."""
    bench = Bench()
    await bench.put(*range(1, 6))
    await bench.ingestion.start()
    await bench.ingestion.finish()
    bench.queue = SimulatedQueue()
    bench.new()
    await bench.put(6)
    with pytest.raises(Failed, match="up to 5 of its log, but this log ends at 1") as refused:
        await bench.ingestion.start()
    assert refused.value.hint
    assert (await bench.queue.status()).groups == {}


async def test_a_store_that_lacks_what_the_log_no_longer_has_says_so(caplog):
    bench = Bench()
    await bench.put(*range(1, 6))
    await bench.queue.cut(3)
    await bench.ingestion.start()
    assert "the store lacks entries 1 to 3" in caplog.text
    await bench.ingestion.finish()
    assert await bench.stored() == [4, 5]


async def test_in_order_and_all_of_it(monkeypatch):
    monkeypatch.setattr(service, "READ_BYTES_MAX", SIZE)
    bench = Bench()
    await bench.put(*range(1, 11))
    async with bench.running():
        await bench.until(lambda: bench.ingestion.stored == 10)
        await bench.put(11, 12)
        await bench.until(lambda: bench.ingestion.stored == 12)
    assert [offset for batch in bench.store.batches for offset in batch] == list(range(1, 13))
    assert [offset for _, offset in bench.news][-1] == 12
    assert await bench.stored() == list(range(1, 13))


@pytest.mark.parametrize("failure", ["before", "after"])
async def test_a_store_that_fails_is_asked_again_with_the_same(failure, caplog):
    bench = Bench()
    bench.store.failures = [failure] * 3
    await bench.put(1, 2, 3)
    async with bench.running():
        await bench.until(lambda: bench.ingestion.trouble)
        await bench.until(lambda: bench.ingestion.stored == 3)
        await bench.until(lambda: bench.ingestion.trouble is None)
    assert await bench.stored() == [1, 2, 3]
    assert caplog.text.count("the store does not take readings") == 1


async def test_a_log_that_can_not_be_read_is_trouble_too(monkeypatch):
    bench = Bench()
    plain, failures = bench.queue.read, [NOTHING]

    async def read(after, bytes_max):
        if failures:
            raise failures.pop()
        return await plain(after, bytes_max)

    bench.queue.read = read
    await bench.put(1)
    async with bench.running():
        await bench.until(lambda: bench.ingestion.stored == 1)


async def test_a_restart_goes_on_from_the_stores_own_offset():
    bench = Bench()
    await bench.put(1, 2, 3)
    async with bench.running():
        await bench.until(lambda: bench.ingestion.stored == 3)
    await bench.put(4)
    bench.store.batches.clear()
    bench.new()
    async with bench.running():
        assert bench.ingestion.stored == 3
        await bench.until(lambda: bench.ingestion.stored == 4)
    assert bench.store.batches == [[4]]


async def test_nothing_is_cut_before_a_checkpoint_and_all_of_it_after_two():
    bench = Bench()
    await bench.put(1, 2)
    async with bench.running():
        await bench.until(lambda: bench.ingestion.stored == 2)
        assert (await bench.queue.status()).first == 1
        await bench.until(lambda: bench.store.checkpoints)
        await bench.put(3)
        await bench.until(lambda: bench.store.checkpoints == 2)
        await asyncio.sleep(0.01)
        assert (await bench.queue.status()).first == 3
        assert (await bench.queue.status()).groups == {GROUP: 3}


async def test_a_checkpoint_that_was_put_off_moves_nothing():
    bench = Bench()
    bench.store.lagging = True
    await bench.put(1, 2)
    async with bench.running():
        await bench.until(lambda: bench.store.checkpoints >= 2)
    status = await bench.queue.status()
    assert (status.first, status.groups) == (1, {GROUP: 0})


async def test_a_slower_group_keeps_the_log():
    bench = Bench()
    await bench.queue.acknowledge("forwarding", 1)
    await bench.put(1, 2)
    await bench.ingestion.start()
    await bench.ingestion.finish()
    await bench.put(3)
    await bench.ingestion.finish()
    assert (await bench.queue.status()).first == 2


async def test_some_of_it_is_kept_for_replay():
    bench = Bench(retain_bytes=3 * SIZE)
    await bench.ingestion.start()
    for n in range(1, 11):
        await bench.put(n)
        await bench.ingestion.finish()
    status = await bench.queue.status()
    assert 3 * SIZE <= status.bytes <= 4 * SIZE
    assert status.last == 10


@pytest.mark.parametrize("retain", [0, 5, 100])
@pytest.mark.parametrize("restart", [False, True])
async def test_a_log_at_its_limit_gets_room_again_whatever_is_kept(retain, restart):
    """What is kept for replay must never be what keeps the doors shut."""
    bench = Bench(limit_bytes=10 * SIZE, retain_bytes=retain * SIZE)
    await bench.put(*range(1, 11))
    if restart:
        await bench.store.append(await bench.queue.read(0, 1 << 30))
    with pytest.raises(Failed):
        await bench.put(11)
    async with bench.running():
        for n in range(11, 60):
            async with asyncio.timeout(5):
                while True:
                    try:
                        await bench.put(n)
                        break
                    except Failed:
                        await asyncio.sleep(0.005)
        await bench.until(lambda: bench.ingestion.stored == 59)
    assert await bench.stored() == list(range(1, 60))


async def test_much_is_folded_before_it_is_idle(monkeypatch):
    monkeypatch.setattr(service, "IDLE_CHECKPOINT_S", 60)
    monkeypatch.setattr(service, "CHECKPOINT_BYTES", 3 * SIZE)
    monkeypatch.setattr(service, "READ_BYTES_MAX", SIZE)
    bench = Bench()
    async with bench.running():
        await bench.put(*range(1, 10))
        await bench.until(lambda: bench.ingestion.stored == 9)
    assert bench.store.checkpoints == 2


async def test_time_folds_too(monkeypatch):
    monkeypatch.setattr(service, "IDLE_CHECKPOINT_S", 60)
    bench = Bench()
    async with bench.running():
        await bench.put(1)
        await bench.until(lambda: bench.ingestion.stored == 1)
        assert bench.store.checkpoints == 0
        bench.clock.advance(61)
        await bench.put(2)
        await bench.until(lambda: bench.store.checkpoints == 1)


async def test_finish_stores_and_folds_all_there_is():
    bench = Bench()
    await bench.put(1, 2, 3)
    await bench.ingestion.start()
    await bench.ingestion.finish()
    assert await bench.stored() == [1, 2, 3]
    assert (await bench.queue.status()).groups == {GROUP: 3}
    checkpoints = bench.store.checkpoints
    await bench.ingestion.finish()
    assert bench.store.checkpoints == checkpoints


async def test_finish_gives_up_with_the_stores_own_words():
    bench = Bench()
    bench.store.failures = ["before"]
    await bench.put(1)
    await bench.ingestion.start()
    with pytest.raises(Failed, match="the store is away"):
        await bench.ingestion.finish()
    assert bench.ingestion.stored == 0


class TestCaughtUp:
    async def test_not_while_the_store_is_away(self):
        bench = Bench()
        await bench.put(1)
        bench.store.failures = ["before"] * 1000
        async with bench.running():
            assert not await bench.ingestion.caught_up(0.05)
            bench.store.failures.clear()
            assert await bench.ingestion.caught_up(5)
        assert await bench.stored() == [1]

    async def test_it_does_not_wait_for_what_came_after_the_question(self):
        bench = Bench()
        async with bench.running():
            assert await bench.ingestion.caught_up(0.0)
            for n in range(1, 50):
                await bench.put(n)
                assert await bench.ingestion.caught_up(5)
                assert bench.ingestion.stored >= n

    async def test_who_asks_does_not_wait_for_the_next_round(self, monkeypatch):
        monkeypatch.setattr(service, "APPEND_EVERY_S", 30.0)
        bench = Bench()
        async with bench.running():
            await bench.put(1)
            assert await bench.ingestion.caught_up(5)
            await bench.put(2)
            assert await bench.ingestion.caught_up(5)

    async def test_many_who_ask_at_once(self):
        bench = Bench()
        async with bench.running():
            await bench.put(*range(1, 20))
            assert all(await asyncio.gather(*(bench.ingestion.caught_up(5) for _ in range(50))))
