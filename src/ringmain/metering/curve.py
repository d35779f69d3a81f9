"""Curve: the load of one meter or of a street over local days, slot by slot, and how complete each slot and day is.

Pure: sums and counts in, a frozen curve out. Energy is exact; what nobody measured is None and never estimated. The
statistics are for people and may end up on no bill.
"""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta

import msgspec

from ringmain.metering.intervals import EnergyInterval
from ringmain.metering.profiles import Peak, load_summary
from ringmain.model.site import start_of_day
from ringmain.model.time import Interval
from ringmain.ports.load import Grid


class CurveDay(msgspec.Struct, frozen=True):
    """One local day: its energy (None where nothing was measured) and the intervals of all homes that were expected
    and that came. `revised` is how many homes' windows of that day late data revised; None where no such windows are
    kept.
    """

    date: date
    start_ms: int
    end_ms: int
    energy_wh: int | None
    expected: int
    present: int
    revised: int | None


class CurveSummary(msgspec.Struct, frozen=True):
    """A curve in a few figures. `intervals` hold a value, `complete` of them one of every home that was expected.

    Energy and peak are of all intervals. Mean, always-on load and load factor are of the complete ones, because half
    a street is no street; of all where none is complete.
    """

    energy_wh: int
    intervals: int
    complete: int
    mean_w: float
    peak: Peak
    load_factor: float | None
    always_on_w: float


class Curve(msgspec.Struct, frozen=True):
    """Columns over a grid: energy (None where no home has a value), homes that have one, homes that should."""

    grid: Grid
    energy_wh: tuple[int | None, ...]
    present: tuple[int, ...]
    expected: tuple[int, ...]
    days: tuple[CurveDay, ...]
    summary: CurveSummary | None


def grid_of(start: date, end: date, zone: str, slot_ms: int) -> Grid:
    """Slots from local midnight to local midnight; a last one that is cut short by a clock change is whole."""
    first = start_of_day(start, zone)
    return Grid(first, slot_ms, -(-(start_of_day(end, zone) - first) // slot_ms))


def expected_homes(spans: Iterable[Interval], grid: Grid, now_ms: int) -> list[int]:
    """Per slot how many of these spans (disjoint ones of one home, of any number of homes) it starts in. A slot that
    has not ended yet expects nobody.
    """
    steps = [0] * (grid.count + 1)
    ended = max(0, min(grid.count, (now_ms - grid.start) // grid.slot_ms))
    for span in spans:
        first = min(max(0, -(-(span.start - grid.start) // grid.slot_ms)), ended)
        behind = min(max(first, -(-(span.end - grid.start) // grid.slot_ms)), ended)
        steps[first] += 1
        steps[behind] -= 1
    total, found = 0, []
    for step in steps[:-1]:
        total += step
        found.append(total)
    return found


def spread(intervals: Iterable[EnergyInterval], grid: Grid, totals: list[int], covered: bytearray) -> None:
    """Add intervals that start in the grid to `totals`, and mark their slots. One that is as long as several slots (a
    register that was not read in between) is shared out over them, whole Wh each, without a rest.
    """
    for each in intervals:
        first = (each.start_ms - grid.start) // grid.slot_ms
        count = min(max(1, round((each.end_ms - each.start_ms) / grid.slot_ms)), grid.count - first)
        whole, rest = divmod(each.energy_wh, count)
        for place in range(count):
            totals[first + place] += whole + (place < rest)
        covered[first : first + count] = b"\x01" * count


def curve_of(
    grid: Grid,
    period: tuple[date, date, str],
    totals: Sequence[int],
    present: Sequence[int],
    expected: Sequence[int],
    revised: dict[int, int] | None,
) -> Curve:
    """The curve of sums and counts per slot. `period` is the local days [from, to) and their zone, `revised` counts
    by start of day. Where a value came that nobody expected (before a link began), it was expected after all.
    """
    wanted = tuple(max(want, came) for want, came in zip(expected, present, strict=True))
    energy = tuple(total if came else None for total, came in zip(totals, present, strict=True))
    return Curve(
        grid=grid,
        energy_wh=energy,
        present=tuple(present),
        expected=wanted,
        days=tuple(_days(grid, period, energy, present, wanted, revised)),
        summary=_summary(grid, energy, present, wanted),
    )


def _days(
    grid: Grid,
    period: tuple[date, date, str],
    energy: Sequence[int | None],
    present: Sequence[int],
    expected: Sequence[int],
    revised: dict[int, int] | None,
) -> Iterable[CurveDay]:
    day, end, zone = period
    start_ms, first = grid.start, 0
    while day < end:
        day_after = day + timedelta(days=1)
        end_ms = start_of_day(day_after, zone)
        behind = min(-(-(end_ms - grid.start) // grid.slot_ms), grid.count)  # a slot is of the day that it starts in
        values = [value for value in energy[first:behind] if value is not None]
        yield CurveDay(
            date=day,
            start_ms=start_ms,
            end_ms=end_ms,
            energy_wh=sum(values) if values else None,
            expected=sum(expected[first:behind]),
            present=sum(present[first:behind]),
            revised=None if revised is None else revised.get(start_ms, 0),
        )
        day, start_ms, first = day_after, end_ms, behind


def _summary(
    grid: Grid, energy: Sequence[int | None], present: Sequence[int], expected: Sequence[int]
) -> CurveSummary | None:
    found = [
        (EnergyInterval(grid.start + place * grid.slot_ms, grid.start + (place + 1) * grid.slot_ms, value), complete)
        for place, (value, complete) in enumerate(zip(energy, map(int.__eq__, present, expected), strict=True))
        if value is not None
    ]
    intervals = [interval for interval, _ in found]
    whole = [interval for interval, complete in found if complete]
    everything = load_summary(intervals)
    basis = load_summary(whole) if 0 < len(whole) < len(intervals) else everything
    if everything is None or basis is None:
        return None
    return CurveSummary(
        energy_wh=everything.energy_wh,
        intervals=len(intervals),
        complete=len(whole),
        mean_w=basis.mean_w,
        peak=everything.peak,
        load_factor=basis.mean_w / everything.peak.power_w if everything.peak.power_w else None,
        always_on_w=basis.always_on_w,
    )
