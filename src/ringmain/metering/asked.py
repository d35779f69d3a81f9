"""Asked: what a load curve is asked for, and the days and intervals that makes of it, with every limit."""

from collections.abc import Iterable
from datetime import date, timedelta

import msgspec

from ringmain.metering.curve import grid_of
from ringmain.model.errors import Refused
from ringmain.model.site import local
from ringmain.model.time import DAY_MS, Interval
from ringmain.ports.load import Grid

SLOTS_MAX = 110_000
"""Intervals of one curve: three years of quarters of an hour, some 2 MB of JSON."""

READINGS_MAX = 50_000_000
"""Homes times intervals of one curve: what the store adds up in some 15 s, in one of its two reader threads."""

COARSER_S = (300, 900, 1800, 3600)
"""Intervals taken instead, where those of the meters are too many for one curve and the caller named none."""

DAYS_DEFAULT = 365
"""Days of a curve whose caller names none: the last year that there is."""

FIRST_DAY, LAST_DAY = date(1969, 12, 31), date(2100, 1, 2)
"""Within them lies every stamp that is accepted, in any zone."""


class Asked(msgspec.Struct, frozen=True):
    """Local days [from, to), either of them open: then what there is, at most a year of it. `channel` is that of
    devices which no usage point links; `interval_s` None takes what the installations or profiles say.
    """

    channel: str
    from_: date | None = None
    to: date | None = None
    interval_s: int | None = None


def together(extents: Iterable[Interval]) -> Interval | None:
    """From the first of these to the last; None where there are none."""
    found = list(extents)
    return Interval(min(each.start for each in found), max(each.end for each in found)) if found else None


def period_of(asked: Asked, extent: Interval | None, zone: str) -> tuple[date, date]:
    """The days asked for, open ends filled from what there is."""
    from_, to, there = asked.from_, asked.to, ""
    if extent is not None:
        first, last = local(extent.start, zone).date(), local(extent.end - 1, zone).date()
        there = f"; its readings lie in {first} to {last}"
        if to is None:
            to = last + timedelta(days=1)
        if from_ is None:
            from_ = max(first, to - timedelta(days=DAYS_DEFAULT)) if FIRST_DAY < to <= LAST_DAY else first
    assert from_ is not None
    assert to is not None
    if not FIRST_DAY <= from_ < to <= LAST_DAY:
        raise Refused(
            "unprocessable",
            f"there is no day from {from_} up to, not including, {to}{there}",
            f"`to` is the first day that is left out; ask for days from {FIRST_DAY} to {LAST_DAY}.",
        )
    return from_, to


def slots_of(from_: date, to: date, zone: str, interval_s: int, homes: int, *, exactly: bool) -> Grid:
    """Slots of `interval_s`, or, unless it was asked for `exactly`, of the first of COARSER_S that are few enough."""
    if interval_s < 1 or DAY_MS % (interval_s * 1000):
        raise Refused(
            "unprocessable", f"intervals of {interval_s} s do not fill a day", "Say interval_s, such as 1800."
        )
    for length_s in (interval_s, *(() if exactly else (each for each in COARSER_S if each > interval_s))):
        slots = (to - from_).days * DAY_MS // (length_s * 1000)
        if slots <= SLOTS_MAX and slots * homes <= READINGS_MAX:
            return grid_of(from_, to, zone, length_s * 1000)
    raise Refused(
        "unprocessable",
        f"{slots} intervals of {length_s} s from {from_} to {to}, of {homes} homes, are too many for one curve",
        f"Ask for fewer days, a site or a greater interval_s: {SLOTS_MAX} intervals and {READINGS_MAX} of all homes"
        " together are the most.",
    )
