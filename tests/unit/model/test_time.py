"""Instants: UTC only, whole milliseconds, half-open intervals."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.model.time import INSTANT_MAX, Interval, format_rfc3339, instant_of, parse_rfc3339, utc

instants = st.integers(0, INSTANT_MAX)


@pytest.mark.parametrize(
    "text", ["", "2013-01-01", "2013-01-01T00:00:00", "yesterday", "2013-13-01T00:00:00Z", "1356998400000"]
)
def test_no_instant(text):
    with pytest.raises(ValueError):
        parse_rfc3339(text)


def test_a_naive_time_is_no_instant():
    with pytest.raises(ValueError, match="without a zone"):
        instant_of(datetime(2013, 1, 1))  # noqa: DTZ001 - that is the point


def test_an_interval_does_not_end_before_it_starts():
    with pytest.raises(ValueError, match="ends"):
        Interval(2, 1)


def test_half_open():
    span = Interval(10, 20)
    assert [span.holds(it) for it in (9, 10, 19, 20)] == [False, True, True, False]
    assert not Interval(5, 5).holds(5)


@given(instants)
def test_round_trip(instant):
    assert parse_rfc3339(format_rfc3339(instant)) == instant
    assert instant_of(utc(instant)) == instant


@given(instants, st.integers(-14 * 60, 14 * 60))
def test_an_offset_names_the_same_instant(instant, minutes):
    moment = utc(instant).astimezone(timezone(timedelta(minutes=minutes)))
    assert instant_of(moment) == instant
    assert parse_rfc3339(moment.isoformat()) == instant


def test_written_as_short_as_it_can_be():
    assert format_rfc3339(1_357_000_200_000) == "2013-01-01T00:30:00Z"
    assert format_rfc3339(1_357_000_200_007) == "2013-01-01T00:30:00.007Z"
    assert format_rfc3339(INSTANT_MAX) == "2099-12-31T23:59:59.999Z"


def test_below_the_millisecond_it_is_rounded_down():
    assert instant_of(datetime(1970, 1, 1, 0, 0, 0, 1999, UTC)) == 1


def test_two_stamps_and_a_device_fit_one_key():
    assert INSTANT_MAX < 1 << 42
