"""Aggregation: nothing closes early, nothing is lost when the store fails, event time decides, silence ends."""

import asyncio
from contextlib import suppress

import pytest

from ringmain.model.errors import Failed
from ringmain.model.ids import DeviceKey, Offset
from ringmain.model.time import HOUR_MS, Instant, Interval
from ringmain.ports.timeseries import Appended
from ringmain.ports.windows import WindowKey, WindowRevision
from ringmain.services.aggregation.service import Aggregation, AggregationSettings
from ringmain.services.aggregation.statistics import aggregate

NOW_MS = 2_000_000_000_000
ONE, TWO = DeviceKey(1), DeviceKey(2)


class SetClock:
    def __init__(self):
        self.wall_ms = NOW_MS
        self.up_s = 0.0

    def now_ms(self):
        return self.wall_ms

    def monotonic_s(self):
        return self.up_s

    def pass_s(self, seconds):
        self.wall_ms += int(seconds * 1000)
        self.up_s += seconds


class MarkedWindows:
    """The store's side: readings, marks and revisions in memory, one-hour windows."""

    def __init__(self):
        self.readings = {}
        self.marks = set()
        self.newest = {}
        self.settled = {}
        self.looks = 0
        self.batches = []
        self.broken = ""
        self.failed = asyncio.Event()
        self.done = asyncio.Event()

    def store(self, device, at_ms, value=1):
        start = at_ms - at_ms % HOUR_MS
        key = WindowKey(device, "energy_wh", "1h", start, start + HOUR_MS)
        self.readings.setdefault(key, []).append(value)
        self.marks.add(key)
        self.newest[device] = max(at_ms, self.newest.get(device, 0))
        return Appended(Offset(1), 1, 1, 0, 0, 0, 0, 0)

    def fail_in(self, method):
        if self.broken == method:
            self.failed.set()
            raise Failed("storage_failed", "the disk is gone")

    async def pending(self):
        self.looks += 1
        return sorted(self.marks)

    async def watermarks(self):
        self.fail_in("watermarks")
        return dict(self.newest)

    async def settle(self, keys, now_ms):
        self.fail_in("settle")
        self.batches.append(len(keys))
        self.done.set()
        written = []
        for key in keys:
            self.marks.discard(key)
            revision = self.settled.get(key, -1) + 1
            self.settled[key] = revision
            span = Interval(Instant(key.start_ms), Instant(key.end_ms))
            written.append(WindowRevision(key, revision, aggregate(self.readings[key], span), now_ms))
        return written

    async def revisions(self, device, channel, size, span, *, all_revisions=False):
        raise AssertionError("aggregation does not read revisions")


@pytest.fixture
def clock():
    return SetClock()


@pytest.fixture
def store():
    return MarkedWindows()


@pytest.fixture
def aggregation(store, clock):
    settings = AggregationSettings(allowed_lateness_s=60, silence_grace_s=900, revision_interval_s=10, settle_max=3)
    return Aggregation(store, clock, settings)


HOUR = (NOW_MS // HOUR_MS - 1_000) * HOUR_MS
"""An hour long past, as a replay has it."""


async def test_a_window_stays_open_until_the_watermark_has_passed_its_end(aggregation, store):
    aggregation.notice(store.store(ONE, HOUR))
    aggregation.notice(store.store(ONE, HOUR + HOUR_MS + 59_999))
    assert await aggregation.settle_due() == []
    aggregation.notice(store.store(ONE, HOUR + HOUR_MS + 60_000))
    (closed,) = await aggregation.settle_due()
    assert (closed.key.start_ms, closed.revision, closed.aggregate.count) == (HOUR, 0, 1)
    assert aggregation.status().closed == 1


async def test_one_device_does_not_close_the_windows_of_another(aggregation, store):
    aggregation.notice(store.store(ONE, HOUR))
    aggregation.notice(store.store(TWO, HOUR + 5 * HOUR_MS))
    assert await aggregation.settle_due() == []


async def test_late_data_makes_a_revision_but_not_more_often_than_allowed(aggregation, store, clock):
    aggregation.notice(store.store(ONE, HOUR))
    aggregation.notice(store.store(ONE, HOUR + 2 * HOUR_MS))
    await aggregation.settle_due()
    aggregation.notice(store.store(ONE, HOUR + 1))
    clock.pass_s(9)
    assert await aggregation.settle_due() == []
    aggregation.notice(store.store(ONE, HOUR + 2))
    clock.pass_s(1)
    (revised,) = await aggregation.settle_due()
    assert (revised.revision, revised.aggregate.count) == (1, 3)
    assert aggregation.status().revised == 1


async def test_a_clock_that_runs_ahead_closes_nothing_early(aggregation, store, clock):
    hour = clock.now_ms() // HOUR_MS * HOUR_MS
    aggregation.notice(store.store(ONE, hour))
    aggregation.notice(store.store(ONE, hour + 1000 * HOUR_MS))
    assert await aggregation.settle_due() == []
    assert aggregation.status().pending == 2


async def test_windows_of_a_silent_device_close_after_the_grace(aggregation, store, clock):
    aggregation.notice(store.store(ONE, HOUR))
    assert await aggregation.settle_due() == []
    clock.pass_s(899)
    assert await aggregation.settle_due() == []
    clock.pass_s(1)
    (closed,) = await aggregation.settle_due()
    assert closed.key.start_ms == HOUR


async def test_a_replay_that_goes_on_is_not_silent_however_old_its_stamps(aggregation, store, clock):
    for minute in range(60):
        aggregation.notice(store.store(ONE, HOUR + minute * 1000))
        assert await aggregation.settle_due() == []
        clock.pass_s(60)


async def test_the_running_hour_of_a_silent_device_waits_for_its_end(aggregation, store, clock):
    hour = clock.now_ms() // HOUR_MS * HOUR_MS
    aggregation.notice(store.store(ONE, hour))
    await aggregation.settle_due()
    clock.pass_s(901)
    assert clock.now_ms() < hour + HOUR_MS
    assert await aggregation.settle_due() == []
    clock.pass_s(3600)
    assert len(await aggregation.settle_due()) == 1


async def test_the_store_is_asked_again_only_after_something_was_stored(aggregation, store):
    for _ in range(5):
        await aggregation.settle_due()
    assert store.looks == 1
    aggregation.notice(Appended(Offset(2), 3, 0, 3, 0, 0, 0, 0))
    await aggregation.settle_due()
    assert store.looks == 1, "duplicates alone mark no window"
    aggregation.notice()
    await aggregation.settle_due()
    assert store.looks == 2


async def test_batches_are_bounded_and_the_oldest_window_goes_first(aggregation, store):
    for index in range(8):
        aggregation.notice(store.store(ONE, HOUR + index * HOUR_MS))
    written = await aggregation.settle_due()
    assert store.batches == [3, 3]
    assert [each.key.start_ms for each in written] == [HOUR + index * HOUR_MS for index in range(6)]
    assert aggregation.status().pending == 2


async def test_what_was_pending_before_a_restart_is_found_without_a_notice(store, clock):
    store.store(ONE, HOUR)
    store.store(ONE, HOUR + 2 * HOUR_MS)
    assert len(await Aggregation(store, clock).settle_due()) == 1


@pytest.mark.parametrize("broken", ["watermarks", "settle"])
async def test_a_store_that_fails_is_asked_again(store, broken, clock, caplog):
    store.store(ONE, HOUR)
    store.store(ONE, HOUR + 2 * HOUR_MS)
    store.broken = broken
    aggregation = Aggregation(store, clock, AggregationSettings(interval_s=0.001))
    async with asyncio.timeout(5):
        task = asyncio.create_task(aggregation.run())
        await store.failed.wait()
        assert store.settled == {}
        store.broken = ""
        await store.done.wait()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
    assert aggregation.status().failures
    assert "their marks are kept" in caplog.text
