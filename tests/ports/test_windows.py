"""One suite over every home of the windows port."""

import pytest

from ringmain.adapters.embedded.timeseries import open_timeseries
from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.timeseries import SimulatedTimeSeries
from ringmain.model.batch import FORMAT, Batch, block_of, encode_batch
from ringmain.model.time import DAY_MS, HOUR_MS, INSTANT_MAX, MINUTE_MS, Interval
from ringmain.ports.queue import Entry
from ringmain.ports.timeseries import Aggregate
from ringmain.ports.windows import WindowKey

T0 = 1_700_000_000_000 - 1_700_000_000_000 % DAY_MS
EVER = Interval(0, INSTANT_MAX)


class Plan:
    """Hours and days in UTC for all but device 99; it remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def windows(self, device, at_ms):
        self.asked.append((device, at_ms))
        if device == 99:
            return ()
        hour, day = at_ms - at_ms % HOUR_MS, at_ms - at_ms % DAY_MS
        return ("1h", hour, hour + HOUR_MS), ("day", day, day + DAY_MS)


@pytest.fixture
def plan():
    return Plan()


@pytest.fixture(params=["embedded", "simulated"])
async def store(request, tmp_path, plan):
    if request.param == "simulated":
        store = SimulatedTimeSeries(plan, SimulatedClock())
    else:
        store = await open_timeseries(tmp_path, plan, SimulatedClock(), memory_mib=128, threads=1)
    yield store
    await store.close()


def entry(offset, rows, *, channel="energy_wh", exact=True, quarantined=False):
    devices, stamps, values = zip(*rows, strict=True)
    block = block_of((channel,), devices, stamps, values, exact=exact, quarantined=quarantined)
    return Entry(offset, encode_batch(Batch(FORMAT, T0, (block,))))


def hour(device, number, channel="energy_wh"):
    return WindowKey(device, channel, "1h", T0 + number * HOUR_MS, T0 + (number + 1) * HOUR_MS)


def day(device, channel="energy_wh"):
    return WindowKey(device, channel, "day", T0, T0 + DAY_MS)


async def test_settling_what_is_not_pending_makes_no_revision(store):
    assert list(await store.windows.settle([hour(7, 0)], T0)) == []
    await store.append([entry(1, [(7, T0, 1)])])
    await store.windows.settle([hour(7, 0)], T0)
    assert list(await store.windows.settle([hour(7, 0), hour(8, 0)], T0)) == []
    assert len(await store.windows.revisions(7, "energy_wh", "1h", EVER, all_revisions=True)) == 1


async def test_duplicates_conflicts_and_quarantined_readings_mark_nothing(store):
    await store.append([entry(1, [(7, T0, 1)])])
    await store.windows.settle([hour(7, 0), day(7)], T0)
    await store.append([entry(2, [(7, T0, 1), (7, T0, 2)])])
    await store.append([entry(3, [(7, T0 + 5, 2)], quarantined=True)])
    assert list(await store.windows.pending()) == []
    await store.release(7)
    assert sorted(await store.windows.pending()) == [hour(7, 0), day(7)]


async def test_a_device_without_windows_marks_nothing(store):
    await store.append([entry(1, [(99, T0, 1)])])
    assert list(await store.windows.pending()) == []


async def test_a_window_is_pending_from_its_first_reading_and_settled_once(store):
    await store.append([entry(1, [(7, T0, 1), (7, T0 + HOUR_MS, 2), (8, T0 + 1, 3)])])
    assert sorted(await store.windows.pending()) == sorted([hour(7, 0), hour(7, 1), day(7), hour(8, 0), day(8)])
    (revision,) = await store.windows.settle([hour(7, 0), hour(7, 0)], T0 + DAY_MS)
    assert (revision.revision, revision.closed_ms, revision.key) == (0, T0 + DAY_MS, hour(7, 0))
    assert hour(7, 0) not in await store.windows.pending()
    assert hour(7, 1) in await store.windows.pending()


async def test_late_data_makes_the_next_revision_and_keeps_the_old_one(store):
    await store.append([entry(1, [(7, T0 + MINUTE_MS, 4), (7, T0 + 2 * HOUR_MS, 9)])])
    await store.windows.settle([hour(7, 0)], T0 + 1)
    await store.append([entry(2, [(7, T0 + 2 * MINUTE_MS, 6)])])
    assert hour(7, 0) in await store.windows.pending()
    await store.windows.settle([hour(7, 0)], T0 + 2)
    start, end = T0, T0 + HOUR_MS
    old, new = await store.windows.revisions(7, "energy_wh", "1h", EVER, all_revisions=True)
    assert (old.revision, old.aggregate) == (0, Aggregate(start, end, 1, 4, 4, 4, 4.0, 4.0))
    assert (new.revision, new.aggregate) == (1, Aggregate(start, end, 2, 10, 4, 6, 5.0, 5.0))
    assert list(await store.windows.revisions(7, "energy_wh", "1h", EVER)) == [new]


async def test_a_reading_that_comes_right_after_settling_marks_again(store):
    await store.append([entry(1, [(7, T0, 4)])])
    await store.windows.settle([hour(7, 0), day(7)], T0)
    await store.append([entry(2, [(7, T0 + 1, 4)])])
    assert sorted(await store.windows.pending()) == [hour(7, 0), day(7)]


@pytest.mark.slow
async def test_windows_of_many_series_and_sizes_settle_at_once(store):
    for offset, channel, exact in ((1, "energy_wh", True), (2, "power_w", False)):
        rows = [(device, T0 + n * 10 * MINUTE_MS, n + device) for n in range(30) for device in (1, 2, 3)]
        await store.append([entry(offset, rows, channel=channel, exact=exact)])
    keys = await store.windows.pending()
    revisions = await store.windows.settle(keys, T0)
    assert [revision.key for revision in revisions] == list(keys)
    assert len(keys) == 2 * 3 * (5 + 1)
    found = {revision.key: revision.aggregate for revision in revisions}
    assert found[day(2)].sum == sum(range(2, 32))
    assert found[hour(3, 1, "power_w")] == Aggregate(T0 + HOUR_MS, T0 + 2 * HOUR_MS, 6, 69.0, 9.0, 14.0, 11.5, 11.5)
    assert isinstance(found[hour(1, 0)].sum, int)
    assert isinstance(found[hour(1, 0, "power_w")].sum, float)
    for key, aggregate in found.items():
        (read,) = await store.windows.revisions(key.device, key.channel, key.size, Interval(key.start_ms, key.end_ms))
        assert read.aggregate == aggregate


async def test_revisions_are_those_that_start_in_the_span(store):
    await store.append([entry(1, [(7, T0 + n * HOUR_MS, n) for n in range(5)])])
    await store.windows.settle(await store.windows.pending(), T0)
    found = await store.windows.revisions(7, "energy_wh", "1h", Interval(T0 + HOUR_MS, T0 + 3 * HOUR_MS))
    assert [each.key for each in found] == [hour(7, 1), hour(7, 2)]
    assert list(await store.windows.revisions(7, "energy_wh", "1w", EVER)) == []
    assert list(await store.windows.revisions(7, "other", "1h", EVER)) == []


async def test_the_plan_is_asked_by_the_quarter_of_an_hour(store, plan):
    await store.append([entry(1, [(7, T0 + n * 1000, n) for n in range(1000)])])
    assert {at_ms for _, at_ms in plan.asked} == {T0, T0 + 15 * MINUTE_MS}


async def test_watermarks_are_the_greatest_stored_stamps(store):
    await store.append([entry(1, [(7, T0 + 5, 1), (7, T0 + 2, 1), (8, T0, 1)])])
    await store.append([entry(2, [(8, T0 + 9, 1.5)], channel="power_w", exact=False)])
    await store.append([entry(3, [(9, T0 + 9, 1)], quarantined=True)])
    assert await store.windows.watermarks() == {7: T0 + 5, 8: T0 + 9}
