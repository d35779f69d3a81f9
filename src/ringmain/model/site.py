"""Sites: where devices stand, and so in which local time their days begin and their tariffs switch."""

from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

from ringmain.model.time import Instant, Interval, instant_of, utc


class Site(msgspec.Struct, frozen=True):
    """A place with one civil time. `zone` is an IANA name such as `Europe/London`."""

    id: str
    zone: str


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """The zone of an IANA name; ValueError where there is none of that name."""
    try:
        return ZoneInfo(name)
    except (KeyError, OSError, ValueError) as error:
        raise ValueError(f"{name!r} is not a time zone of the IANA database (such as Europe/London)") from error


def local(instant: int, zone: str) -> datetime:
    """The local civil time of an instant."""
    return utc(instant).astimezone(zone_of(zone))


def start_of_day(day: date, zone: str) -> Instant:
    """The instant at which a local day begins. Where midnight is skipped by a clock change (it happens, for
    instance in Beirut), the first instant that exists.
    """
    return instant_of(datetime.combine(day, time(), tzinfo=zone_of(zone)).astimezone(UTC))


def local_day(day: date, zone: str) -> Interval:
    """A local day as a half-open interval of 23, 24 or 25 hours."""
    return Interval(start_of_day(day, zone), start_of_day(day + timedelta(days=1), zone))
