"""Curve: what is missing stays missing, days of clock changes have their own length, sums are exact."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.metering.curve import curve_of, expected_homes, grid_of, spread
from ringmain.metering.intervals import EnergyInterval
from ringmain.model.site import start_of_day
from ringmain.model.time import HOUR_MS, Interval
from ringmain.ports.load import Grid

LONDON = "Europe/London"
HALF_MS = 1_800_000
EVER = 2**62


@pytest.mark.parametrize(
    ("day", "zone", "slots"),
    [
        ((2013, 1, 1), LONDON, 48),
        ((2013, 3, 31), LONDON, 46),
        ((2013, 10, 27), LONDON, 50),
        ((2013, 4, 7), "Australia/Lord_Howe", 49),
        ((2013, 6, 1), "Asia/Kolkata", 48),
    ],
)
def test_a_local_day_has_as_many_slots_as_it_has_time(day, zone, slots):
    first = date(*day)
    grid = grid_of(first, date.fromordinal(first.toordinal() + 1), zone, HALF_MS)
    assert (grid.start, grid.count) == (start_of_day(first, zone), slots)


def test_a_slot_longer_than_what_is_left_of_a_day_is_whole():
    assert grid_of(date(2013, 3, 31), date(2013, 4, 1), LONDON, 2 * HOUR_MS).count == 12


def test_days_of_clock_changes_hold_their_own_slots():
    start, end = date(2013, 3, 30), date(2013, 4, 2)
    grid = grid_of(start, end, LONDON, HALF_MS)
    ones = [1] * grid.count
    days = curve_of(grid, (start, end, LONDON), ones, ones, ones, {}).days
    assert [(day.date.day, day.energy_wh, day.expected, day.present) for day in days] == [
        (30, 48, 48, 48),
        (31, 46, 46, 46),
        (1, 48, 48, 48),
    ]
    assert [day.end_ms for day in days[:-1]] == [day.start_ms for day in days[1:]]


GRID = Grid(0, 10, 6)


@pytest.mark.parametrize(
    ("spans", "now_ms", "found"),
    [
        ([], EVER, [0, 0, 0, 0, 0, 0]),
        ([(0, EVER)], EVER, [1, 1, 1, 1, 1, 1]),
        ([(10, 30)], EVER, [0, 1, 1, 0, 0, 0]),
        ([(11, 31)], EVER, [0, 0, 1, 1, 0, 0]),
        ([(0, 20), (0, EVER), (50, EVER)], EVER, [2, 2, 1, 1, 1, 2]),
        ([(0, EVER)], 29, [1, 1, 0, 0, 0, 0]),
        ([(0, EVER)], 0, [0, 0, 0, 0, 0, 0]),
        ([(60, EVER)], EVER, [0, 0, 0, 0, 0, 0]),
        ([(5, 6)], EVER, [0, 0, 0, 0, 0, 0]),
    ],
)
def test_who_is_expected(spans, now_ms, found):
    assert expected_homes([Interval(*span) for span in spans], GRID, now_ms) == found


def test_a_long_interval_is_shared_out_without_a_rest():
    totals, covered = [0] * 6, bytearray(6)
    spread([EnergyInterval(0, 10, 5), EnergyInterval(20, 50, 7), EnergyInterval(50, 90, 9)], GRID, totals, covered)
    assert totals == [5, 0, 3, 2, 2, 9]
    assert list(covered) == [1, 0, 1, 1, 1, 1]


@given(st.lists(st.tuples(st.integers(0, 59), st.integers(1, 100), st.integers(0, 10**13)), max_size=20))
def test_sharing_out_loses_nothing(rows):
    totals, covered = [0] * 6, bytearray(6)
    spread([EnergyInterval(at, at + length, energy) for at, length, energy in rows], GRID, totals, covered)
    assert sum(totals) == sum(energy for _, _, energy in rows)


DAY = (date(1970, 1, 1), date(1970, 1, 2), "UTC")
HOURS = Grid(0, 6 * HOUR_MS, 4)


def test_nothing_is_no_curve_and_not_zero():
    curve = curve_of(HOURS, DAY, [0] * 4, [0] * 4, [1] * 4, {})
    assert (curve.energy_wh, curve.summary) == ((None,) * 4, None)
    assert (curve.days[0].energy_wh, curve.days[0].expected, curve.days[0].present) == (None, 4, 0)


def test_one_reading_is_enough():
    curve = curve_of(HOURS, DAY, [0, 600, 0, 0], [0, 1, 0, 0], [1] * 4, None)
    assert (curve.summary.energy_wh, curve.summary.intervals, curve.summary.complete) == (600, 1, 1)
    assert (curve.summary.mean_w, curve.summary.always_on_w, curve.summary.load_factor) == (100, 100, 1)
    assert (curve.summary.peak.start_ms, curve.summary.peak.power_w) == (6 * HOUR_MS, 100)
    assert curve.days[0].revised is None


def test_zero_is_a_value():
    curve = curve_of(HOURS, DAY, [0] * 4, [1] * 4, [1] * 4, {0: 2})
    assert (curve.energy_wh, curve.summary.load_factor, curve.days[0].energy_wh) == ((0,) * 4, None, 0)
    assert curve.days[0].revised == 2


def test_half_a_street_is_no_street():
    """The mean and what is always on come from the complete slots; energy and peak from all."""
    curve = curve_of(HOURS, DAY, [600, 1200, 60, 2400], [2, 2, 1, 1], [2] * 4, {})
    found = curve.summary
    assert (found.energy_wh, found.intervals, found.complete) == (4260, 4, 2)
    assert (found.mean_w, found.peak.power_w, found.load_factor) == (150, 400, 0.375)
    assert found.always_on_w == 105
    none_whole = curve_of(HOURS, DAY, [600, 1200, 0, 0], [1, 1, 0, 0], [2] * 4, {}).summary
    assert (none_whole.complete, none_whole.mean_w) == (0, 150)


def test_who_came_unexpected_was_expected():
    curve = curve_of(HOURS, DAY, [1] * 4, [1] * 4, [0] * 4, {})
    assert (curve.expected, curve.summary.complete, curve.days[0].expected) == ((1,) * 4, 4, 4)
