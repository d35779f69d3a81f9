"""Profiles: what a meter's year looks like. Mean day per day type, load factor, peak, always-on load.

Statistics for people, so doubles are good enough here; no result of this module may end up on a bill. Days are those
of the site's local time.
"""

import math
from collections.abc import Sequence
from enum import StrEnum

import msgspec

from ringmain.metering.intervals import EnergyInterval
from ringmain.model.site import local
from ringmain.model.time import HOUR_MS

ALWAYS_ON_PERCENTILE = 5.0
"""The load that is exceeded 95 % of the time: what never sleeps, and hardly ever a single faulty zero."""


class DayType(StrEnum):
    """Kinds of day that load profiles are told apart by (BDEW, ELEXON). Public holidays count as what they are
    in the calendar: the platform knows no holiday tables.
    """

    WORKDAY = "workday"
    SATURDAY = "saturday"
    SUNDAY = "sunday"


_DAY_TYPES = (DayType.WORKDAY,) * 5 + (DayType.SATURDAY, DayType.SUNDAY)


class ProfilePoint(msgspec.Struct, frozen=True):
    """One time of day: mean and percentiles of the power over all intervals that start then."""

    day_type: DayType
    time: str
    count: int
    mean_w: float
    p10_w: float
    p50_w: float
    p90_w: float


class Peak(msgspec.Struct, frozen=True):
    """The interval of the highest mean power, the first one where there are several."""

    start_ms: int
    end_ms: int
    energy_wh: int
    power_w: float


class LoadSummary(msgspec.Struct, frozen=True):
    """A load in six figures. `load_factor` is mean power over peak power; None where nothing was ever used."""

    intervals: int
    energy_wh: int
    mean_w: float
    peak: Peak
    load_factor: float | None
    always_on_w: float


def power_w(interval: EnergyInterval) -> float:
    """Mean power over an interval."""
    return interval.energy_wh * HOUR_MS / (interval.end_ms - interval.start_ms)


def percentile(ordered: Sequence[float], percent: float) -> float:
    """Of ascending values, at least one, with linear interpolation between the two nearest ranks (Hyndman and Fan's
    definition 7, the default of numpy and of spreadsheets).
    """
    rank = (len(ordered) - 1) * percent / 100
    low = math.floor(rank)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (rank - low)


def load_profile(intervals: Sequence[EnergyInterval], zone: str) -> tuple[ProfilePoint, ...]:
    """One point for each day type and local time of day at which an interval starts, in that order. The hour that
    comes twice in autumn counts twice; the one that spring leaves out, not at all.
    """
    powers: dict[tuple[DayType, str], list[float]] = {}
    for each in intervals:
        moment = local(each.start_ms, zone)
        powers.setdefault((_DAY_TYPES[moment.weekday()], f"{moment:%H:%M}"), []).append(power_w(each))
    order = list(DayType)
    return tuple(
        _point(day_type, time, sorted(powers[day_type, time]))
        for day_type, time in sorted(powers, key=lambda key: (order.index(key[0]), key[1]))
    )


def _point(day_type: DayType, time: str, ordered: Sequence[float]) -> ProfilePoint:
    return ProfilePoint(
        day_type=day_type,
        time=time,
        count=len(ordered),
        mean_w=math.fsum(ordered) / len(ordered),
        p10_w=percentile(ordered, 10),
        p50_w=percentile(ordered, 50),
        p90_w=percentile(ordered, 90),
    )


def load_summary(intervals: Sequence[EnergyInterval]) -> LoadSummary | None:
    """The figures of a load; None where there are no intervals. The mean is over the time that was measured."""
    if not intervals:
        return None
    highest = max(intervals, key=lambda each: (power_w(each), -each.start_ms))
    peak = Peak(highest.start_ms, highest.end_ms, highest.energy_wh, power_w(highest))
    energy_wh = sum(each.energy_wh for each in intervals)
    mean_w = energy_wh * HOUR_MS / sum(each.end_ms - each.start_ms for each in intervals)
    return LoadSummary(
        intervals=len(intervals),
        energy_wh=energy_wh,
        mean_w=mean_w,
        peak=peak,
        load_factor=mean_w / peak.power_w if peak.power_w else None,
        always_on_w=percentile(sorted(power_w(each) for each in intervals), ALWAYS_ON_PERCENTILE),
    )
