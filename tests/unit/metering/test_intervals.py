"""Intervals: nothing negative becomes energy, registers conserve what they counted, gaps are found to the slot."""

from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringmain.metering.intervals import (
    EnergyInterval,
    completeness,
    of_interval_channel,
    of_register_channel,
    starting_in,
    whole_wh,
)
from ringmain.model.time import DAY_MS, Instant, Interval, parse_rfc3339

UNHURRIED = settings(deadline=None)  # a busy machine is not a failure

HALF_MS = 1_800_000
ONE = Decimal(1)
DAY = Interval(Instant(0), Instant(DAY_MS))


def at(*slots):
    return [EnergyInterval(slot * HALF_MS, (slot + 1) * HALF_MS, 1) for slot in slots]


@pytest.mark.parametrize(
    ("value", "unit", "multiplier", "energy"),
    [
        (2**62, "Wh", "1", 2**62),
        (1.4529999, "kWh", "1", 1453),
        (0.0005, "kWh", "1", 1),
        (0.00049999, "kWh", "1", 0),
        (2.5, "Wh", "1", 3),
        (3.5, "Wh", "1", 4),
        (1, "Wh", "0.5", 1),
        (7, "kWh", "120.5", 843_500),
    ],
)
def test_a_reading_becomes_whole_wh_rounded_once_halves_up(value, unit, multiplier, energy):
    assert whole_wh(value, unit, Decimal(multiplier)) == energy


def test_negative_energy_is_refused_and_counted():
    decoded = of_interval_channel([(0, -1), (HALF_MS, 5)], HALF_MS, "Wh", ONE)
    assert decoded.refused == 1
    assert decoded.intervals == (EnergyInterval(HALF_MS, 2 * HALF_MS, 5),)


@pytest.mark.parametrize("value", [1e300, float("inf"), float("nan"), -0.5, 10**14, 1e16])
def test_what_no_meter_says_is_refused_on_both_kinds_of_channel(value):
    assert of_interval_channel([(0, value)], HALF_MS, "Wh", ONE).refused == 1
    register = of_register_channel([(0, 5), (1, value), (2, 9)], "Wh", ONE, None)
    assert register.refused >= 1
    assert sum(each.energy_wh for each in register.intervals) in {0, 4}


def test_a_register_that_runs_backwards_is_refused_and_counted_on_from():
    decoded = of_register_channel([(0, 100), (1, 40), (2, 45)], "Wh", ONE, None)
    assert decoded.refused == 1
    assert [each.energy_wh for each in decoded.intervals] == [5]


def test_a_register_rolls_over_only_where_that_is_plausible():
    decoded = of_register_channel([(0, 9_990), (1, 15), (2, 10)], "kWh", ONE, 10_000)
    assert [each.energy_wh for each in decoded.intervals] == [25_000]
    assert decoded.refused == 1


def test_one_reading_of_a_register_is_no_energy():
    assert of_register_channel([(0, 7)], "Wh", ONE, None).intervals == ()


def test_a_register_in_kwh_conserves_what_it_counted_whatever_the_rounding():
    reads = [(slot, round(slot * 0.0003, 4)) for slot in range(1000)]
    decoded = of_register_channel(reads, "kWh", ONE, None)
    assert sum(each.energy_wh for each in decoded.intervals) == 300


@UNHURRIED
@given(st.lists(st.integers(0, 10_000), max_size=50), st.integers(0, 99_999))
def test_a_register_conserves_energy_over_any_number_of_turns(steps, first):
    counts = [first]
    for step in steps:
        counts.append((counts[-1] + step) % 100_000)
    decoded = of_register_channel(enumerate(counts), "Wh", ONE, 100_000)
    assert [each.energy_wh for each in decoded.intervals] == steps
    assert decoded.refused == 0


def test_completeness_of_nothing():
    found = completeness([], DAY, HALF_MS, 3)
    assert (found.expected, found.present, found.missing, found.refused) == (48, 0, 48, 3)
    assert found.missing_spans == (DAY,)


def test_gaps_are_listed_as_spans():
    found = completeness(at(*(set(range(48)) - {0, 7, 8, 47})), DAY, HALF_MS, 0)
    assert found.missing == 4
    slots = [(span.start // HALF_MS, span.end // HALF_MS) for span in found.missing_spans]
    assert slots == [(0, 1), (7, 9), (47, 48)]


def test_a_second_reading_of_a_slot_is_extra_and_one_over_several_is_merged():
    found = completeness([*at(0, 0), EnergyInterval(HALF_MS, 4 * HALF_MS, 9)], DAY, HALF_MS, 0)
    assert (found.present, found.extra, found.merged) == (4, 1, 2)


def test_a_span_shorter_than_an_interval_expects_none():
    found = completeness(at(0), Interval(Instant(0), Instant(HALF_MS - 1)), HALF_MS, 0)
    assert (found.expected, found.present, found.missing_spans) == (0, 0, ())


def test_a_rest_at_the_end_belongs_to_the_last_slot():
    span = Interval(Instant(0), Instant(2 * HALF_MS + 10))
    found = completeness([*at(0), EnergyInterval(2 * HALF_MS + 5, 3 * HALF_MS + 5, 1)], span, HALF_MS, 0)
    assert (found.expected, found.present) == (2, 2)
    assert completeness(at(0), span, HALF_MS, 0).missing_spans[-1].end == span.end


@UNHURRIED
@given(st.lists(st.integers(-5, 60)), st.integers(1, 5 * HALF_MS))
def test_what_is_expected_is_present_or_missing(slots, length):
    span = Interval(Instant(0), Instant(length))
    found = completeness(list(starting_in(at(*slots), span)), span, HALF_MS, 0)
    assert found.expected == found.present + found.missing
    assert found.missing == sum(-(-(gap.end - gap.start) // HALF_MS) for gap in found.missing_spans) - (
        1 if found.missing_spans and found.missing_spans[-1].end == length and length % HALF_MS else 0
    )


def test_the_household_misses_exactly_its_gaps(household, figures):
    first, last = household[0].start_ms, household[-1].end_ms
    found = completeness(household, Interval(first, last), HALF_MS, 0)
    assert found.missing == figures["file"]["missing"]
    assert sorted((gap.end - gap.start) // HALF_MS for gap in found.missing_spans) == figures["file"]["gaps"]


@pytest.mark.parametrize(("day", "slots"), [("2013-03-31", 46), ("2013-10-27", 50)])
def test_a_day_of_a_clock_change_expects_what_it_has(day, slots):
    hours = {"2013-03-31": ("00:00+00:00", "23:00+00:00"), "2013-10-27": ("00:00+01:00", "24:00")}[day]
    start = parse_rfc3339(f"{day}T{hours[0]}")
    end = parse_rfc3339("2013-10-28T00:00Z") if hours[1] == "24:00" else parse_rfc3339(f"{day}T{hours[1]}")
    assert completeness([], Interval(start, end), HALF_MS, 0).expected == slots
