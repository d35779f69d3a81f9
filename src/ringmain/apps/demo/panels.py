"""The panels of a demo's view, each with the lines that it needs. Pure; a figure that is missing is a dash."""

from collections.abc import Sequence
from itertools import groupby
from operator import itemgetter

import msgspec
from rich import box
from rich.console import Group, RenderableType
from rich.panel import Panel
from rich.style import Style
from rich.table import Table
from rich.text import Text

from ringmain.apps.demo.chart import bars, chart
from ringmain.apps.demo.situation import Situation
from ringmain.apps.demo.watch import CURVE_DAYS, Figures

AXIS = 8
"""Columns left of the curve, for its scale."""

FRAME = 4
"""Columns that a panel's frame takes, with the space inside."""

WIDE = 40
"""Columns from which on a panel has room for more than the figure."""

STATES = (("online", "●", "green"), ("sleeping", "◐", "cyan"), ("stale", "◌", "yellow"), ("offline", "○", "red"))
"""A sign beside each colour: colour alone says nothing to one in twelve."""

LOW, HIGH = (22, 120, 90), (120, 235, 150)
"""Colours of the curve's foot and top; rich takes the nearest that the terminal has."""


class Sized(msgspec.Struct, frozen=True):
    """A panel and the lines of the screen that it takes."""

    panel: Panel
    lines: int


def framed(title: str, content: RenderableType, note: str = "") -> Panel:
    """A panel as all of them are."""
    return Panel(
        content,
        title=f"[bold default]{title}[/]",
        title_align="left",
        subtitle=f"[default]{note}[/]" if note else None,
        subtitle_align="right",
        box=box.ROUNDED,
        border_style="bright_black",
    )


def platform(figures: Figures, now: Situation, width: int, bar_lines: int) -> Sized:
    """What it has stored, and that its books come out even; below it the rate of the last minutes as bars."""
    table, tally = _plain(), figures.tally
    if not now.platform_runs:
        state = Text("✖ killed", style="bold red")
    elif not figures.platform_answers:
        state = Text("▽ starting again", style="yellow")
    else:
        state = Text("● answers", style="green")
    table.add_row("state", state)
    table.add_row("stored", Text(f"{figures.stored:,} readings", style="bold"))
    table.add_row("came twice", f"{tally.count('duplicate'):,}, kept once")
    unaccounted = tally.unaccounted
    table.add_row("unaccounted", Text(f"{unaccounted:,}", style="bold red" if unaccounted else "bold green"))
    table.add_row("rate", Text(f"{figures.rate:,.0f} a second", style="bold green"))
    return _with_bars("platform", table, 5, figures.rates, "green", width, bar_lines)


def edge(figures: Figures, now: Situation, width: int, bar_lines: int) -> Sized:
    """The gateway: its uplink, and what it holds; below it its backlog of the last minutes as bars."""
    table, report = _plain(), figures.edge
    table.add_row("state", _edge_state(figures, now))
    if now.cut:
        uplink = Text("✂ cut, keeping all", style="bold yellow")
    elif report is None or not figures.edge_answers:
        uplink = Text("-")
    elif report.uplink == "up":
        uplink = Text("▲ up", style="green")
    else:
        uplink = Text("▽ down, calling", style="yellow")
    table.add_row("uplink", uplink)
    if report is None:
        for name in ("meters here", "backlog", "buffer file", "forwarded"):
            table.add_row(name, "-")
    else:
        table.add_row("meters here", f"{report.meters_connected:,} of {report.meters_known:,}")
        drain = "" if report.drain_s is None or width < WIDE else f", {report.drain_s:.0f} s left"
        held = f"{report.backlog_readings:,} readings{drain}" if report.backlog_readings else "none"
        table.add_row("backlog", Text(held, style="bold yellow" if report.backlog_readings else ""))
        table.add_row("buffer file", f"{report.file_bytes / 1024:,.0f} KiB")
        forwarded = sum(row.count for row in report.books if row.outcome == "forwarded")
        table.add_row("forwarded", f"{forwarded:,} readings")
    return _with_bars("edge gateway", table, 6, figures.backlogs, "yellow", width, bar_lines)


def _with_bars(
    title: str, table: Table, rows: int, values: Sequence[float], style: str, width: int, bar_lines: int
) -> Sized:
    lines = bars(values, width - FRAME, bar_lines)
    drawn = [Text(line, style=style, no_wrap=True, overflow="crop") for line in lines]
    return Sized(framed(title, Group(table, *drawn)), rows + bar_lines + 2)


def _edge_state(figures: Figures, now: Situation) -> Text:
    if figures.edge is None:
        return Text("starting", style="dim")
    if not now.edge_runs:
        return Text("✖ killed", style="bold red")
    if not figures.edge_answers:
        return Text("▽ starting again", style="yellow")
    return Text("● answers", style="green")


def homes(figures: Figures, width: int) -> Sized:
    """The meters: what was acknowledged to them, and their sessions as the platform sees them."""
    table, report = _plain(), figures.homes
    table.add_row("acknowledged", f"{report.acknowledged:,}{' messages' if width >= WIDE else ''}" if report else "-")
    signs = Table.grid(padding=(0, 2), expand=True)
    for _ in range(2):
        signs.add_column(no_wrap=True, ratio=1)
    texts = [
        Text(
            f"{sign} {figures.sessions.get(state, 0):,} {state}", style=colour if figures.sessions.get(state) else "dim"
        )
        for state, sign, colour in STATES
    ]
    signs.add_row(*texts[:2])
    signs.add_row(*texts[2:])
    note = "with the gateway" if figures.platform_answers or not figures.sessions else "as last seen"
    return Sized(framed("sessions", Group(table, signs), note), 5)


def bills(figures: Figures, lines: int) -> Panel:
    """The newest bills, as many as `lines` of the screen hold."""
    note = f"{figures.bills_issued:,} issued" if figures.bills_issued else ""
    if not figures.bills:
        waiting = Text("the first come when the first day has ended for everybody", style="dim")
        return framed("last bills", waiting)
    table = Table(box=None, expand=True, padding=(0, 1, 0, 0), pad_edge=False)
    table.add_column("no.", justify="right", header_style="dim", no_wrap=True)
    table.add_column("account", header_style="dim", no_wrap=True)
    table.add_column("period", header_style="dim", no_wrap=True, ratio=1)
    table.add_column("kWh", justify="right", header_style="dim", no_wrap=True)
    table.add_column("GBP", justify="right", header_style="dim", no_wrap=True)
    for bill in figures.bills[: max(0, lines - 3)]:
        table.add_row(str(bill.number), bill.account, bill.period, bill.energy_kwh, f"[bold]{bill.total}[/]")
    return framed("last bills", table, note)


def energy(figures: Figures, width: int, lines: int) -> Panel:
    """The load of the last days in kW, as columns of blocks on all the room there is."""
    title = "energy of the street"
    if figures.curve is None:
        return framed(title, Text("waiting for the first readings", style="dim"))
    rows, columns = max(1, lines - 3), max(1, width - FRAME - AXIS)
    drawn = chart(figures.curve, columns, rows)
    marks = {0: f"{drawn.peak_kw:,.0f} kW", rows - 1: "0"}
    if rows >= 5:
        marks[rows // 2] = f"{drawn.peak_kw * (rows - rows // 2) / rows:,.0f}"
    text = Text(no_wrap=True, overflow="crop")
    for row, line in enumerate(drawn.lines):
        text.append(f"{marks.get(row, ''):>{AXIS - 1}} ", style="dim")
        share = 1 - row / max(1, rows - 1)
        whole = Style(color=_between(share))
        for partial, run in groupby(zip(line, drawn.partial, strict=True), key=itemgetter(1)):
            text.append("".join(mark for mark, _ in run), style="yellow" if partial else whole)
        text.append("\n")
    text.append(f"{'':{AXIS}}{drawn.days}", style="dim")
    return framed(title, text, f"the last {CURVE_DAYS * 24} hours: {drawn.total_kwh:,.0f} kWh")


def _between(share: float) -> str:
    red, green, blue = (round(low + (high - low) * share) for low, high in zip(LOW, HIGH, strict=True))
    return f"#{red:02x}{green:02x}{blue:02x}"


def _plain() -> Table:
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(style="dim", no_wrap=True)
    table.add_column(justify="right", no_wrap=True, ratio=1)
    return table
