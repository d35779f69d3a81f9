"""What is drawn, before it is drawn: places by the site's clock, and nothing made up."""

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.apps.report.curves import curve

from ringmain.apps.report.load import Cell, Quality, cells, duration, merged, quality_of

SPRING, AUTUMN = date(2013, 3, 31), date(2013, 10, 27)


@pytest.mark.parametrize(
    ("present", "expected", "found"),
    [
        (0, 0, Quality.NOT_EXPECTED),
        (0, 5, Quality.MISSING),
        (4, 5, Quality.PARTIAL),
        (5, 5, Quality.COMPLETE),
        (6, 5, Quality.COMPLETE),
    ],
)
def test_quality(present, expected, found):
    assert quality_of(present, expected) is found


def test_power_is_energy_over_its_interval():
    drawn = curve(SPRING, 1, lambda slot: slot or None, interval_s=900)
    assert (drawn.power_w(0), drawn.power_w(5)) == (None, 20)


def test_the_hour_that_spring_leaves_out_has_no_place():
    rows = {cell.row for cell in cells(curve(SPRING, 1, lambda _: 1))}
    assert rows == set(range(48)) - {2, 3}


def test_the_hour_that_comes_twice_is_its_mean():
    found = {cell.row: cell for cell in cells(curve(AUTUMN, 1, lambda slot: 100 if slot in {2, 3} else 300))}
    assert len(found) == 48
    assert (found[2], found[4].power_w) == (Cell(0, 2, 400, Quality.COMPLETE), 600)


def test_the_hour_that_comes_twice_and_once_was_missing_is_partial():
    found = {cell.row: cell for cell in cells(curve(AUTUMN, 1, lambda slot: None if slot == 2 else 300))}
    assert (found[2].power_w, found[2].quality) == (600, Quality.PARTIAL)
    assert found[3].quality is Quality.COMPLETE


def test_missing_is_not_zero():
    found = list(cells(curve(date(2013, 1, 1), 2, lambda slot: 0 if slot < 48 else None)))
    assert {(cell.day, cell.power_w, cell.quality) for cell in found} == {
        (0, 0.0, Quality.COMPLETE),
        (1, None, Quality.MISSING),
    }


def test_a_duration_curve_is_of_complete_slots():
    assert duration(curve(date(2013, 1, 1), 1, {0: 5, 1: 9, 2: (99, 1)}.get, homes=2)) == (18, 10)
    assert duration(curve(date(2013, 1, 1), 1, {2: (9, 1), 7: (8, 1)}.get, homes=2)) == (18, 16)
    assert duration(curve(date(2013, 1, 1), 1, lambda _: None)) == ()


@given(st.sets(st.tuples(st.integers(0, 6), st.integers(0, 6))))
def test_rectangles_cover_each_place_once(places):
    covered = [
        (day + across, row + up)
        for day, row, days, rows in merged(places)
        for across in range(days)
        for up in range(rows)
    ]
    assert sorted(covered) == sorted(places)


def test_a_block_is_one_rectangle():
    assert merged({(day, row) for day in range(30) for row in range(48)}) == [(0, 0, 30, 48)]
