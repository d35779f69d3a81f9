"""How a demo is shown: as a live view on a terminal, or as log lines where there is none."""

import time

from rich.console import Console
from rich.live import Live

from ringmain.apps.demo.keys import Keys, keys_of_terminal
from ringmain.apps.demo.plan import Kept, Options
from ringmain.apps.demo.report import Report
from ringmain.apps.demo.run import Demo, play
from ringmain.apps.demo.situation import Situation
from ringmain.apps.demo.stage import Stage
from ringmain.apps.demo.view import render
from ringmain.apps.demo.watch import Figures
from ringmain.apps.demo.words import farewell, log_line

LOG_EVERY_S = 2.0


def headless_show(options: Options, kept: Kept | None, stage: Stage, began_s: float) -> Report:
    """Log lines: the banner, then one line every two seconds, and whatever there is to tell."""
    last_s = [0.0]

    def show(figures: Figures, now: Situation) -> None:
        first = figures.first_reading_s is not None and last_s[0] < began_s + figures.first_reading_s
        if first or time.monotonic() - last_s[0] >= LOG_EVERY_S:
            last_s[0] = time.monotonic()
            _print(log_line(figures, now))

    def ready(demo: Demo) -> None:
        _print(demo.banner())

    report = play(options, kept, stage, began_s, Keys(None), show, _print, ready)
    _print(farewell(report.ended_in_s, report.readings_stored))
    return report


def live_show(options: Options, kept: Kept | None, stage: Stage, began_s: float) -> Report:
    """The view, on the terminal's other screen; the banner stays on the first one."""
    console = Console()
    console.print("[bold]Ringmain demo[/]: starting platform, edge and homes ...", highlight=False)
    playing: list[Demo] = []
    with keys_of_terminal() as keys:
        live = Live(console=console, screen=True, auto_refresh=False)

        def show(figures: Figures, now: Situation) -> None:
            demo = playing[0]
            page = demo.banner() if demo.page else ""
            live.update(render(figures, now, console.width, console.height, page), refresh=True)

        def ready(demo: Demo) -> None:
            playing.append(demo)
            console.print(demo.banner(), highlight=False, markup=False, soft_wrap=True)
            live.start()

        try:
            report = play(options, kept, stage, began_s, keys, show, lambda _: None, ready)
        finally:
            live.stop()
    console.print(farewell(report.ended_in_s, report.readings_stored), highlight=False)
    return report


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - a program's output
