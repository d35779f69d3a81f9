"""One suite over every home of the time-series port."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ringmain.adapters.embedded.timeseries import open_timeseries
from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.timeseries import SimulatedTimeSeries
from ringmain.model.batch import FORMAT, Batch, DeadLetter, Rejection, Stamped, block_of, encode_batch
from ringmain.model.time import DAY_MS, HOUR_MS, INSTANT_MAX, Interval
from ringmain.ports.outcomes import Conflict, Tally
from ringmain.ports.queue import Entry
from ringmain.ports.timeseries import Aggregate, Appended, Reading
from ringmain.ports.windows import WindowKey

T0 = 1_700_000_000_000 - 1_700_000_000_000 % DAY_MS
EVER = Interval(0, INSTANT_MAX)


class HoursAndDays:
    """Hours and days in UTC."""

    def windows(self, device, at_ms):
        hour, day = at_ms - at_ms % HOUR_MS, at_ms - at_ms % DAY_MS
        return ("1h", hour, hour + HOUR_MS), ("day", day, day + DAY_MS)


@pytest.fixture(params=["embedded", "simulated"])
async def make(request, tmp_path):
    opened = []

    async def open_store():
        if request.param == "simulated":
            store = SimulatedTimeSeries(HoursAndDays(), SimulatedClock())
        else:
            store = await open_timeseries(
                tmp_path / str(len(opened)), HoursAndDays(), SimulatedClock(), memory_mib=128, threads=1
            )
        opened.append(store)
        return store

    yield open_store
    for store in opened:
        await store.close()


@pytest.fixture
async def store(make):
    return await make()


def entry(offset, *blocks, received_ms=T0, dead_letters=(), rejections=()):
    return Entry(offset, encode_batch(Batch(FORMAT, received_ms, blocks, dead_letters, rejections)))


def exact(rows, channels=("energy_wh",), **how):
    """A block of (device, stamp, value, value...) rows."""
    values = [value for row in rows for value in row[2:]]
    return block_of(channels, [row[0] for row in rows], [row[1] for row in rows], values, exact=True, **how)


def measured(rows, channels=("power_w",), **how):
    values = [value for row in rows for value in row[2:]]
    return block_of(channels, [row[0] for row in rows], [row[1] for row in rows], values, exact=False, **how)


async def all_readings(store, device, channel=None):
    return list(await store.readings(device, channel, EVER, after=None, limit=100_000))


async def books(store, devices=None):
    return {(tally.outcome, tally.reason): tally.count for tally in await store.outcomes.tally(devices)}


def balanced(tallies):
    received = sum(count for (outcome, _), count in tallies.items() if outcome == "received")
    return received == sum(count for (outcome, _), count in tallies.items() if outcome != "received")


async def test_an_entry_that_is_no_batch_becomes_a_dead_letter_and_the_next_one_is_stored(store):
    appended = await store.append([Entry(1, b"\xc1garbage"), entry(2, exact([(7, T0, 5)]))])
    assert appended == Appended(2, 1, 1, 0, 0, 0, 0, 1)
    (letter,) = await store.outcomes.dead_letters(None, after=0, limit=10)
    assert (letter.offset, letter.device, letter.door, letter.reason) == (1, 0, "log", "undecodable_entry")
    assert letter.payload == b"\xc1garbage"
    assert balanced(await books(store))


async def test_a_batch_of_a_newer_format_is_kept_as_it_is(store):
    body = encode_batch(Batch(FORMAT + 1, T0))
    await store.append([Entry(4, body)])
    (letter,) = await store.outcomes.dead_letters([0], after=0, limit=10)
    assert letter.payload == body
    assert str(FORMAT + 1) in letter.detail


@pytest.mark.slow
@pytest.mark.parametrize("stamp", [-1, INSTANT_MAX + 1, -(2**63), 2**63 - 1])
async def test_a_stamp_that_no_device_may_have_is_rejected_and_counted(store, stamp):
    appended = await store.append([entry(1, exact([(7, T0, 5), (7, stamp, 6), (8, stamp, 7)]))])
    assert appended == Appended(1, 1, 1, 0, 0, 0, 2, 0)
    assert await books(store, [7]) == {
        ("received", ""): 2,
        ("stored", ""): 1,
        ("rejected", "stamp_out_of_range"): 1,
    }
    assert (await store.windows.watermarks()) == {7: T0}


async def test_the_same_reading_again_is_a_duplicate_and_another_value_a_conflict(store):
    await store.append([entry(1, exact([(7, T0, 5)]))])
    appended = await store.append([entry(2, exact([(7, T0, 5), (7, T0, 6)]), received_ms=T0 + 9)])
    assert appended == Appended(2, 2, 0, 1, 1, 0, 0, 0)
    assert await all_readings(store, 7) == [Reading(7, "energy_wh", T0, 5)]
    assert await store.outcomes.conflicts(None, after=0, limit=9) == [Conflict(1, 7, "energy_wh", T0, 5, 6, T0 + 9)]


async def test_the_first_to_arrive_wins_within_one_append(store):
    blocks = [measured([(7, T0, 1.5, 2.5)], ("a", "b")), measured([(7, T0, 9.5), (7, T0, 1.5)], ("a",))]
    appended = await store.append([entry(1, *blocks), entry(2, measured([(7, T0, 8.5, 3.5)], ("a", "c")))])
    assert appended == Appended(2, 6, 3, 1, 2, 0, 0, 0)
    assert [(r.channel, r.value) for r in await all_readings(store, 7)] == [("a", 1.5), ("b", 2.5), ("c", 3.5)]
    assert [c.received for c in await store.outcomes.conflicts([7], after=0, limit=9)] == [9.5, 8.5]


async def test_arrival_decides_also_where_blocks_over_the_same_channels_are_put_together(store):
    first = entry(1, measured([(8, T0, 0.5)], ("a",)), measured([(7, T0, 2.5, 5.5)], ("a", "b")))
    await store.append([first, entry(2, measured([(7, T0, 9.5)], ("a",)))])
    assert [(r.channel, r.value) for r in await all_readings(store, 7)] == [("a", 2.5), ("b", 5.5)]
    assert [c.received for c in await store.outcomes.conflicts([7], after=0, limit=9)] == [9.5]


async def test_the_same_conflict_again_is_counted_but_kept_once(store):
    await store.append([entry(1, exact([(7, T0, 5)]))])
    for offset in (2, 3):
        assert (await store.append([entry(offset, exact([(7, T0, 6), (7, T0, 6)]))])).conflicts == 2
    assert len(await store.outcomes.conflicts(None, after=0, limit=9)) == 1
    assert (await books(store))["conflict", ""] == 4
    await store.append([entry(4, exact([(7, T0, 7)]))])
    assert [c.received for c in await store.outcomes.conflicts(None, after=1, limit=9)] == [7]


async def test_a_channel_whose_kind_changed_does_not_store_an_interval_twice(store):
    await store.append([entry(1, exact([(7, T0, 5), (7, T0 + 1, 6)], ("x",)))])
    rows = [(7, T0, 5.0), (7, T0 + 1, 6.5), (7, T0 + 2, 7.5)]
    appended = await store.append([entry(2, measured(rows, ("x",)))])
    assert appended == Appended(2, 3, 1, 1, 1, 0, 0, 0)
    assert [r.value for r in await all_readings(store, 7)] == [5, 6, 7.5]
    assert await store.latest(7) == [Reading(7, "x", T0 + 2, 7.5)]
    (found,) = await store.aggregate(7, "x", [Interval(T0, T0 + 10)])
    assert (found.count, found.sum, found.min, found.max) == (3, 18.5, 5.0, 7.5)


async def test_both_kinds_of_one_key_in_one_append(store):
    appended = await store.append([entry(1, measured([(7, T0, 5.0)], ("x",)), exact([(7, T0, 5)], ("x",)))])
    assert (appended.stored, appended.duplicates) == (1, 1)


@pytest.mark.slow
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -0.0, 5e-324])
async def test_odd_doubles_are_stored_and_recognised(store, value):
    for offset in (1, 2):
        await store.append([entry(offset, measured([(7, T0, value)]))])
    assert await books(store) == {("received", ""): 2, ("stored", ""): 1, ("duplicate", ""): 1}
    assert repr((await all_readings(store, 7))[0].value) == repr(value)
    await store.append([entry(3, measured([(7, T0, 1.25)]))])
    (conflict,) = await store.outcomes.conflicts(None, after=0, limit=9)
    assert repr(conflict.stored) == repr(value)


async def test_a_nan_in_conflict_is_kept_once(store):
    await store.append([entry(1, measured([(7, T0, 1.0)]))])
    for offset in (2, 3):
        await store.append([entry(offset, measured([(7, T0, float("nan"))]))])
    (conflict,) = await store.outcomes.conflicts(None, after=0, limit=9)
    assert repr(conflict.received) == "nan"


async def test_entries_at_or_below_the_offset_are_skipped(store):
    await store.append([entry(5, exact([(7, T0, 5)]))])
    again = await store.append([entry(4, exact([(7, T0, 9)])), entry(5, exact([(7, T0, 5)]))])
    assert again == Appended(5, 0, 0, 0, 0, 0, 0, 0)
    mixed = await store.append([entry(5, exact([(7, T0, 5)])), entry(6, exact([(7, T0 + 1, 6)]))])
    assert mixed == Appended(6, 1, 1, 0, 0, 0, 0, 0)
    assert await store.offset() == 6
    assert balanced(await books(store))


async def test_an_empty_entry_moves_the_offset(store):
    assert await store.append([]) == Appended(0, 0, 0, 0, 0, 0, 0, 0)
    assert (await store.append([entry(3)])).offset == 3
    assert await store.checkpoint() == 3


async def test_late_readings_are_stored_and_do_not_become_the_latest(store):
    await store.append([entry(1, exact([(7, T0 + 100, 5), (8, T0 + 50, 1)]))])
    late = [(7, T0, 3), (7, T0 - 400 * DAY_MS, 2), (7, T0 + 200, 6), (7, T0 + 100, 5)]
    assert await store.append([entry(2, exact(late))]) == Appended(2, 4, 3, 1, 0, 0, 0, 0)
    assert await store.latest(7) == [Reading(7, "energy_wh", T0 + 200, 6)]
    assert [r.value for r in await all_readings(store, 7)] == [2, 3, 5, 6]


async def test_stamps_far_apart_are_all_looked_up(store):
    rows = [(7, T0 - n * 30 * DAY_MS, n) for n in range(40)]
    await store.append([entry(1, exact(rows))])
    again = await store.append([entry(2, exact([*rows, (7, T0 - 15 * DAY_MS, 99)]))])
    assert (again.duplicates, again.stored) == (40, 1)


async def test_readings_come_in_pages_ordered_by_stamp_and_channel(store):
    rows = [(7, T0 + n, n, n + 0.5) for n in (3, 1, 2)]
    await store.append([entry(1, measured(rows, ("b", "a")), exact([(7, T0 + 2, 1)], ("aa",)))])
    await store.append([entry(2, exact([(9, T0 + 2, 1)], ("aa",)))])
    pages, after = [], None
    while page := await store.readings(7, None, Interval(T0 + 1, T0 + 4), after=after, limit=2):
        pages.append([(r.at_ms - T0, r.channel) for r in page])
        after = (page[-1].at_ms, page[-1].channel)
    assert pages == [[(1, "a"), (1, "b")], [(2, "a"), (2, "aa")], [(2, "b"), (3, "a")], [(3, "b")]]
    one = await store.readings(7, "b", Interval(T0 + 1, T0 + 3), after=None, limit=9)
    assert [(r.at_ms - T0, r.value) for r in one] == [(1, 1.0), (2, 2.0)]


async def test_the_end_of_a_span_does_not_belong_to_it(store):
    await store.append([entry(1, exact([(7, T0, 1), (7, T0 + 10, 2)]))])
    found = await store.readings(7, None, Interval(T0, T0 + 10), after=None, limit=9)
    assert [r.value for r in found] == [1]


async def test_integers_stay_integers_beyond_two_to_the_53(store):
    huge = [2**63 - 1, 2**63 - 2, 2**53 + 1]
    await store.append([entry(1, exact([(7, T0 + n, value) for n, value in enumerate(huge)]))])
    assert [r.value for r in await all_readings(store, 7)] == huge
    (found,) = await store.aggregate(7, "energy_wh", [Interval(T0, T0 + 10)])
    assert (found.sum, found.min, found.max) == (sum(huge), min(huge), max(huge))
    assert all(isinstance(each, int) for each in (found.sum, found.min, found.max))
    keys = [WindowKey(7, "energy_wh", "1h", T0, T0 + HOUR_MS)]
    (settled,) = await store.windows.settle(keys, T0)
    assert settled.aggregate.sum == sum(huge)
    (read,) = await store.windows.revisions(7, "energy_wh", "1h", EVER)
    assert read == settled
    assert isinstance(read.aggregate.sum, int)


async def test_a_stamp_of_arrival_is_marked_as_such(store):
    await store.append([entry(1, exact([(7, T0, 1)], stamped=Stamped.ARRIVAL), exact([(8, T0, 1)]))])
    assert (await all_readings(store, 7))[0].stamped_on_arrival
    assert (await store.latest(7))[0].stamped_on_arrival
    assert not (await store.latest(8))[0].stamped_on_arrival


async def test_nothing_is_known_of_strangers(store):
    await store.append([entry(1, exact([(7, T0, 1)]))])
    assert list(await store.latest(8)) == []
    assert await all_readings(store, 8) == []
    assert list(await store.aggregate(8, "energy_wh", [EVER])) == []
    assert list(await store.aggregate(7, "other", [EVER])) == []
    assert await store.release(8) == 0


async def test_aggregates_of_many_spans(store):
    rows = [(7, T0 + n * 60_000, n) for n in range(600)]
    await store.append([entry(1, exact(rows))])
    spans = [Interval(T0 + n * HOUR_MS, T0 + (n + 1) * HOUR_MS) for n in range(-2, 12)]
    found = await store.aggregate(7, "energy_wh", spans)
    assert [each.start_ms for each in found] == [T0 + n * HOUR_MS for n in range(10)]
    assert found[1] == Aggregate(T0 + HOUR_MS, T0 + 2 * HOUR_MS, 60, sum(range(60, 120)), 60, 119, 89.5, 89.5)


async def test_spans_of_unequal_length_and_with_gaps(store):
    await store.append([entry(1, measured([(7, T0 + n, n * 0.1) for n in range(1000)]))])
    spans = [
        Interval(T0, T0 + 1),
        Interval(T0 + 2, T0 + 2),
        Interval(T0 + 5, T0 + 900),
        Interval(T0 + 950, T0 + DAY_MS),
    ]
    found = await store.aggregate(7, "power_w", spans)
    assert [each.count for each in found] == [1, 895, 50]
    assert found[2].mean == pytest.approx(97.45)


async def test_quarantined_readings_are_kept_apart_until_they_are_released(store):
    await store.append([entry(1, exact([(7, T0, 1), (8, T0, 2)], quarantined=True), received_ms=T0 + 3)])
    assert await all_readings(store, 7) == []
    assert await books(store, [7]) == {("received", ""): 1, ("quarantined", ""): 1}
    await store.append([entry(2, exact([(7, T0 + 1, 9)]))])
    await store.append([entry(3, exact([(7, T0, 1), (7, T0 + 1, 8), (7, T0 + 2, 3)], quarantined=True))])
    assert list(await store.quarantined()) == [7, 8]
    assert await store.release(7) == 2
    assert list(await store.quarantined()) == [8]
    assert await books(store, [7]) == {
        ("received", ""): 5,
        ("stored", ""): 3,
        ("duplicate", ""): 1,
        ("conflict", ""): 1,
    }
    assert [r.value for r in await all_readings(store, 7)] == [1, 9, 3]
    assert await all_readings(store, 8) == []
    assert await store.release(7) == 0
    assert balanced(await books(store))
    assert {key.device for key in await store.windows.pending()} == {7}


def operations():
    """Batches that meet each other often: few devices, channels, stamps and values."""
    channels = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=3, unique=True)
    stamps = st.sampled_from([T0, T0 + 1, T0 + HOUR_MS, T0 - 40 * DAY_MS, -5])

    @st.composite
    def blocks(draw):
        names, is_exact = draw(channels), draw(st.booleans())
        row = st.tuples(st.integers(1, 3), stamps, *[st.integers(0, 1)] * len(names))
        rows = draw(st.lists(row, min_size=1, max_size=6))
        how = {"quarantined": draw(st.booleans()), "stamped": draw(st.sampled_from(Stamped))}
        return (exact if is_exact else measured)(rows, tuple(names), **how)

    entries = st.lists(st.lists(blocks(), max_size=3), min_size=1, max_size=3)
    return st.lists(
        st.one_of(
            st.tuples(st.just("append"), entries),
            st.tuples(st.just("release"), st.integers(1, 3)),
            st.tuples(st.just("settle"), st.just(None)),
            st.tuples(st.just("checkpoint"), st.just(None)),
            st.tuples(st.just("reopen"), st.just(None)),
        ),
        min_size=1,
        max_size=8,
    )


async def apply(store, offset, verb, what):
    if verb == "append":
        return await store.append([entry(offset + n, *blocks) for n, blocks in enumerate(what, 1)])
    if verb == "release":
        return await store.release(what)
    if verb == "settle":
        return await store.windows.settle(sorted(await store.windows.pending()), T0)
    if verb == "checkpoint":
        return await store.checkpoint()
    return None


async def picture(store):
    """Everything that can be asked."""
    return {
        "readings": [await all_readings(store, device) for device in (1, 2, 3)],
        "latest": [list(await store.latest(device)) for device in (1, 2, 3)],
        "books": [await books(store, devices) for devices in (None, [1], [2, 3])],
        "conflicts": list(await store.outcomes.conflicts(None, after=0, limit=1000)),
        "pending": sorted(await store.windows.pending()),
        "watermarks": await store.windows.watermarks(),
        "windows": [
            list(await store.windows.revisions(device, channel, "1h", EVER, all_revisions=True))
            for device in (1, 2, 3)
            for channel in "abc"
        ],
    }


@pytest.mark.slow
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(script=operations())
async def test_both_homes_give_the_same_answers(script, tmp_path_factory):
    directory = tmp_path_factory.mktemp("store")
    reference = SimulatedTimeSeries(HoursAndDays(), SimulatedClock())
    store = await open_timeseries(directory, HoursAndDays(), SimulatedClock(), memory_mib=128, threads=1)
    try:
        offset = 0
        for verb, what in script:
            if verb == "reopen":
                await store.close()
                store = await open_timeseries(directory, HoursAndDays(), SimulatedClock(), memory_mib=128, threads=1)
            assert await apply(store, offset, verb, what) == await apply(reference, offset, verb, what)
            offset += len(what) if verb == "append" else 0
        assert await picture(store) == await picture(reference)
        assert balanced(await books(store))
    finally:
        await store.close()


async def test_rejections_and_dead_letters_are_counted_for_their_device(store):
    letter = DeadLetter(7, T0, "mqtt", "t/1", b"{oops", "undecodable_payload", "expected a number")
    await store.append([entry(1, dead_letters=(letter,), rejections=(Rejection(8, "device_suspended", 3),))])
    assert list(await store.outcomes.tally([8])) == [
        Tally("received", "", 3),
        Tally("rejected", "device_suspended", 3),
    ]
    assert (await books(store, [7])) == {("received", ""): 1, ("dead_letter", "undecodable_payload"): 1}
