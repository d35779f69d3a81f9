"""The key of a drawing: what its marks mean. Every mark differs in shape or hatch, not only in colour."""

from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from ringmain.apps.report.load import LoadCurve
from ringmain.apps.report.style import (
    BLUE,
    GONE,
    GONE_HATCH,
    HEAD_PT,
    INK,
    PAPER,
    PART_HATCH,
    QUIET,
    SKY,
    TEXT_PT,
    VERMILION,
)

ROWS = 6


def draw_key(axes: Axes, curve: LoadCurve) -> None:
    """Swatches with a sentence each."""
    axes.set_axis_off()
    axes.set_xlim(0, 1)
    axes.set_ylim(ROWS - 0.5, -0.5)
    axes.annotate(
        "How to read it", (0, 1), (0, 9), xycoords="axes fraction", textcoords="offset points", fontsize=HEAD_PT,
        color=INK, fontweight="bold",
    )  # fmt: skip
    whole = "day window complete" if curve.homes == 1 else "day window complete, of every home"
    _swatch(axes, 0, whole, BLUE, BLUE, "")
    _swatch(axes, 1, "day window partial: some intervals missing", PAPER, BLUE, "//////")
    axes.plot([0.022], [2], marker="^", markersize=7, color=VERMILION)
    _say(axes, 2, "day revised: late data came after it closed")
    _swatch(axes, 3, "no reading came", PAPER, GONE, GONE_HATCH)
    _swatch(axes, 4, "only some came; the value is of those", SKY, GONE, PART_HATCH)
    _swatch(axes, 5, "no such hour: clocks went forward", PAPER, GONE, "")


def _swatch(axes: Axes, row: int, text: str, face: str, edge: str, hatch: str) -> None:
    axes.add_patch(Rectangle((0, row - 0.27), 0.044, 0.54, facecolor=face, edgecolor=edge, hatch=hatch, linewidth=0.6))
    _say(axes, row, text)


def _say(axes: Axes, row: int, text: str) -> None:
    axes.text(0.075, row, text, fontsize=TEXT_PT, color=QUIET, va="center")
