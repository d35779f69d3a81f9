"""The view of a demo: what the figures look like on a terminal. Pure; it draws what it is given and asks nobody."""

from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec
from rich import box
from rich.columns import Columns
from rich.console import Group, RenderableType
from rich.layout import Layout
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from ringmain.apps.demo.watch import Curve, Figures

CURVE_ROWS = 9
AXIS = 9
"""Columns left of the curve, for its scale."""

BLOCKS = " ▁▂▃▄▅▆▇█"
STATES = (("online", "●", "green"), ("sleeping", "◐", "cyan"), ("stale", "◌", "yellow"), ("offline", "○", "red"))
"""A sign beside each colour: colour alone says nothing to one in twelve."""

KEYS = (("c", "cut the uplink"), ("e", "kill the edge"), ("p", "kill the platform"), ("q", "end"))


class Situation(msgspec.Struct, frozen=True):
    """What the demo does with its processes. `said` are its last words, the newest last."""

    homes: int
    speed: float
    seconds: float
    cut: bool
    edge_runs: bool
    platform_runs: bool
    kills_edge: int
    kills_platform: int
    said: tuple[str, ...] = ()


def render(figures: Figures, now: Situation, width: int) -> RenderableType:
    """The whole screen."""
    layout = Layout()
    layout.split_column(
        Layout(_head(figures, now), size=3), Layout(name="middle", ratio=1), Layout(_foot(now), size=len(now.said) + 3)
    )
    left = max(40, width * 3 // 5)
    layout["middle"].split_row(Layout(name="left", size=left), Layout(name="right"))
    layout["left"].split_column(
        Layout(Panel(_curve(figures, left - 6), title="energy of the street", box=box.ROUNDED), size=CURVE_ROWS + 4),
        Layout(Panel(_bills(figures), title="last bills", box=box.ROUNDED)),
    )
    layout["right"].split_column(
        Layout(Panel(_totals(figures), title="readings", box=box.ROUNDED), size=7),
        Layout(Panel(_sessions(figures), title="sessions", box=box.ROUNDED), size=4),
        Layout(Panel(_edge(figures, now), title="edge gateway", box=box.ROUNDED)),
    )
    return layout


def _head(figures: Figures, now: Situation) -> Panel:
    at_ms = figures.virtual_ms
    when = "starting" if at_ms is None else f"{datetime.fromtimestamp(at_ms / 1000, UTC):%a %d %b %Y %H:%M} UTC"
    real = figures.homes is not None and figures.homes.real_time
    pace = "real time" if real else f"{now.speed:,.0f} times faster than life"
    text = Text.assemble(
        ("Ringmain ", "bold"), f"{now.homes} homes   ", (when, "bold cyan"), f"   {pace}   running {now.seconds:,.0f} s"
    )
    return Panel(text, box=box.ROUNDED)


def _totals(figures: Figures) -> Table:
    table = _plain()
    homes, tally = figures.homes, figures.tally
    table.add_row("stored a second", f"[bold green]{figures.rate:,.0f}[/]")
    table.add_row("messages acknowledged", f"{homes.acknowledged:,}" if homes else "-")
    table.add_row("readings stored", f"[bold]{figures.stored:,}[/]")
    again = f"{tally.count('duplicate'):,} recognised"
    table.add_row("came twice", again)
    lost = tally.received - sum(item.count for item in tally.items)
    table.add_row("unaccounted for", f"[bold red]{lost:,}[/]" if lost else "[green]0[/]")
    return table


def _sessions(figures: Figures) -> Text:
    text = Text()
    for state, sign, colour in STATES:
        text.append(f"{sign} {figures.sessions.get(state, 0):,} {state}   ", style=colour)
    if not figures.platform_answers:
        text.append("\n(as last seen)", style="dim")
    return text


def _edge(figures: Figures, now: Situation) -> RenderableType:
    report = figures.edge
    table = _plain()
    if report is None:
        return Text("starting", style="dim")
    if not now.edge_runs:
        uplink = Text("killed; its buffer is on disk", style="bold red")
    elif now.cut:
        uplink = Text("✂ uplink cut: keeping everything", style="bold yellow")
    elif report.uplink == "up":
        uplink = Text("▲ up", style="green")
    else:
        uplink = Text(f"▽ {report.uplink}", style="yellow")
    table.add_row("uplink", uplink)
    table.add_row("meters here", f"{report.meters_connected:,} of {report.meters_known:,}")
    backlog = f"{report.backlog_readings:,} readings" if report.backlog_readings else "none"
    drain = "" if report.drain_s is None or not report.backlog_readings else f", {report.drain_s:.0f} s to drain"
    table.add_row("backlog", backlog + drain)
    table.add_row("buffer file", f"{report.file_bytes / 1024:,.0f} KiB")
    forwarded = next((row.count for row in report.books if row.outcome == "forwarded"), 0)
    table.add_row("forwarded", f"{forwarded:,}")
    platform = "[green]answers[/]" if figures.platform_answers else "[bold red]killed; back in a moment[/]"
    table.add_row("platform", platform)
    table.add_row("killed so far", f"edge {now.kills_edge}, platform {now.kills_platform}")
    return table


def _bills(figures: Figures) -> RenderableType:
    if not figures.bills:
        return Text("the first come when the first day has ended for everybody", style="dim")
    table = Table(box=None, expand=True, pad_edge=False)
    for name, side in (("no.", "right"), ("account", "left"), ("period", "left"), ("kWh", "right"), ("GBP", "right")):
        table.add_column(name, justify=side, style="", header_style="dim")  # type: ignore[arg-type]
    for bill in figures.bills:
        table.add_row(str(bill.number), bill.account, bill.period, bill.energy_kwh, f"[bold]{bill.total}[/]")
    return table


def _curve(figures: Figures, width: int) -> RenderableType:
    """The load of two days in kW, as columns of blocks."""
    if figures.curve is None:
        return Text("waiting for the first readings", style="dim")
    lines, peak_kw, total_kwh = columns(figures.curve, width - AXIS, CURVE_ROWS)
    marks = {0: f"{peak_kw:,.0f} kW", CURVE_ROWS // 2: f"{peak_kw / 2:,.0f}", CURVE_ROWS - 1: "0"}
    text = Text(no_wrap=True)
    for row, line in enumerate(lines):
        text.append(f"{marks.get(row, ''):>{AXIS - 1}} ", style="dim")
        text.append(f"{line}\n", style="green")
    hours = len(figures.curve.energy_wh) * figures.curve.interval_s // 3600
    text.append(f"{'':{AXIS}}the last {hours} hours: {total_kwh:,.0f} kWh", style="dim")
    return text


def columns(curve: Curve, width: int, rows: int) -> tuple[list[str], float, float]:
    """Lines of block characters from top to bottom, `width` columns wide, oldest left; the highest power in kW and
    the energy in kWh.
    """
    energies = curve.energy_wh
    powers = [0.0 if value is None else value * 3.6 / curve.interval_s for value in energies]
    peak_kw = max(powers, default=0.0)
    heights = [round(powers[at * len(powers) // width] / peak_kw * rows * 8) if peak_kw else 0 for at in range(width)]
    lines = ["".join(BLOCKS[min(8, max(0, height - 8 * row))] for height in heights) for row in reversed(range(rows))]
    return lines, peak_kw, sum(value for value in energies if value is not None) / 1000


def _foot(now: Situation) -> Panel:
    keys = Columns([Text.assemble((f" {key} ", "reverse"), f" {what}") for key, what in KEYS], padding=(0, 3))
    said = [Text(line, style="dim") for line in now.said]
    return Panel(Group(keys, *said), box=box.ROUNDED)


def _plain() -> Table:
    table = Table.grid(padding=(0, 2), expand=True)
    table.add_column(style="dim")
    table.add_column(justify="right")
    return table


def log_line(figures: Figures, now: Situation) -> str:
    """One line for a log, where there is no terminal."""
    edge = figures.edge
    backlog = f"{edge.backlog_readings:,}" if edge else "-"
    online = figures.sessions.get("online", 0)
    at_ms = figures.virtual_ms
    when = "-" if at_ms is None else f"{datetime.fromtimestamp(at_ms / 1000, UTC):%Y-%m-%d %H:%M}"
    return (
        f"{now.seconds:7.1f} s  street {when}  stored {figures.stored:,} (+{figures.rate:,.0f}/s)  online {online:,}"
        f"  backlog {backlog}  bills {figures.bills_issued:,}"
    )


def banner(addresses: Sequence[tuple[str, str]], hello: str) -> str:
    """What a newcomer needs, before the view begins and after it has ended."""
    rows = "\n".join(f"  {name:<12} {where}" for name, where in addresses)
    return f"Ringmain demo\n{rows}\n  a device of your own:\n    {hello}"
