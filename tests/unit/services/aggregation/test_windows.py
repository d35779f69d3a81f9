"""Windows: names refused, every instant in exactly one window, days of 23 and 25 hours, midnights that come twice."""

from datetime import date

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceKey
from ringmain.model.site import local_day
from ringmain.model.time import DAY_MS, HOUR_MS, Instant, Interval, parse_rfc3339
from ringmain.services.aggregation.windows import (
    DEFAULT_SIZES,
    GRAIN_MS,
    WINDOW,
    SitePlan,
    WindowEvent,
    WindowState,
    parse_size,
    parse_sizes,
    state_of,
    window_at,
    windows_between,
)

UNHURRIED = settings(deadline=None)  # a busy machine is not a failure

ZONES = (
    "UTC",
    "Europe/London",
    "America/St_Johns",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Australia/Lord_Howe",
    "Asia/Beirut",
)
NAMES = ("15m", "30m", "1h", "6h", "24h", "day", "week", "month")
INSTANTS = st.integers(parse_rfc3339("1975-01-01T00:00:00Z"), parse_rfc3339("2037-12-01T00:00:00Z"))


def between(start, end):
    return Interval(parse_rfc3339(start), parse_rfc3339(end))


@pytest.mark.parametrize(
    "name", ["", "h", "0m", "10m", "20m", "60m", "5h", "48h", "1d", "1H", "year", "Day", " 1h", "015m", "1h\n"]
)
def test_a_name_that_is_none_is_refused(name):
    with pytest.raises(Refused, match="is not a window size") as refused:
        parse_size(name)
    assert "15m" in refused.value.hint


def test_a_size_given_twice_or_one_too_many_is_refused():
    with pytest.raises(Refused, match="stands twice"):
        parse_sizes(["1h", "1h"])
    with pytest.raises(Refused, match="at most 8"):
        parse_sizes(["15m", "30m", "45m", "1h", "2h", "3h", "4h", "6h", "8h"])


def test_too_many_windows_in_one_answer_are_refused_before_any_is_made():
    with pytest.raises(Refused, match="more than 100000 windows"):
        windows_between(parse_size("15m"), Interval(Instant(0), Instant(2000 * DAY_MS)), "UTC")


@pytest.mark.parametrize(
    ("day", "hours"), [("2013-03-31", 23), ("2013-10-27", 25), ("2013-06-01", 24), ("2013-12-31", 24)]
)
def test_a_london_day_has_the_hours_that_civil_time_gives_it(day, hours):
    span = local_day(date.fromisoformat(day), "Europe/London")
    window = window_at(parse_size("day"), span.start + 12 * HOUR_MS, "Europe/London")
    assert window == span
    assert window.end - window.start == hours * HOUR_MS


def test_tumbling_windows_are_aligned_to_utc_whatever_the_zone():
    at = parse_rfc3339("2013-06-01T10:07:00Z")
    for zone in ZONES:
        assert window_at(parse_size("30m"), at, zone) == between("2013-06-01T10:00:00Z", "2013-06-01T10:30:00Z")


def test_weeks_begin_on_monday_and_months_on_the_first_in_local_time():
    at = parse_rfc3339("2013-06-30T23:30:00Z")  # in London already July, a Monday
    assert window_at(parse_size("month"), at, "Europe/London") == between(
        "2013-06-30T23:00:00Z", "2013-07-31T23:00:00Z"
    )
    assert window_at(parse_size("week"), at, "Europe/London") == between("2013-06-30T23:00:00Z", "2013-07-07T23:00:00Z")
    assert window_at(parse_size("month"), at, "UTC").end == parse_rfc3339("2013-07-01T00:00:00Z")


def test_clocks_that_went_back_over_midnight_do_not_reopen_the_day_before():
    """Newfoundland, 2006-10-29: at 00:01 it was 23:01 of the 28th again. The 29th began at its first midnight."""
    began = parse_rfc3339("2006-10-29T02:30:00Z")
    second_23_30 = parse_rfc3339("2006-10-29T03:00:00Z")
    assert window_at(parse_size("day"), second_23_30, "America/St_Johns").start == began


def test_a_day_that_the_calendar_skipped_has_no_window():
    """Samoa had no 30 December 2011."""
    days = list(
        windows_between(parse_size("day"), between("2011-12-29T10:00:00Z", "2012-01-01T10:00:00Z"), "Pacific/Apia")
    )
    assert [day.end - day.start for day in days] == [DAY_MS] * 3


@UNHURRIED
@given(at=INSTANTS, name=st.sampled_from(NAMES), zone=st.sampled_from(ZONES))
def test_every_instant_lies_in_exactly_one_window_and_neighbours_touch(at, name, zone):
    size = parse_size(name)
    window = window_at(size, at, zone)
    assert window.holds(at)
    assert window_at(size, window.start, zone) == window
    assert window_at(size, window.end - 1, zone) == window
    assert window_at(size, window.end, zone).start == window.end


@UNHURRIED
@given(at=INSTANTS, name=st.sampled_from(NAMES), zone=st.sampled_from(ZONES))
def test_a_quarter_of_an_hour_never_holds_a_boundary(at, name, zone):
    quarter = at - at % GRAIN_MS
    assert window_at(parse_size(name), quarter, zone) == window_at(parse_size(name), quarter + GRAIN_MS - 1, zone)


def test_windows_between_are_those_that_start_in_the_span():
    hours = list(windows_between(parse_size("1h"), between("2013-01-01T00:30:00Z", "2013-01-01T03:00:00Z"), "UTC"))
    assert [hour.start // HOUR_MS % 24 for hour in hours] == [1, 2]
    year = between("2013-01-01T00:00:00Z", "2014-01-01T00:00:00Z")
    assert len(list(windows_between(parse_size("day"), year, "Europe/London"))) == 365
    assert len(list(windows_between(parse_size("month"), year, "Europe/London"))) == 12
    assert list(windows_between(parse_size("day"), Interval(Instant(5), Instant(5)), "UTC")) == []


def test_the_plan_asks_the_zone_of_the_device():
    zones = {DeviceKey(1): "Europe/London", DeviceKey(2): "UTC"}
    plan = SitePlan(["1h", "day"], zones.__getitem__)
    at = parse_rfc3339("2013-06-30T23:10:00Z")
    assert plan.sizes == ("1h", "day")
    starts = {device: [start for _, start, _ in plan.windows(device, at)] for device in zones}
    hour = parse_rfc3339("2013-06-30T23:00:00Z")
    assert starts == {1: [hour, hour], 2: [hour, parse_rfc3339("2013-06-30T00:00:00Z")]}
    assert [name for name, _, _ in plan.windows(DeviceKey(1), at)] == ["1h", "day"]


def test_the_default_sizes_are_sound():
    assert [size.name for size in parse_sizes(DEFAULT_SIZES)] == list(DEFAULT_SIZES)


def test_every_state_answers_every_event_and_none_leads_back_to_open():
    assert set(WINDOW) == {(state, event) for state in WindowState for event in WindowEvent}
    assert all(to is not WindowState.OPEN for (state, _), to in WINDOW.items() if state is not WindowState.OPEN)


def test_the_state_follows_from_the_newest_revision():
    assert [state_of(each) for each in (None, 0, 1, 7)] == ["open", "closed", "revised", "revised"]
