"""Terminal frames as SVG: text placed column by column, frames and blocks drawn as shapes, so that everything lines up
whatever monospace font a browser has. Pure; no fonts, scripts or addresses of others.
"""

from html import escape
from typing import Self

import msgspec
from rich.ansi import AnsiDecoder
from rich.color import Color
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import TerminalTheme

CELL_W, CELL_H = 8.4, 18
SIZE = 14
PAD, BAR = 14, 34
THEME = TerminalTheme(
    (13, 17, 23),
    (201, 209, 217),
    [
        (72, 79, 88),
        (255, 123, 114),
        (63, 185, 80),
        (210, 153, 34),
        (88, 166, 255),
        (188, 140, 255),
        (57, 197, 207),
        (177, 186, 196),
    ],
    [
        (72, 79, 88),
        (255, 161, 152),
        (86, 211, 100),
        (227, 179, 65),
        (121, 192, 255),
        (210, 168, 255),
        (86, 212, 221),
        (255, 255, 255),
    ],
)
INK, PAPER = "#c9d1d9", "#0d1117"
DIM = 0.55
EIGHTHS = "▁▂▃▄▅▆▇█"
LINES = {"─": "M{l} {m}H{r}", "│": "M{c} {t}V{b}", "╭": "M{c} {b}V{y}Q{c} {m} {x} {m}H{r}",
         "╮": "M{c} {b}V{y}Q{c} {m} {w} {m}H{l}", "╰": "M{c} {t}V{z}Q{c} {m} {x} {m}H{r}",
         "╯": "M{c} {t}V{z}Q{c} {m} {w} {m}H{l}"}  # fmt: skip


class Run(msgspec.Struct, frozen=True):
    """Characters of one style from a column on."""

    column: int
    text: str
    ink: str
    paper: str
    bold: bool


class Frame(msgspec.Struct, frozen=True):
    """Lines of runs."""

    lines: tuple[tuple[Run, ...], ...]

    @classmethod
    def of(cls, lines: list[str], width: int) -> Self:
        """From lines with ANSI sequences."""
        decoder, console = AnsiDecoder(), Console(width=width * 2, color_system="truecolor", force_terminal=True)
        found = []
        for line in lines:
            column, runs = 0, []
            for segment in decoder.decode_line(line).render(console, end=""):
                if segment.text:
                    runs.append(_run(column, segment.text, segment.style or Style.null()))
                    column += len(segment.text)
            found.append(tuple(runs))
        return cls(tuple(found))


def _run(column: int, text: str, style: Style) -> Run:
    ink = _hex(style.color, INK, dim=bool(style.dim), foreground=True)
    paper = _hex(style.bgcolor, "", dim=False, foreground=False)
    if style.reverse:
        ink, paper = paper or PAPER, ink
    return Run(column, text, ink, paper, bool(style.bold))


def _hex(color: Color | None, default: str, *, dim: bool, foreground: bool) -> str:
    if color is None or color.is_default:
        if not dim:
            return default
        red, green, blue = (int(default[at : at + 2], 16) for at in (1, 3, 5))
    else:
        red, green, blue = color.get_truecolor(THEME, foreground)
    if dim:
        base = (int(PAPER[at : at + 2], 16) for at in (1, 3, 5))
        red, green, blue = (round(low + (high - low) * DIM) for low, high in zip(base, (red, green, blue), strict=True))
    return f"#{red:02x}{green:02x}{blue:02x}"


def still(frame: Frame, columns: int, rows: int) -> str:
    """One frame by itself."""
    return _document(columns, rows, "", _drawn(frame))


def animated(frames: list[Frame], columns: int, rows: int, frame_s: float) -> str:
    """All of them in turn, for ever. Who wants no motion, and who draws no animation, sees the middle one."""
    total, poster = len(frames), len(frames) // 2
    css = [".f{visibility:hidden}", f"#f{poster}{{visibility:visible}}"]
    animation = [f".f{{animation:{total * frame_s:g}s step-end infinite}}"]
    for number in range(total):
        begin, end = 100 * number / total, 100 * (number + 1) / total
        first = "visible" if number == 0 else "hidden"
        steps = f"0%{{visibility:{first}}}" + (f"{begin:.4g}%{{visibility:visible}}" if number else "")
        steps += f"{end:.4g}%{{visibility:hidden}}" if number < total - 1 else "100%{visibility:hidden}"
        animation.append(f"@keyframes k{number}{{{steps}}}#f{number}{{animation-name:k{number}}}")
    css.append(f"@media (prefers-reduced-motion:no-preference){{{''.join(animation)}}}")
    groups = "".join(f'<g class="f" id="f{number}">{_drawn(frame)}</g>\n' for number, frame in enumerate(frames))
    return _document(columns, rows, "".join(css), groups)


def _document(columns: int, rows: int, css: str, content: str) -> str:
    width, height = columns * CELL_W + 2 * PAD, rows * CELL_H + PAD + BAR
    dots = "".join(
        f'<circle cx="{22 + 20 * at}" cy="17" r="6" fill="{ink}"/>'
        for at, ink in enumerate(("#ff5f57", "#febc2e", "#28c840"))
    )
    font = f"font:{SIZE}px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono','Liberation Mono',monospace"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" width="{width:g}"'
        f' height="{height:g}" role="img"><title>ringmain demo</title>'
        f"<style>text{{{font};white-space:pre}}.b{{font-weight:700}}path{{shape-rendering:crispEdges}}"
        f"path.l{{fill:none;shape-rendering:auto}}{css}</style>"
        f'<rect width="100%" height="100%" rx="8" fill="{PAPER}"/>{dots}'
        f'<text x="{width / 2:g}" y="22" fill="#8b949e" text-anchor="middle">ringmain demo</text>'
        f'<g transform="translate({PAD} {BAR})">{content}</g></svg>\n'
    )


def _drawn(frame: Frame) -> str:
    """Shapes of one colour go into one path; words keep their columns by `textLength`."""
    shapes: dict[tuple[str, str], list[str]] = {}
    texts = []
    for row, runs in enumerate(frame.lines):
        for run in runs:
            if run.paper:
                wide = len(run.text) * CELL_W
                box = f"M{_x(run.column)} {row * CELL_H}h{wide:.5g}v{CELL_H}h-{wide:.5g}z"
                shapes.setdefault(("fill", run.paper), []).append(box)
            words = _shapes(run, row, shapes)
            texts.append(_words(run, words, row))
    drawn = []
    for (kind, ink), pieces in shapes.items():
        data = "".join(pieces)
        drawn.append(
            f'<path fill="{ink}" d="{data}"/>' if kind == "fill" else f'<path class="l" stroke="{ink}" d="{data}"/>'
        )
    return "".join(drawn) + "".join(texts)


def _shapes(run: Run, row: int, shapes: dict[tuple[str, str], list[str]]) -> str:
    """Draw blocks and box lines; what is left to be written, with spaces in their place."""
    left, at = [], 0
    while at < len(run.text):
        mark = run.text[at]
        if mark in EIGHTHS or mark == "─":
            end = at
            while end < len(run.text) and run.text[end] == mark:
                end += 1
            x, wide = _x(run.column + at), (end - at) * CELL_W
            if mark == "─":
                shapes.setdefault(("line", run.ink), []).append(f"M{x} {row * CELL_H + CELL_H / 2:g}h{wide:.5g}")
            else:
                tall = CELL_H * (EIGHTHS.index(mark) + 1) / 8
                top = (row + 1) * CELL_H - tall
                shapes.setdefault(("fill", run.ink), []).append(f"M{x} {top:g}h{wide:.5g}v{tall:g}h-{wide:.5g}z")
            left.append(" " * (end - at))
            at = end
            continue
        if mark in LINES:
            shapes.setdefault(("line", run.ink), []).append(_line(mark, run.column + at, row))
            mark = " "
        left.append(mark)
        at += 1
    return "".join(left)


def _line(mark: str, column: int, row: int) -> str:
    left, top = column * CELL_W, row * CELL_H
    c, m, r = left + CELL_W / 2, top + CELL_H / 2, CELL_W / 2
    places = {
        "l": left,
        "r": left + CELL_W,
        "c": c,
        "t": top,
        "b": top + CELL_H,
        "m": m,
        "x": c + r,
        "w": c - r,
        "y": m + r,
        "z": m - r,
    }
    return LINES[mark].format(**{name: f"{value:.5g}" for name, value in places.items()})


def _words(run: Run, words: str, row: int) -> str:
    """Text elements of a run, without the spaces around; split at wide gaps, where browsers differ most."""
    made, at = [], 0
    for part in words.split("  "):
        stripped = part.strip()
        if stripped:
            column = run.column + at + len(part) - len(part.lstrip())
            bold = ' class="b"' if run.bold else ""
            long = f' textLength="{len(stripped) * CELL_W:.5g}"' if len(stripped) > 1 else ""
            y = row * CELL_H + CELL_H * 0.73
            made.append(f'<text x="{_x(column)}" y="{y:.5g}" fill="{run.ink}"{bold}{long}>{escape(stripped)}</text>')
        at += len(part) + 2
    return "".join(made)


def _x(column: int) -> str:
    return f"{column * CELL_W:.5g}"
