"""The judge's own aggregation: what each local day of the year comes to, beside the windows that the API serves.

Standard library alone; days have 46, 48 or 50 half hours, as the clocks of the zone will have it.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Annotated
from zoneinfo import ZoneInfo

import msgspec


class ServedWindow(msgspec.Struct, frozen=True):
    """A window as the API serves it, as far as it is checked."""

    start: Annotated[datetime, msgspec.Meta(tz=True)]
    count: int
    sum: int | float
    min: int | float
    max: int | float


class Day(msgspec.Struct, frozen=True):
    """What one local day came to."""

    count: int
    sum: int | float
    min: int | float
    max: int | float


def days_of(values: Mapping[int, int], zone: str) -> dict[datetime, Day]:
    """Each local day with at least one reading, by its local midnight."""
    local = ZoneInfo(zone)
    grouped: dict[datetime, list[int]] = {}
    for at_ms, value in values.items():
        moment = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(local)
        midnight = datetime(moment.year, moment.month, moment.day, tzinfo=local).astimezone(UTC)
        grouped.setdefault(midnight, []).append(value)
    return {start: Day(len(day), sum(day), min(day), max(day)) for start, day in grouped.items()}


def window_complaints(expected: Mapping[datetime, Day], served: Sequence[ServedWindow]) -> list[str]:
    """One line where any day is missing, invented, served twice or of another content; the first is named."""
    seen = {window.start.astimezone(UTC): Day(window.count, window.sum, window.min, window.max) for window in served}
    wrong = sorted(start for start in expected.keys() | seen.keys() if expected.get(start) != seen.get(start))
    lines = []
    if len(seen) != len(served):
        lines.append(f"{len(served) - len(seen)} day windows are served twice")
    if wrong:
        first = wrong[0]
        lines.append(
            f"{len(wrong)} day windows differ, the first at {first.isoformat()}:"
            f" source {expected.get(first)}, served {seen.get(first)}"
        )
    return lines
