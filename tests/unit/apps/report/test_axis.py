"""The axis of time: real hours, named by the site's clock."""

from datetime import date

import pytest
from tests.unit.apps.report.curves import curve

from ringmain.apps.report.axis import TICKS_MAX, day_ticks, edges, ticks


def flat(first, days, **how):
    return curve(first, days, lambda _: 1, interval_s=3600, **how)


def test_days_of_clock_changes_are_23_and_25_hours_wide():
    assert edges(flat(date(2013, 3, 30), 3)) == (0, 24, 47, 71)
    assert edges(flat(date(2013, 10, 26), 3)) == (0, 24, 49, 73)


def test_a_day_is_named_by_its_hours():
    found = ticks(flat(date(2013, 1, 1), 1))
    assert found.names[:3] == ("00:00", "02:00", "04:00")
    assert found.at[:3] == (0, 2, 4)


def test_an_hour_that_spring_moved_near_its_neighbour_is_not_named():
    found = ticks(flat(date(2013, 3, 31), 1))
    assert list(zip(found.names, found.at, strict=True))[:2] == [("00:00", 0), ("04:00", 3)]


def test_a_midnight_that_does_not_exist_is_not_named():
    found = ticks(flat(date(2013, 3, 31), 1, zone="Asia/Beirut"))
    assert (found.names[0], found.at[0]) == ("02:00", 1)


def test_three_days_are_named_by_hours_and_dates():
    assert ticks(flat(date(2013, 1, 1), 3)).names[:5] == ("1 Jan", "06:00", "12:00", "18:00", "2 Jan")
    assert day_ticks(flat(date(2013, 1, 1), 3)).names == ("1 Jan", "2 Jan", "3 Jan")


def test_a_year_is_named_by_months():
    assert " ".join(ticks(flat(date(2013, 1, 1), 365)).names) == "Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec"
    found = ticks(flat(date(2012, 11, 5), 365))
    assert found.names[:3] == ("Dec 2012", "Jan 2013", "Feb")


@pytest.mark.parametrize("days", [1, 2, 3, 4, 14, 15, 40, 75, 76, 366, 731, 1095])
def test_names_are_few_and_lie_on_the_axis(days):
    drawn = flat(date(2012, 11, 5), days)
    found = ticks(drawn)
    assert 1 <= len(found.at) == len(found.names) <= TICKS_MAX
    assert found.at[0] >= 0
    assert found.at[-1] < edges(drawn)[-1]
    assert len(day_ticks(drawn).at) <= TICKS_MAX
