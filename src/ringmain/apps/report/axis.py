"""The axis of time: real hours since the start, ticked and named by the site's clock."""

from datetime import UTC, date, datetime

import msgspec

from ringmain.apps.report.load import LoadCurve
from ringmain.apps.report.words import month
from ringmain.model.site import start_of_day, zone_of
from ringmain.model.time import utc

DAYS_BY_MONTH = 75
"""From so many days on ticks stand at months; below, at days."""

DAYS_BY_HOUR = 3
"""Up to so many days ticks stand at hours."""

TICKS_MAX = 14
"""The most names that fit beside each other."""

TICKS_APART = 0.75
"""Of the usual distance of hours: nearer ones are left out."""


class Ticks(msgspec.Struct, frozen=True):
    """Places in hours from the start, each with its name."""

    at: tuple[float, ...]
    names: tuple[str, ...]


def ticks(curve: LoadCurve) -> Ticks:
    """Months, days or hours, whichever are few enough to be read."""
    days = len(curve.days)
    return _hours(curve, days) if days <= DAYS_BY_HOUR else day_ticks(curve)


def day_ticks(curve: LoadCurve) -> Ticks:
    """Months or days: for an axis on which a day is the least thing."""
    days = len(curve.days)
    return _months(curve) if days > DAYS_BY_MONTH else _days(curve, days)


def _months(curve: LoadCurve) -> Ticks:
    firsts = [each.date for each in curve.days if each.date.day == 1]
    step = -(-len(firsts) // TICKS_MAX)
    kept = [first for first in firsts if (first.month - 1) % step == 0] if step > 1 else firsts
    years = {each.date.year for each in curve.days}
    names = [
        f"{month(first)} {first.year}" if len(years) > 1 and (place == 0 or first.month == 1) else month(first)
        for place, first in enumerate(kept)
    ]
    return Ticks(tuple(_midnight(curve, first) for first in kept), tuple(names))


def _days(curve: LoadCurve, days: int) -> Ticks:
    step = next(step for step in (1, 2, 7, 14) if days / step <= TICKS_MAX)
    kept = [each.date for each in curve.days][::step]
    return Ticks(tuple(_midnight(curve, each) for each in kept), tuple(f"{each.day} {month(each)}" for each in kept))


def _hours(curve: LoadCurve, days: int) -> Ticks:
    """Every second hour of one day, every sixth of three: each hour once, by the clock on the wall."""
    step = {1: 2, 2: 4}.get(days, 6)
    zone = zone_of(curve.zone)
    at: list[float] = []
    names: list[str] = []
    for each in curve.days:
        for hour in range(0, 24, step):
            wall = datetime(each.date.year, each.date.month, each.date.day, hour, tzinfo=zone)
            moment = wall.astimezone(UTC)
            if moment.astimezone(zone).hour != hour:
                continue  # spring left this hour out
            if at and curve.hours(moment) - at[-1] < step * TICKS_APART:
                continue  # two names would run into each other where spring has left an hour out
            at.append(curve.hours(moment))
            names.append(f"{hour:02d}:00" if hour or days == 1 else f"{each.date.day} {month(each.date)}")
    return Ticks(tuple(at), tuple(names))


def _midnight(curve: LoadCurve, day: date) -> float:
    return curve.hours(utc(start_of_day(day, curve.zone)))


def edges(curve: LoadCurve) -> tuple[float, ...]:
    """Where days begin, and the end of the last one."""
    return (*(_midnight(curve, each.date) for each in curve.days), _midnight(curve, curve.to))
