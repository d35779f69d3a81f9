"""The look of a drawing: one place for its colours, sizes and the frame of a panel.

Colours are of Okabe and Ito's set, which people with any kind of colour blindness tell apart, and the heat map's run
from light to dark. Nothing is told by colour alone: marks differ in shape, and what is missing is hatched.
"""

from collections.abc import Sequence
from typing import Literal

from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.patches import PathPatch
from matplotlib.path import Path

Box = tuple[float, float, float, float]
"""Left, bottom, width, height."""

INK = "#1b1f24"
QUIET = "#5c6670"
RULE = "#d5dae0"
PAPER = "#ffffff"
BLUE = "#0072b2"
SKY = "#b9dcf2"
VERMILION = "#d55e00"
GONE = "#8a929b"
GONE_HATCH = "////"
PART_HATCH = "\\\\\\\\"

DASHES = (0, (4, 3))
PLATE = {"facecolor": PAPER, "edgecolor": "none", "pad": 1.5, "alpha": 0.85}

TITLE_PT = 23
FACT_PT = 19
HEAD_PT = 12
TEXT_PT = 10.5
NOTE_PT = 9

HEAT = LinearSegmentedColormap.from_list(
    "ringmain", ["#f4f8fb", "#cfe3f1", "#8fc1de", "#3f8fc0", "#1a5f96", "#0d3566", "#061a3a"]
)
"""From nearly white to nearly black in even steps of lightness: read in grey as in colour."""


def panel(axes: Axes, heading: str, unit: str = "") -> None:
    """A quiet frame: a heading above, no box, a hairline to stand on, light rules across."""
    axes.set_facecolor(PAPER)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(QUIET)
    axes.tick_params(axis="both", colors=QUIET, labelsize=TEXT_PT, length=0, pad=5)
    axes.tick_params(axis="x", length=4)
    axes.grid(visible=True, axis="y", color=RULE, linewidth=0.8)
    axes.set_axisbelow(True)
    head = axes.annotate(
        heading, (0, 1), (0, 9), xycoords="axes fraction", textcoords="offset points", fontsize=HEAD_PT, color=INK,
        fontweight="bold", va="bottom",
    )  # fmt: skip
    axes.annotate(
        unit, (1, 0), (8, 0), xycoords=head, textcoords="offset points", fontsize=TEXT_PT, color=QUIET, va="bottom"
    )


def beside(axes: Axes, level: float, text: str, side: Literal["bottom", "center", "top"]) -> None:
    """A word to the right of the panel, at a level of it."""
    axes.annotate(
        text, (1, level), (6, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
        fontsize=TEXT_PT, color=INK, va=side, annotation_clip=False,
    )  # fmt: skip


def draw_boxes(axes: Axes, boxes: Sequence[Box], face: str, edge: str, hatch: str = "") -> None:
    """Boxes of one kind as one shape: a year of bars is one object of the drawing."""
    if not boxes:
        return
    corners = [
        point
        for left, bottom, width, height in boxes
        for point in ((left, bottom), (left, bottom + height), (left + width, bottom + height), (left + width, bottom))
    ]
    closed = [point for place in range(0, len(corners), 4) for point in (*corners[place : place + 4], corners[place])]
    codes = [Path.MOVETO, Path.LINETO, Path.LINETO, Path.LINETO, Path.CLOSEPOLY] * len(boxes)
    width_pt = 0.0 if edge == GONE else 0.3
    axes.add_patch(
        PathPatch(Path(closed, codes), facecolor=face, edgecolor=edge, hatch=hatch or None, linewidth=width_pt)
    )
