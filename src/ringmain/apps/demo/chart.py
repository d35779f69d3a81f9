"""Charts of block characters: a curve of power over time, and a line of bars. Pure."""

from collections.abc import Sequence

import msgspec

from ringmain.model.time import DAY_MS, Instant, format_rfc3339, parse_rfc3339, utc

BLOCKS = " ▁▂▃▄▅▆▇█"
EIGHTHS = len(BLOCKS) - 1
GAP = "·"
"""In the lowest row, where nobody has said anything: nothing known is not zero."""


class Curve(msgspec.Struct, frozen=True):
    """The load of the street: `energy_wh` for each interval from `start` on, None where nobody said anything; how many
    homes said something in it, and how many should have.
    """

    start: str
    interval_s: int
    energy_wh: tuple[int | None, ...]
    present: tuple[int, ...] = ()
    expected: tuple[int, ...] = ()

    def last(self, slots: int, until_ms: int) -> "Curve":
        """The `slots` intervals that end by `until_ms`; where this one does not reach, nobody said anything."""
        step_ms = self.interval_s * 1000
        end = (until_ms - parse_rfc3339(self.start)) // step_ms
        wanted = range(end - slots, end)
        return Curve(
            start=format_rfc3339(Instant(parse_rfc3339(self.start) + wanted.start * step_ms)),
            interval_s=self.interval_s,
            energy_wh=tuple(self.energy_wh[at] if 0 <= at < len(self.energy_wh) else None for at in wanted),
            present=tuple(self.present[at] if 0 <= at < len(self.present) else 0 for at in wanted),
            expected=tuple(self.expected[at] if 0 <= at < len(self.expected) else 0 for at in wanted),
        )


class Chart(msgspec.Struct, frozen=True):
    """A curve drawn: `lines` from top to bottom, oldest left; `partial` says of each column whether homes are still
    missing in it; `peak_kw` is the height of the whole; `days` names the midnights under it.
    """

    lines: tuple[str, ...]
    partial: tuple[bool, ...]
    peak_kw: float
    total_kwh: float
    days: str


def chart(curve: Curve, width: int, rows: int) -> Chart:
    """`curve` on `width` columns and `rows` lines. A column of several intervals has their mean."""
    powers = [None if value is None else value * 3.6 / curve.interval_s for value in curve.energy_wh]
    count = len(powers)
    spans = [range(at * count // width, max(at * count // width + 1, (at + 1) * count // width)) for at in range(width)]
    if not count:
        spans = []
    means = [_mean([powers[slot] for slot in span]) for span in spans]
    peak_kw = max((mean for mean in means if mean is not None), default=0.0)
    heights = [round((mean or 0.0) / peak_kw * rows * EIGHTHS) if peak_kw else 0 for mean in means]
    lines = [_row(heights, row) for row in range(rows)]
    if lines:
        lines[0] = "".join(GAP if mean is None else mark for mean, mark in zip(means, lines[0], strict=True))
    pairs = list(zip(curve.present, curve.expected, strict=True))
    return Chart(
        lines=tuple(reversed(lines)),
        partial=tuple(any(came < wanted for came, wanted in pairs[span.start : span.stop]) for span in spans),
        peak_kw=peak_kw,
        total_kwh=sum(value for value in curve.energy_wh if value is not None) / 1000,
        days=_days(curve, width),
    )


def _mean(powers: Sequence[float | None]) -> float | None:
    known = [power for power in powers if power is not None]
    return sum(known) / len(known) if known else None


def _days(curve: Curve, width: int) -> str:
    """The names of the days, each where its midnight (UTC) is, as far as there is room."""
    line, step_ms, count = "", curve.interval_s * 1000, len(curve.energy_wh)
    start_ms = parse_rfc3339(curve.start)
    midnight = -(-start_ms // DAY_MS) * DAY_MS
    while count and midnight < start_ms + count * step_ms:
        column = (midnight - start_ms) * width // (count * step_ms)
        name = f"╵{utc(Instant(midnight)):%a %d %b}"
        if len(line) <= column <= width - len(name):
            line = f"{line:{column}}{name} "
        midnight += DAY_MS
    return line[:width]


def bars(values: Sequence[float], width: int, rows: int) -> list[str]:
    """The newest `width` values as bars on `rows` lines, the newest right. Nothing is a thin line."""
    newest = list(values)[-width:] if width > 0 else []
    most = max(newest, default=0.0)
    heights = [max(2, round(value / most * rows * EIGHTHS)) if value > 0 else 1 for value in newest]
    return [_row(heights, row).rjust(max(0, width)) for row in reversed(range(rows))]


def _row(heights: Sequence[int], row: int) -> str:
    """One line of columns that are so many eighths high; the lowest is row 0."""
    return "".join(BLOCKS[min(EIGHTHS, max(0, height - EIGHTHS * row))] for height in heights)
