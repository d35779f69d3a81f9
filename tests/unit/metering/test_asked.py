"""Asked: open ends are filled from what there is, and no curve is longer than its limits."""

from datetime import date

import pytest

from ringmain.metering.asked import LAST_DAY, READINGS_MAX, SLOTS_MAX, Asked, period_of, slots_of, together
from ringmain.model.errors import Refused
from ringmain.model.time import Interval, parse_rfc3339

LONDON = "Europe/London"


def extent(first: str, last: str) -> Interval:
    return Interval(parse_rfc3339(first), parse_rfc3339(last) + 1)


SUMMER = extent("2013-06-01T23:30Z", "2013-08-31T22:59Z")
YEARS = extent("2011-01-01T00:00Z", "2013-08-31T23:30Z")


@pytest.mark.parametrize(
    ("from_", "to", "there", "found"),
    [
        # 23:30 UTC of 1 June is 2 June on the clock of London.
        (None, None, SUMMER, (date(2013, 6, 2), date(2013, 9, 1))),
        (None, None, YEARS, (date(2012, 9, 2), date(2013, 9, 2))),
        (date(2013, 7, 1), None, SUMMER, (date(2013, 7, 1), date(2013, 9, 1))),
        (None, date(2013, 7, 1), SUMMER, (date(2013, 6, 2), date(2013, 7, 1))),
        (date(2000, 1, 1), date(2000, 1, 2), None, (date(2000, 1, 1), date(2000, 1, 2))),
        (date(2000, 1, 1), date(2000, 1, 2), SUMMER, (date(2000, 1, 1), date(2000, 1, 2))),
    ],
)
def test_the_days(from_, to, there, found):
    assert period_of(Asked("energy_wh", from_, to), there, LONDON) == found


@pytest.mark.parametrize(
    ("from_", "to"),
    [
        (date(2013, 7, 1), date(2013, 7, 1)),
        (date(2013, 7, 2), date(2013, 7, 1)),
        (date(2013, 10, 1), None),
        (None, date(2013, 6, 2)),
        (date(1, 1, 1), None),
        (None, date.max),
        (date(2013, 7, 1), date.max),
        (date.max, None),
        (None, date(1, 1, 1)),
        (date(1, 1, 1), date(1, 1, 2)),
    ],
)
def test_no_day(from_, to):
    with pytest.raises(Refused, match=r"there is no day from .* lie in 2013-06-02 to 2013-08-31"):
        period_of(Asked("energy_wh", from_, to), SUMMER, LONDON)


def test_together():
    assert together([]) is None
    assert together([Interval(3, 5), Interval(1, 4)]) == Interval(1, 5)


@pytest.mark.parametrize("interval_s", [0, -60, 7, 86_401])
def test_intervals_fill_a_day(interval_s):
    with pytest.raises(Refused, match="do not fill a day"):
        slots_of(date(2013, 1, 1), date(2013, 1, 2), LONDON, interval_s, 1, exactly=False)


def test_intervals_too_many_for_one_curve_are_made_longer_unless_asked_for():
    year = date(2013, 1, 1), date(2014, 1, 1), LONDON
    assert slots_of(*year, 1800, 200, exactly=True).count == 17_520
    assert slots_of(*year, 60, 1, exactly=False).slot_ms == 300_000
    assert slots_of(*year, 60, 200, exactly=False).slot_ms == 300_000
    assert slots_of(*year, 60, 600, exactly=False).slot_ms == 900_000
    with pytest.raises(Refused, match=r"525600 intervals of 60 s .* too many"):
        slots_of(*year, 60, 1, exactly=True)
    with pytest.raises(Refused, match="of 1000000 homes"):
        slots_of(*year, 3600, 1_000_000, exactly=False)
    with pytest.raises(Refused, match="too many"):
        slots_of(date(1970, 1, 2), LAST_DAY, LONDON, 900, 1, exactly=True)
    assert SLOTS_MAX * 400 < READINGS_MAX
