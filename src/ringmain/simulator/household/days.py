"""Days as people live them: from three in the morning, local time, to three the next, with what sun and season do.

A day has 1,440 minutes on the wall; where clocks change it has 60 fewer or more, and `ModelDay.wall` says which minute
of the wall each one is. It must never guess a zone's rules: they come from the IANA database.
"""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from ringmain.model.site import local, zone_of
from ringmain.model.time import MINUTE_MS, Instant, instant_of

DAY_BEGINS_H = 3
"""Nearly everyone sleeps then: where one day is joined to the next, nobody's doings are cut."""

MINUTES = 1440
STEP_MINUTES = 10
STEPS = MINUTES // STEP_MINUTES

WEEKDAY, SATURDAY, SUNDAY = 0, 1, 2
DAY_TYPES = ("weekday", "saturday", "sunday")

_EPOCH_ORDINAL = date(1970, 1, 1).toordinal()
_COLDEST_DAY = 20
"""The middle of January: season is a cosine around it."""

_SOLAR_NOON_MINUTE = 12 * 60 + 20
"""Of standard time: the zone's own meridian is rarely where people live."""

_TILT_DEG = 23.44


class Place(msgspec.Struct, frozen=True):
    """Where the homes stand: whose clocks they follow, and how high their sun climbs."""

    zone: str = "Europe/London"
    latitude_deg: float = 51.5


class ModelDay(msgspec.Struct, frozen=True, eq=False):
    """One day. `season` goes from 1 (coldest) to -1; `sun` is the sine of the sun's height for each minute of the wall,
    `wall` the minute of the wall for each minute that passes (None where they are the same).
    """

    number: int
    start_ms: int
    minutes: int
    day_type: int
    season: float
    sun: NDArray[np.float64]
    wall: NDArray[np.int64] | None


def day_number(place: Place, at_ms: int) -> int:
    """Which day an instant belongs to: days since 1970 of the local date three hours before."""
    moment = local(at_ms, place.zone).replace(tzinfo=None) - timedelta(hours=DAY_BEGINS_H)
    return moment.date().toordinal() - _EPOCH_ORDINAL


@lru_cache(maxsize=1024)
def day_start_ms(place: Place, number: int) -> Instant:
    """When a day begins."""
    begin = datetime.combine(_date(number), time(DAY_BEGINS_H), tzinfo=zone_of(place.zone))
    return instant_of(begin.astimezone(UTC))


@lru_cache(maxsize=32)
def model_day(place: Place, number: int) -> ModelDay:
    """The day of this number."""
    day = _date(number)
    start_ms = day_start_ms(place, number)
    minutes = (day_start_ms(place, number + 1) - start_ms) // MINUTE_MS
    wall = None if minutes == MINUTES else _wall(place, day, start_ms, minutes)
    noon = datetime.combine(day, time(12), tzinfo=zone_of(place.zone))
    shift = (noon.dst() or timedelta()) // timedelta(minutes=1)
    return ModelDay(
        number=number,
        start_ms=start_ms,
        minutes=minutes,
        day_type={5: SATURDAY, 6: SUNDAY}.get(day.weekday(), WEEKDAY),
        season=float(np.cos(2 * np.pi * (day.timetuple().tm_yday - _COLDEST_DAY) / 365.25)),
        sun=_sun(day.timetuple().tm_yday, place.latitude_deg, _SOLAR_NOON_MINUTE + shift),
        wall=wall,
    )


def _date(number: int) -> date:
    return date.fromordinal(number + _EPOCH_ORDINAL)


def _wall(place: Place, day: date, start_ms: int, minutes: int) -> NDArray[np.int64]:
    """Read off the wall at every hour, and counted on from there."""
    begin = datetime.combine(day, time(DAY_BEGINS_H))
    hours = range(0, minutes, 60)
    shown = [local(start_ms + minute * MINUTE_MS, place.zone).replace(tzinfo=None) - begin for minute in hours]
    first = np.repeat([each // timedelta(minutes=1) for each in shown], 60)[:minutes]
    return np.clip(first + np.arange(minutes) % 60, 0, MINUTES - 1)


def _sun(day_of_year: int, latitude_deg: float, noon_minute: int) -> NDArray[np.float64]:
    """The sine of the sun's height over the horizon, by the usual formula with a circular orbit."""
    latitude = np.radians(latitude_deg)
    declination = -np.radians(_TILT_DEG) * np.cos(2 * np.pi * (day_of_year + 10) / 365.25)
    minute = np.arange(MINUTES) + DAY_BEGINS_H * 60
    angle = 2 * np.pi * (minute - noon_minute) / MINUTES
    height = np.sin(latitude) * np.sin(declination) + np.cos(latitude) * np.cos(declination) * np.cos(angle)
    return np.asarray(height, dtype=np.float64)
