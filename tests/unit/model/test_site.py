"""Civil time: days of 23, 24 and 25 hours, and a midnight that does not exist."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.model.site import local, local_day, start_of_day, zone_of
from ringmain.model.time import HOUR_MS, format_rfc3339


@pytest.mark.parametrize(
    "name", ["", "Mars/Olympus", "../etc/passwd", "/etc/passwd", "Europe", "london", "Europe/London\0"]
)
def test_no_zone(name):
    with pytest.raises(ValueError, match="IANA"):
        zone_of(name)


@pytest.mark.parametrize(
    ("day", "zone", "start", "hours"),
    [(date(2013, 1, 1), "Europe/London", "2013-01-01T00:00:00Z", 24),
     (date(2013, 3, 31), "Europe/London", "2013-03-31T00:00:00Z", 23),
     (date(2013, 7, 1), "Europe/London", "2013-06-30T23:00:00Z", 24),
     (date(2013, 10, 27), "Europe/London", "2013-10-26T23:00:00Z", 25),
     (date(2022, 3, 27), "Asia/Beirut", "2022-03-26T22:00:00Z", 23),
     (date(2013, 1, 1), "UTC", "2013-01-01T00:00:00Z", 24)],
)  # fmt: skip
def test_days(day, zone, start, hours):
    span = local_day(day, zone)
    assert format_rfc3339(span.start) == start
    assert span.end - span.start == hours * HOUR_MS
    assert local(span.start, zone).date() == day


days = st.dates(date(1990, 1, 1), date(2090, 1, 1))
zones = st.sampled_from(
    ["Europe/London", "Asia/Beirut", "America/Sao_Paulo", "Australia/Lord_Howe", "UTC", "Asia/Kathmandu"]
)


@given(days, zones)
def test_days_touch_and_hold_their_own_instants_alone(day, zone):
    span = local_day(day, zone)
    assert span.end == start_of_day(day + timedelta(days=1), zone)
    assert local(span.start, zone).date() == day
    assert local(span.end - 1, zone).date() == day
    assert local(span.start - 1, zone).date() == day - timedelta(days=1)
