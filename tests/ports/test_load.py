"""One suite over every home of the load port."""

import asyncio
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringmain.adapters.embedded import load as embedded_load
from ringmain.adapters.embedded.timeseries import open_timeseries
from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.timeseries import SimulatedTimeSeries
from ringmain.model.batch import FORMAT, Batch, block_of, encode_batch
from ringmain.model.time import DAY_MS, HOUR_MS, INSTANT_MAX, Interval
from ringmain.ports.load import Grid, Share
from ringmain.ports.queue import Entry

T0 = 1_700_000_000_000 - 1_700_000_000_000 % DAY_MS
EVER = Interval(0, INSTANT_MAX)
HOURS = Grid(T0, HOUR_MS, 4)


class Days:
    def windows(self, device, at_ms):
        day = at_ms - at_ms % DAY_MS
        return (("day", day, day + DAY_MS),)


async def opened(kind, directory):
    if kind == "simulated":
        return SimulatedTimeSeries(Days(), SimulatedClock())
    return await open_timeseries(directory, Days(), SimulatedClock(), memory_mib=128, threads=1)


@pytest.fixture(params=["embedded", "simulated"])
async def store(request, tmp_path):
    store = await opened(request.param, tmp_path)
    yield store
    await store.close()


def entry(offset, rows, *, channel="energy_wh", exact=True):
    devices, stamps, values = zip(*rows, strict=True)
    return Entry(offset, encode_batch(Batch(FORMAT, T0, (block_of((channel,), devices, stamps, values, exact=exact),))))


def plain(sums):
    return list(sums.totals), list(sums.homes), sums.refused, sums.unsummed


async def test_nothing_comes_to_nothing(store):
    empty = ([0] * 4, [0] * 4, 0, ())
    assert plain(await store.load.sums([], HOURS)) == empty
    assert plain(await store.load.sums([Share(1, 7, "energy_wh", EVER)], HOURS)) == empty
    assert await store.load.extents([]) == {}
    assert await store.load.extents([(7, "energy_wh")]) == {}
    assert await store.load.revised([], "day", EVER) == {}
    assert await store.load.revised([Share(1, 7, "energy_wh", EVER)], "day", EVER) == {}
    assert Grid(T0, HOUR_MS, 4).span == Interval(T0, T0 + 4 * HOUR_MS)


async def test_sums_over_homes_are_exact_and_count_a_home_once_a_slot(store):
    big = 2**62
    rows = [(7, T0, 1), (7, T0 + HOUR_MS - 1, 2), (8, T0, big), (8, T0 + HOUR_MS, big), (9, T0 + HOUR_MS, big)]
    await store.append([entry(1, [*rows, (7, T0 - 1, 99), (7, T0 + 4 * HOUR_MS, 99), (10, T0, 99)])])
    shares = [Share(device, device, "energy_wh", EVER) for device in (7, 8, 9)]
    sums = await store.load.sums(shares, HOURS)
    assert plain(sums) == ([big + 3, 2 * big, 0, 0], [2, 2, 0, 0], 0, ())
    assert all(isinstance(total, int) for total in sums.totals)


async def test_a_share_ends_where_another_meter_took_over(store):
    await store.append([entry(1, [(device, T0 + n * HOUR_MS, 10 * device) for n in range(4) for device in (1, 2)])])
    at = T0 + 2 * HOUR_MS
    shares = [
        Share(5, 1, "energy_wh", Interval(T0, at)),
        Share(5, 2, "energy_wh", Interval(at, INSTANT_MAX), factor=3),
    ]
    assert plain(await store.load.sums(shares, HOURS)) == ([10, 10, 60, 60], [1, 1, 1, 1], 0, ())


async def test_values_outside_a_share_s_limits_are_counted_and_not_added(store):
    await store.append([entry(1, [(7, T0, -1), (7, T0 + 1, 5), (7, T0 + HOUR_MS, 6), (7, T0 + 2 * HOUR_MS, 0)])])
    sums = await store.load.sums([Share(1, 7, "energy_wh", EVER, most=5)], HOURS)
    assert plain(sums) == ([5, 0, 0, 0], [1, 0, 1, 0], 2, ())


async def test_what_was_ever_a_double_is_told_and_not_summed(store):
    await store.append([entry(1, [(7, T0, 5), (8, T0, 6)])])
    await store.append([entry(2, [(7, T0 + 9 * DAY_MS, 0.5), (9, T0, 1.5)], exact=False)])
    shares = [Share(device, device, "energy_wh", EVER) for device in (7, 8, 9)]
    assert plain(await store.load.sums(shares, HOURS)) == ([6, 0, 0, 0], [1, 0, 0, 0], 0, (0, 2))


async def test_channels_are_kept_apart(store):
    await store.append([entry(1, [(7, T0, 5), (8, T0, 50)])])
    await store.append([entry(2, [(7, T0, 500), (8, T0, 5000)], channel="export_wh")])
    shares = [Share(1, 7, "energy_wh", EVER), Share(2, 8, "export_wh", EVER), Share(3, 8, "unheard_wh", EVER)]
    assert plain(await store.load.sums(shares, HOURS))[:2] == ([5005, 0, 0, 0], [2, 0, 0, 0])


async def test_extents_are_of_each_series_and_either_kind(store):
    await store.append([entry(1, [(7, T0, 5), (7, T0 + 9, 5), (8, T0 + 3, 5)])])
    await store.append([entry(2, [(7, T0 + 20, 1.5)], channel="power_w", exact=False)])
    asked = [(7, "energy_wh"), (7, "power_w"), (8, "power_w"), (9, "energy_wh"), (7, "unheard")]
    assert await store.load.extents(asked) == {
        (7, "energy_wh"): Interval(T0, T0 + 10),
        (7, "power_w"): Interval(T0 + 20, T0 + 21),
    }


async def test_revised_windows_are_counted_by_home_and_first_settlements_are_not(store):
    await store.append([entry(1, [(device, T0 + n * DAY_MS, 5) for n in range(3) for device in (7, 8)])])
    await store.windows.settle(await store.windows.pending(), T0)
    shares = [Share(device, device, "energy_wh", EVER) for device in (7, 8)]
    assert await store.load.revised(shares, "day", EVER) == {}
    for late in (1, 2):
        await store.append(
            [entry(1 + late, [(7, T0 + late, 5), (8, T0 + DAY_MS + late, 5), (7, T0 + DAY_MS + late, 5)])]
        )
        await store.windows.settle(await store.windows.pending(), T0)
    assert await store.load.revised(shares, "day", EVER) == {T0: 1, T0 + DAY_MS: 2}
    assert await store.load.revised(shares, "day", Interval(T0 + 1, INSTANT_MAX)) == {T0 + DAY_MS: 2}
    assert await store.load.revised(shares, "week", EVER) == {}
    first_hours = [Share(7, 7, "energy_wh", Interval(T0 + HOUR_MS, T0 + 2 * HOUR_MS))]
    assert await store.load.revised(first_hours, "day", EVER) == {T0: 1}


ROWS = st.lists(
    st.tuples(st.integers(1, 4), st.integers(T0, T0 + 5 * HOUR_MS), st.integers(-2, 2**62)), min_size=1, max_size=40
)


@pytest.mark.slow
async def test_both_homes_say_the_same_whatever_the_statements(tmp_path, monkeypatch):
    """One pair of stores for all examples, each with devices of its own."""
    monkeypatch.setattr(embedded_load, "ROWS_MAX", 5)
    stores = [await opened(kind, tmp_path) for kind in ("embedded", "simulated")]
    loop, examples = asyncio.get_running_loop(), itertools.count(1)

    async def answers(rows, factor, count):
        number = next(examples)
        mine = [(10 * number + device, at_ms, value) for device, at_ms, value in rows]
        shares = [Share(device % 3, 10 * number + device, "energy_wh", EVER, factor, 2**61) for device in (1, 2, 3)]
        found = []
        for store in stores:
            await store.append([entry(number, mine)])
            found.append(plain(await store.load.sums(shares, Grid(T0, HOUR_MS * 5 // 7, count))))
        return found

    @settings(max_examples=50, deadline=None)
    @given(rows=ROWS, factor=st.integers(1, 10**6), count=st.integers(1, 7))
    def compare(rows, factor, count):
        embedded, simulated = asyncio.run_coroutine_threadsafe(answers(rows, factor, count), loop).result(30)
        assert embedded == simulated

    await asyncio.to_thread(compare)
    for store in stores:
        await store.close()
