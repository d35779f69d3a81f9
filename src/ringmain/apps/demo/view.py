"""The view of a demo: what the figures look like on a terminal. Pure; it draws what it is given and asks nobody.

Where there is no room for a panel it is left out, the least important first; none is ever squeezed.
"""

from datetime import UTC, datetime

from rich import box
from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.text import Text

from ringmain.apps.demo import panels
from ringmain.apps.demo.situation import Situation
from ringmain.apps.demo.watch import Figures

TALL = 30
"""Lines from which on head and foot have frames."""

TWO_COLUMNS = 76
RIGHT, RIGHT_MAX = 34, 44
"""Columns of the right side: as many as its longest line needs, and a little more where there is plenty."""

SMALL = 8
"""Below so many lines there is only the head."""

CURVE_LINES = (6, 16)
BILLS_LINES_MIN = 5

KEYS = {
    "c": ("cut the uplink", "cut uplink", "cut"),
    "e": ("kill the edge", "kill edge", "edge"),
    "p": ("kill the platform", "kill platform", "platform"),
    "a": ("addresses", "addresses", "where"),
    "q": ("end", "end", "end"),
}
"""What each key does, in three lengths."""

MENDED = ("mend the uplink", "mend uplink", "mend")


def render(figures: Figures, now: Situation, width: int, height: int, page: str = "") -> RenderableType:
    """The whole screen. A `page` takes the place of the panels: text without a frame, so that it can be copied."""
    if height < SMALL:
        return Group(_when(figures, now, width), _keys(now, width))
    tall = height >= TALL
    said = 1 if not tall else 3 if height < TALL + 4 else 4
    head, foot = (3, said + 3) if tall else (1, said + 1)
    layout = Layout()
    middle = Layout(ratio=1)
    layout.split_column(
        Layout(_boxed(_when(figures, now, width)) if tall else _when(figures, now, width), size=head),
        middle,
        Layout(_foot(now, width, said, tall=tall), size=foot),
    )
    lines = height - head - foot
    if page:
        middle.update(
            Panel(Text(page), title="[bold default]addresses[/]", box=box.HORIZONTALS, border_style="bright_black")
        )
    elif width >= TWO_COLUMNS:
        _two_columns(middle, figures, now, width, lines)
    else:
        _one_column(middle, figures, now, width, lines)
    return layout


def _two_columns(middle: Layout, figures: Figures, now: Situation, width: int, lines: int) -> None:
    right_width = min(RIGHT_MAX, max(RIGHT, width * 2 // 5))
    left_width = width - right_width
    left, right = Layout(size=left_width), Layout(size=right_width)
    middle.split_row(left, right)
    curve = lines if lines < sum((CURVE_LINES[0], BILLS_LINES_MIN)) else min(CURVE_LINES[1], lines * 11 // 20)
    parts = [Layout(panels.energy(figures, left_width, curve), size=curve)]
    if lines > curve:
        parts.append(Layout(panels.bills(figures, lines - curve)))
    left.split_column(*parts)
    _stack(right, _side(figures, now, right_width, lines), lines)


def _side(figures: Figures, now: Situation, width: int, lines: int) -> list[panels.Sized]:
    """Platform, edge and sessions, in the order of their weight; with bars where there is room for all."""
    sessions = panels.homes(figures, width)
    for bar_lines in (2, 1, 0):
        both = [panel(figures, now, width, bar_lines) for panel in (panels.platform, panels.edge)]
        if sum(each.lines for each in both) + sessions.lines <= lines:
            break
    return [*both, sessions]


def _one_column(middle: Layout, figures: Figures, now: Situation, width: int, lines: int) -> None:
    chosen = _fitting(_side(figures, now, width, lines), lines)
    left = lines - sum(each.lines for each in chosen)
    if left >= CURVE_LINES[0]:
        chosen.insert(0, panels.Sized(panels.energy(figures, width, left), left))
    _stack(middle, chosen, lines)


def _fitting(sized: list[panels.Sized], lines: int) -> list[panels.Sized]:
    chosen: list[panels.Sized] = []
    for each in sized:
        if sum(one.lines for one in chosen) + each.lines <= lines:
            chosen.append(each)
    return chosen


def _stack(layout: Layout, sized: list[panels.Sized], lines: int) -> None:
    """One above the other; the last one has what is left over."""
    chosen = _fitting(sized, lines)
    if not chosen:
        layout.update(Text(""))
        return
    parts = [Layout(each.panel, size=each.lines) for each in chosen[:-1]]
    layout.split_column(*parts, Layout(chosen[-1].panel))


def _when(figures: Figures, now: Situation, width: int) -> Text:
    """Name, time in the street, pace; the less important ones only where there is room."""
    at_ms = figures.virtual_ms
    when = "starting" if at_ms is None else f"{datetime.fromtimestamp(at_ms / 1000, UTC):%a %d %b %Y %H:%M} UTC"
    real = figures.homes is not None and figures.homes.real_time
    pace = "in real time" if real else f"{now.speed:,.0f} times faster than life"
    parts = [("Ringmain", "bold green"), (when, "bold cyan"), (f"{now.homes:,} homes", ""), (pace, "")]
    parts.append((f"running {now.seconds:,.0f} s", "dim"))
    text = Text(no_wrap=True, overflow="crop")
    for words, style in parts:
        if len(text) + len(words) + 7 > width:
            break
        text.append("   " if text else "")
        text.append(words, style=style)
    return text


def _foot(now: Situation, width: int, said: int, *, tall: bool) -> RenderableType:
    lines = [Text(line, no_wrap=True, overflow="ellipsis") for line in now.said[-said:]]
    for line in lines[:-1]:
        line.stylize("dim")
    padding = [Text("") for _ in range(said - len(lines))]
    content = Group(_keys(now, width), *lines, *padding)
    return _boxed(content) if tall else content


def _keys(now: Situation, width: int) -> Text:
    """In the longest words that fit."""
    words = {**KEYS, "c": MENDED} if now.cut else KEYS
    for length in range(3):
        parts = [(f" {key} ", f" {each[length]}") for key, each in words.items()]
        if sum(len(key) + len(what) + 2 for key, what in parts) - 2 + panels.FRAME <= width:
            break
    text = Text(no_wrap=True, overflow="crop")
    for key, what in parts:
        text.append("  " if text else "")
        text.append(key, style="reverse")
        text.append(what)
    return text


def _boxed(content: RenderableType) -> Panel:
    return Panel(content, box=box.ROUNDED, border_style="bright_black")
