"""Days from three to three, by the wall clock of a zone."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.model.time import MINUTE_MS, parse_rfc3339
from ringmain.simulator.household.days import (
    MINUTES,
    SATURDAY,
    SUNDAY,
    WEEKDAY,
    Place,
    day_number,
    day_start_ms,
    model_day,
)

LONDON, BERLIN, NEW_YORK, HELSINKI = (
    Place(zone) for zone in ("Europe/London", "Europe/Berlin", "America/New_York", "Europe/Helsinki")
)


def number_of(text, place=LONDON):
    return day_number(place, parse_rfc3339(text))


def test_a_day_begins_at_three_local_time():
    assert number_of("2026-01-10T02:59:59.999Z") == number_of("2026-01-10T03:00:00Z") - 1
    assert number_of("2026-07-10T01:59:59.999Z") == number_of("2026-07-10T02:00:00Z") - 1
    assert number_of("2026-07-10T00:59:00Z", BERLIN) == number_of("2026-07-10T01:00:00Z", BERLIN) - 1


def test_days_are_numbered_from_1970():
    assert number_of("1970-01-01T12:00:00Z") == 0
    assert number_of("1970-01-05T12:00:00Z") == 4


@pytest.mark.parametrize(
    ("date", "kind"),
    [("2026-01-09", WEEKDAY), ("2026-01-10", SATURDAY), ("2026-01-11", SUNDAY), ("2026-01-12", WEEKDAY)],
)
def test_the_type_of_a_day_is_that_of_its_local_date(date, kind):
    assert model_day(LONDON, number_of(f"{date}T12:00:00Z")).day_type == kind


def test_season_is_one_in_january_and_minus_one_in_july():
    assert model_day(LONDON, number_of("2026-01-20T12:00:00Z")).season == pytest.approx(1, abs=0.01)
    assert model_day(LONDON, number_of("2026-07-21T12:00:00Z")).season == pytest.approx(-1, abs=0.01)


@pytest.mark.parametrize("place", [LONDON, BERLIN, NEW_YORK, HELSINKI])
def test_where_clocks_change_a_day_has_an_hour_more_or_less(place):
    first = number_of("2026-01-01T12:00:00Z", place)
    lengths = [model_day(place, number).minutes for number in range(first, first + 365)]
    assert sorted(set(lengths)) == [1380, 1440, 1500]
    assert sum(lengths) == 365 * MINUTES


@pytest.mark.parametrize("place", [LONDON, BERLIN, NEW_YORK, HELSINKI])
def test_the_wall_shows_what_a_clock_would(place):
    first = number_of("2026-01-01T12:00:00Z", place)
    odd = [day for day in (model_day(place, first + n) for n in range(365)) if day.wall is not None]
    assert len(odd) == 2
    for day in odd:
        for minute in range(0, day.minutes, 7):
            moment = datetime.fromtimestamp(day.start_ms / 1000 + minute * 60, UTC).astimezone(ZoneInfo(place.zone))
            shown = (moment.hour * 60 + moment.minute - 180) % MINUTES
            assert day.wall[minute] == shown or (day.wall[minute] == MINUTES - 1 and shown == 0)


def test_an_unknown_zone_is_refused():
    with pytest.raises(ValueError, match="IANA"):
        number_of("2026-01-01T00:00:00Z", Place("Mars/Olympus"))


@given(st.integers(0, 4_000_000_000_000), st.sampled_from([LONDON, BERLIN, NEW_YORK, HELSINKI]))
def test_every_instant_lies_within_its_day(at_ms, place):
    number = day_number(place, at_ms)
    assert day_start_ms(place, number) <= at_ms < day_start_ms(place, number + 1)
    assert (day_start_ms(place, number + 1) - day_start_ms(place, number)) % MINUTE_MS == 0


def test_the_sun_stands_higher_in_summer_and_longer():
    winter, summer = (model_day(LONDON, number_of(f"2026-{month}-21T12:00:00Z")).sun for month in ("12", "06"))
    assert np.degrees(np.arcsin(winter.max())) == pytest.approx(15, abs=1)
    assert np.degrees(np.arcsin(summer.max())) == pytest.approx(62, abs=1)
    assert (winter > 0).sum() / 60 == pytest.approx(7.8, abs=0.5)
    assert (summer > 0).sum() / 60 == pytest.approx(16.3, abs=0.5)
