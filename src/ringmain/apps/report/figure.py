"""The drawing: one page with a title, the figures in words, four panels and the source.

It uses the library's objects only, never its global state, and draws what it is given: no value is estimated.
"""

import os
from pathlib import Path
from typing import Literal

import matplotlib as mpl
import msgspec
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.collections import QuadMesh
from matplotlib.figure import Figure

from ringmain.apps.report.key import draw_key
from ringmain.apps.report.load import LoadCurve
from ringmain.apps.report.panels import draw_days, draw_duration, draw_heat, draw_load, draw_quality
from ringmain.apps.report.style import FACT_PT, HEAD_PT, INK, NOTE_PT, PAPER, QUIET, RULE, TEXT_PT, TITLE_PT
from ringmain.apps.report.words import clock, energy, interval, power, span

WIDTH_IN, HEIGHT_IN, DPI = 16.0, 10.0, 100
"""1600 x 1000 pixels: a slide, a screen, or a page on its side."""

MARGIN = 0.026
LEFT, WIDE = 0.07, 0.608
RIGHT, NARROW = 0.765, 0.158


class Words(msgspec.Struct, frozen=True):
    """What the drawing says of itself."""

    title: str
    subject: str
    source: str


def draw(curve: LoadCurve, words: Words) -> Figure:
    """The figure of a curve that holds at least one value."""
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), dpi=DPI, facecolor=PAPER)
    FigureCanvasAgg(figure)
    figure.text(MARGIN, 0.966, words.title, fontsize=TITLE_PT, fontweight="bold", color=INK, va="top")
    about = f"{words.subject}, every {interval(curve.interval_s)}, local time of {curve.zone}"
    figure.text(MARGIN, 0.917, f"{span(curve)} · {about}", fontsize=HEAD_PT, color=QUIET, va="top")
    _facts(figure, curve)
    draw_load(figure.add_axes((LEFT, 0.61, WIDE, 0.14)), curve)
    draw_days(figure.add_axes((LEFT, 0.476, WIDE, 0.066)), curve)
    draw_quality(figure.add_axes((LEFT, 0.385, WIDE, 0.085)), curve)
    draw_duration(figure.add_axes((RIGHT, 0.415, NARROW, 0.335)), curve)
    mesh, unit, more = draw_heat(figure.add_axes((LEFT, 0.085, WIDE, 0.25)), curve)
    _colour_bar(figure, mesh, unit, more=more)
    draw_key(figure.add_axes((RIGHT, 0.085, 1 - RIGHT - 0.02, 0.25)), curve)
    figure.text(MARGIN, 0.02, words.source, fontsize=NOTE_PT, color=QUIET, va="bottom")
    return figure


def save(figure: Figure, path: Path, form: Literal["png", "svg"]) -> None:
    """Write the drawing, whole or not at all. The same drawing is the same bytes: no date, no chance in it."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    metadata = {"Date": None, "Creator": "ringmain"} if form == "svg" else {"Software": "ringmain"}
    try:
        with mpl.rc_context({"svg.hashsalt": "ringmain", "svg.fonttype": "path"}):
            figure.savefig(unfinished, format=form, dpi=DPI, metadata=metadata)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _facts(figure: Figure, curve: LoadCurve) -> None:
    found = curve.load
    if found is None:
        return
    expected, present = sum(curve.expected), sum(curve.present)
    share = "" if expected == 0 else f"{_percent(present, expected)} of {expected:,} expected"
    factor = "none" if found.load_factor is None else f"{found.load_factor:.3f}"
    facts = (
        ("Energy", energy(found.energy_wh), f"mean {power(found.mean_w)}"),
        ("Peak", power(found.peak.power_w), clock(found.peak.from_, curve.zone)),
        ("Always on", power(found.always_on_w), "exceeded 95 % of the time"),
        ("Load factor", factor, "mean over peak"),
        ("Intervals", f"{present:,}", share),
    )
    for (name, value, note), x in zip(facts, (MARGIN, 0.245, 0.42, 0.6, RIGHT), strict=True):
        figure.text(x, 0.874, name, fontsize=TEXT_PT, color=QUIET, va="top")
        figure.text(x, 0.853, value, fontsize=FACT_PT, fontweight="bold", color=INK, va="top")
        figure.text(x, 0.817, note, fontsize=TEXT_PT, color=QUIET, va="top")


def _percent(part: int, whole: int) -> str:
    """Rounded down: 100 % only where nothing is missing."""
    tenths = 1000 * part // whole
    return "100 %" if part >= whole else f"{tenths / 10:.1f} %"


def _colour_bar(figure: Figure, mesh: QuadMesh, unit: str, *, more: bool) -> None:
    axes = figure.add_axes((LEFT + WIDE + 0.008, 0.085, 0.008, 0.25))
    bar = figure.colorbar(mesh, cax=axes, extend="max" if more else "neither", extendfrac=0.04)
    bar.outline.set_edgecolor(RULE)
    axes.tick_params(labelcolor=QUIET, labelsize=NOTE_PT, length=3, color=RULE)
    axes.annotate(
        unit, (0, 1), (0, 9), xycoords="axes fraction", textcoords="offset points", fontsize=TEXT_PT, color=QUIET
    )
