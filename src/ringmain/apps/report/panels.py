"""The panels of a drawing, each a function of the curve onto axes that it is given."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from math import nan

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import QuadMesh
from matplotlib.colors import Normalize

from ringmain.apps.report.axis import DAYS_BY_HOUR, Ticks, day_ticks, edges, ticks
from ringmain.apps.report.load import Cell, Day, LoadCurve, Quality, cells, duration, merged, quality_of
from ringmain.apps.report.style import (
    BLUE,
    DASHES,
    GONE,
    GONE_HATCH,
    HEAT,
    INK,
    NOTE_PT,
    PAPER,
    PART_HATCH,
    PLATE,
    QUIET,
    RULE,
    SKY,
    TEXT_PT,
    VERMILION,
    Box,
    beside,
    draw_boxes,
    panel,
)
from ringmain.apps.report.words import clock, interval, power, scale_of
from ringmain.metering.profiles import percentile
from ringmain.model.time import HOUR_MS

EVERY_SLOT_DAYS = 14
"""Up to so many days each interval is drawn; beyond, each day's mean and range."""

DAYS_CLOSE = 120
"""Beyond so many days their bars stand without a gap: it would be narrower than a pixel."""

POINTS_MAX = 500
"""Steps of a duration curve: two a pixel. A year's 17,520 would only make the file large."""

LABELS_APART = 0.04
"""Of the axis: labels of levels nearer than this would run into each other."""

HEAT_PERCENT = 99.5
"""The darkest colour stands for this percentile: one rare peak would leave all other days pale."""

HEAT_CELLS = 1_000
"""From so many places of the heat map on; of fewer the darkest is the greatest."""


def draw_load(axes: Axes, curve: LoadCurve) -> None:
    """Power over time."""
    powers = [curve.power_w(slot) for slot in range(len(curve.energy_wh))]
    scale, unit = scale_of(max((value for value in powers if value is not None), default=0))
    values = [nan if value is None else value / scale for value in powers]
    if len(curve.days) <= EVERY_SLOT_DAYS:
        panel(axes, "Load curve", f"{unit}, mean of each {interval(curve.interval_s)}")
        at = [slot * curve.slot_ms / HOUR_MS for slot in range(len(values) + 1)]
        axes.stairs(values, at, fill=True, color=SKY)
        axes.stairs(values, at, color=BLUE, linewidth=1.4)
    else:
        panel(axes, "Load curve", f"{unit}, mean of each day; shaded from its lowest to its highest {_each(curve)}")
        low, high, mean = zip(*(_day_range(values, rows) for rows in _rows_of_days(curve)), strict=True)
        axes.stairs(high, edges(curve), baseline=np.array(low), fill=True, color=SKY)
        axes.stairs(mean, edges(curve), baseline=None, color=BLUE, linewidth=1.6)
    _time_axis(axes, curve, ticks(curve))
    axes.set_ylim(0, (np.nanmax(values) if any(value == value for value in values) else 1) * 1.24 or 1)  # noqa: PLR0124
    _mark_gaps(axes, curve)
    _mark_levels(axes, curve, scale)


def _each(curve: LoadCurve) -> str:
    return interval(curve.interval_s)


def _rows_of_days(curve: LoadCurve) -> Iterable[range]:
    first = 0
    for end in edges(curve)[1:]:
        behind = min(-(-int(end * HOUR_MS) // curve.slot_ms), len(curve.energy_wh))
        yield range(first, behind)
        first = behind


def _day_range(values: Sequence[float], rows: range) -> tuple[float, float, float]:
    found = [values[row] for row in rows if values[row] == values[row]]  # not a number is not itself
    return (min(found), max(found), sum(found) / len(found)) if found else (nan, nan, nan)


def _mark_gaps(axes: Axes, curve: LoadCurve) -> None:
    """Where nothing came, over the whole height."""
    boxes = []
    for gone, rows in groupby(range(len(curve.energy_wh)), lambda row: curve.quality(row) is Quality.MISSING):
        if gone:
            run = list(rows)
            start, end = run[0] * curve.slot_ms / HOUR_MS, (run[-1] + 1) * curve.slot_ms / HOUR_MS
            boxes.append((start, 0.0, end - start, axes.get_ylim()[1]))
    draw_boxes(axes, boxes, PAPER, GONE, GONE_HATCH)


def _mark_levels(axes: Axes, curve: LoadCurve, scale: float) -> None:
    """The peak, and what never sleeps."""
    found = curve.load
    if found is None:
        return
    x, y = curve.hours(found.peak.from_) + curve.interval_s / 7200, found.peak.power_w / scale
    along = x / axes.get_xlim()[1]
    side = "left" if along < 0.15 else "right" if along > 0.85 else "center"
    axes.plot([x], [y], marker="o", markersize=6, color=VERMILION, markeredgecolor=PAPER, zorder=6, clip_on=False)
    axes.annotate(
        f"peak {power(found.peak.power_w)}, {clock(found.peak.from_, curve.zone)}", (x, y), (0, 5),
        textcoords="offset points", ha=side, va="bottom", fontsize=TEXT_PT, color=INK, zorder=7, bbox=PLATE,
    )  # fmt: skip
    axes.axhline(found.always_on_w / scale, color=INK, linewidth=1, linestyle=DASHES, zorder=5)
    beside(axes, found.always_on_w / scale, "always on", "center")


def draw_days(axes: Axes, curve: LoadCurve) -> None:
    """Energy of each day window; one that is not complete is hatched."""
    panel(axes, "Day windows", "kWh")
    gap = 0.0 if len(curve.days) > DAYS_CLOSE else 0.12 if len(curve.days) > DAYS_BY_HOUR else 0.01
    whole: list[Box] = []
    parts: list[Box] = []
    for day in curve.days:
        if day.energy_wh is not None:
            start, end = curve.hours(day.start), curve.hours(day.end)
            inset = (end - start) * gap / 2
            boxes = parts if quality_of(day.present, day.expected) is Quality.PARTIAL else whole
            boxes.append((start + inset, 0.0, end - start - 2 * inset, day.energy_wh / 1000))
    draw_boxes(axes, whole, BLUE, PAPER)
    draw_boxes(axes, parts, PAPER, BLUE, "//////")
    axes.set_ylim(0, max((day.energy_wh or 0 for day in curve.days), default=0) / 1000 * 1.1 or 1)
    gone = [quality_of(day.present, day.expected) is Quality.MISSING for day in curve.days]
    draw_boxes(
        axes, [(at, 0.0, end - at, axes.get_ylim()[1]) for at, end in _runs(curve, gone)], PAPER, GONE, GONE_HATCH
    )
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:,g}")
    _time_axis(axes, curve, Ticks((), ()))


def draw_quality(axes: Axes, curve: LoadCurve) -> None:
    """A lane for each quality a day window can have; the mark's shape says it again. Runs of days are lines."""
    panel(axes, "", "")
    found = [quality_of(day.present, day.expected) for day in curve.days]
    lanes = (
        ("complete", "", BLUE, [each is Quality.COMPLETE for each in found]),
        ("partial", "o", INK, [each is Quality.PARTIAL for each in found]),
        ("missing", "x", VERMILION, [each is Quality.MISSING for each in found]),
        ("revised", "^", VERMILION, [bool(day.revised) for day in curve.days]),
    )
    for row, (_, mark, colour, marked) in enumerate(lanes):
        for start, end in _runs(curve, marked):
            axes.plot([start, end], [row, row], color=colour, linewidth=2.2, solid_capstyle="butt")
            face = PAPER if mark == "o" else colour
            axes.plot(
                [(start + end) / 2], [row], marker=mark, markersize=6, color=colour, markerfacecolor=face,
                markeredgewidth=1.6, clip_on=False,
            )  # fmt: skip
        count = sum(marked)
        unknown = row == len(lanes) - 1 and all(day.revised is None for day in curve.days)
        told = "not kept" if unknown else f"{count:,} day{'' if count == 1 else 's'}"
        axes.annotate(
            told, (1, row), (7, 0), xycoords=("axes fraction", "data"), textcoords="offset points", va="center",
            fontsize=NOTE_PT, color=INK if count else GONE,
        )  # fmt: skip
    axes.set_ylim(len(lanes) - 0.4, -0.6)
    axes.set_yticks(range(len(lanes)), [name for name, *_ in lanes], fontsize=NOTE_PT)
    _time_axis(axes, curve, Ticks((), ()))
    axes.spines["bottom"].set_visible(False)


def _runs(curve: LoadCurve, marked: Sequence[bool]) -> Iterable[tuple[float, float]]:
    for holds, days in groupby(zip(curve.days, marked, strict=True), lambda pair: pair[1]):
        if holds:
            run: list[Day] = [day for day, _ in days]
            yield curve.hours(run[0].start), curve.hours(run[-1].end)


def draw_heat(axes: Axes, curve: LoadCurve) -> tuple[QuadMesh, str, bool]:
    """Day by time of day, by the site's clock; for the colour bar, the mesh, the unit, and whether there is more than
    the darkest colour says.
    """
    rows, found = 86_400 // curve.interval_s, list(cells(curve))
    scale, unit = scale_of(max((cell.power_w or 0 for cell in found), default=0))
    values = np.full((rows, len(curve.days)), nan)
    for cell in found:
        if cell.power_w is not None:
            values[cell.row, cell.day] = cell.power_w / scale
    known = np.sort(values[~np.isnan(values)]).tolist()
    most = percentile(known, HEAT_PERCENT if len(known) >= HEAT_CELLS else 100) if known else 1.0
    panel(axes, "Every day, hour by hour", f"{unit}, mean of each {interval(curve.interval_s)} by the site's clock")
    at, hours = edges(curve), [row * curve.interval_s / 3600 for row in range(rows + 1)]
    mesh = axes.pcolormesh(at, hours, values, cmap=HEAT, norm=Normalize(0, most or 1.0), rasterized=True)
    _hatch(axes, at, curve, found, Quality.MISSING, GONE_HATCH, PAPER)
    _hatch(axes, at, curve, found, Quality.PARTIAL, PART_HATCH, "none")
    axes.set_ylim(24, 0)
    axes.set_yticks(range(0, 25, 6), [f"{hour:02d}:00" for hour in range(0, 25, 6)])
    axes.grid(visible=False)
    _time_axis(axes, curve, day_ticks(curve))
    return mesh, unit, bool(known) and known[-1] > most


def _hatch(
    axes: Axes, at: Sequence[float], curve: LoadCurve, found: Sequence[Cell], quality: Quality, hatch: str, face: str
) -> None:
    places = {(cell.day, cell.row) for cell in found if cell.quality is quality}
    height = curve.interval_s / 3600
    boxes = [
        (at[day], row * height, at[day + days] - at[day], rows * height) for day, row, days, rows in merged(places)
    ]
    draw_boxes(axes, boxes, face, GONE, hatch)


def draw_duration(axes: Axes, curve: LoadCurve) -> None:
    """Powers in descending order: how long the load is at least so high."""
    powers = duration(curve)
    scale, unit = scale_of(powers[0] if powers else 0)
    some = curve.load is not None and 0 < curve.load.complete < curve.load.intervals
    whose = "complete intervals" if some else "by share of time"
    panel(axes, "Duration curve", f"{unit}, {whose}")
    places = range(len(powers)) if len(powers) <= POINTS_MAX else np.linspace(0, len(powers) - 1, POINTS_MAX, dtype=int)
    values = [powers[place] / scale for place in places]
    at = [100 * place / len(values) for place in range(len(values) + 1)]
    axes.stairs(values, at, fill=True, color=SKY)
    axes.stairs(values, at, baseline=None, color=BLUE, linewidth=1.6)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, values[0] * 1.06 if values and values[0] else 1)
    axes.set_xticks([0, 25, 50, 75, 100], ["0", "25", "50", "75", "100 %"])
    if curve.load is not None:
        levels = ((curve.load.mean_w / scale, "mean"), (curve.load.always_on_w / scale, "always on"))
        near = (levels[0][0] - levels[1][0]) / axes.get_ylim()[1] < LABELS_APART
        for place, (level, name) in enumerate(levels):
            axes.axhline(level, color=INK, linewidth=1, linestyle=DASHES)
            beside(axes, level, name, "center" if not near else "top" if place else "bottom")


def _time_axis(axes: Axes, curve: LoadCurve, marks: Ticks) -> None:
    axes.set_xlim(0, edges(curve)[-1])
    axes.set_xticks(marks.at, marks.names, ha="left" if len(curve.days) > 1 else "center")
    axes.tick_params(axis="x", color=RULE, labelcolor=QUIET)
