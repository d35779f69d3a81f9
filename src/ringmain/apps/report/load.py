"""What is drawn: a load curve as the API answers it, and what follows from it without a library.

Nothing is estimated or smoothed here. Energy stays whole Wh; power is energy over the length of its interval.
"""

from collections.abc import Iterator
from datetime import date, datetime
from enum import StrEnum

import msgspec

from ringmain.model.site import local
from ringmain.model.time import HOUR_MS, instant_of


class Day(msgspec.Struct, frozen=True):
    """A local day, as `LoadDayAnswer` has it."""

    date: date
    start: datetime
    end: datetime
    energy_wh: int | None
    expected: int
    present: int
    revised: int | None


class Peak(msgspec.Struct, frozen=True):
    """The interval of the highest mean power."""

    from_: datetime = msgspec.field(name="from")
    to: datetime
    energy_wh: int
    power_w: float


class Figures(msgspec.Struct, frozen=True):
    """As `LoadFiguresAnswer` has them."""

    energy_wh: int
    intervals: int
    complete: int
    mean_w: float
    peak: Peak
    load_factor: float | None
    always_on_w: float


class LoadCurve(msgspec.Struct, frozen=True):
    """As `LoadCurveAnswer` has it: columns with one item for each slot of `interval_s` from `start` on."""

    zone: str
    from_: date = msgspec.field(name="from")
    to: date
    interval_s: int
    start: datetime
    homes: int
    readings_from: datetime | None
    readings_to: datetime | None
    refused: int
    energy_wh: tuple[int | None, ...]
    present: tuple[int, ...]
    expected: tuple[int, ...]
    days: tuple[Day, ...]
    load: Figures | None

    @property
    def start_ms(self) -> int:
        return instant_of(self.start)

    @property
    def slot_ms(self) -> int:
        return self.interval_s * 1000

    def hours(self, moment: datetime) -> float:
        """Real hours from the start: the axis of time. A day of a clock change is 23 or 25 of them wide."""
        return (instant_of(moment) - self.start_ms) / HOUR_MS

    def power_w(self, slot: int) -> float | None:
        """Mean power of a slot, None where nobody has a value."""
        energy_wh = self.energy_wh[slot]
        return None if energy_wh is None else energy_wh * HOUR_MS / self.slot_ms

    def quality(self, slot: int) -> "Quality":
        """How much of a slot came."""
        return quality_of(self.present[slot], self.expected[slot])


class Quality(StrEnum):
    """How much of what was expected came."""

    COMPLETE = "complete"
    PARTIAL = "partial"
    MISSING = "missing"
    NOT_EXPECTED = "not expected"


def quality_of(present: int, expected: int) -> Quality:
    """The quality of a slot, or of a day's slots together."""
    if expected == 0:
        return Quality.NOT_EXPECTED
    if present == 0:
        return Quality.MISSING
    return Quality.COMPLETE if present >= expected else Quality.PARTIAL


class Cell(msgspec.Struct, frozen=True):
    """One place of the heat map: the slots that begin at one local time of one day; two in the hour that comes twice.
    `row` counts intervals from local midnight; `power_w` is the mean of what was measured.
    """

    day: int
    row: int
    power_w: float | None
    quality: Quality


def cells(curve: LoadCurve) -> Iterator[Cell]:
    """Every place that has a slot. The hour that spring leaves out has none, and so no cell."""
    rows = 86_400 // curve.interval_s
    found: dict[tuple[int, int], list[int]] = {}
    for slot in range(len(curve.energy_wh)):
        moment = local(curve.start_ms + slot * curve.slot_ms, curve.zone)
        row = (moment.hour * 3600 + moment.minute * 60 + moment.second) // curve.interval_s
        day = (moment.date() - curve.from_).days
        if 0 <= day < len(curve.days) and row < rows:
            found.setdefault((day, row), []).append(slot)
    for (day, row), slots in found.items():
        powers = [power for slot in slots if (power := curve.power_w(slot)) is not None]
        quality = quality_of(sum(curve.present[slot] for slot in slots), sum(curve.expected[slot] for slot in slots))
        yield Cell(day, row, sum(powers) / len(powers) if powers else None, quality)


def duration(curve: LoadCurve) -> tuple[float, ...]:
    """Mean powers in descending order: of the complete slots, or of all that were measured where none is complete."""
    measured = [slot for slot, energy_wh in enumerate(curve.energy_wh) if energy_wh is not None]
    basis = [slot for slot in measured if curve.quality(slot) is Quality.COMPLETE] or measured
    return tuple(sorted((power for slot in basis if (power := curve.power_w(slot)) is not None), reverse=True))


def merged(places: set[tuple[int, int]]) -> list[tuple[int, int, int, int]]:
    """Rectangles (day, row, days, rows) that cover these (day, row) places, each once: few marks instead of many."""
    left, found = set(places), []
    for day, row in sorted(places):
        if (day, row) not in left:
            continue
        rows = 1
        while (day, row + rows) in left:
            rows += 1
        days = 1
        while all((day + days, row + place) in left for place in range(rows)):
            days += 1
        left -= {(day + across, row + up) for across in range(days) for up in range(rows)}
        found.append((day, row, days, rows))
    return found
