"""One run of the lab without faults, step by step: read, start, provision, replay, bill, judge, stop.

It wires processes together and believes none of them.
"""

import time
from collections.abc import Callable, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path

from ringmain.apps.lab.harsh import run_harsh
from ringmain.apps.lab.platform import platform_blamed, start_platform
from ringmain.apps.lab.processes import Family, signals_interrupt
from ringmain.apps.lab.report import Report
from ringmain.apps.lab.source import civil_year
from ringmain.apps.lab.steps import (
    ZONE,
    Options,
    Step,
    bill_twice,
    delivered,
    judged,
    provisioned_for,
    report_of,
    start_meter,
    until_stored,
    write_series,
)
from ringmain.metering.interval_file import FileRow, read_interval_file
from ringmain.model.errors import Refused
from ringmain.model.time import format_rfc3339

REPLAY_S_MAX = 120.0
"""It takes a second; a machine ten times slower than ours still gets through."""


def rows_of_year(source: Path | Traversable, year: int) -> list[FileRow]:
    """The file's rows of one year, all of them read and found sound. `Refused` with line and field, or where the
    year has none.
    """
    span = civil_year(year, ZONE)
    rows = list(read_interval_file(source))
    chosen = [row for row in rows if span.start_ms <= row.start_ms < span.end_ms]
    if not chosen:
        stamps = [row.start_ms for row in rows]
        covered = f"it covers {_day(min(stamps))} to {_day(max(stamps))}" if stamps else "it has none at all"
        raise Refused(
            "unprocessable",
            f"{source.name}: no rows in {year}; {covered}; nothing was started",
            "Choose another --year.",
        )
    return chosen


def run(options: Options, rows: Sequence[FileRow], say: Callable[[str], None]) -> Report:
    """The whole run; `say` hears of each step when it is done. StepFailed, or ApiError, where it does not come to
    its end; all children are ended either way.
    """
    started = time.monotonic()
    step: Step = lambda text: say(f"{time.monotonic() - started:5.1f} s  {text}")
    with signals_interrupt(), Family(options.work_dir) as family:
        if options.faults == "harsh":
            return run_harsh(family, options, rows, step)
        return _run_calm(family, options, rows, step)


def _run_calm(family: Family, options: Options, rows: Sequence[FileRow], step: Step) -> Report:
    started = time.monotonic()
    series = write_series(options.work_dir / "series.csv", rows)
    platform = start_platform(family, options.storage_dir, ZONE, options.config)
    step(f"platform is up: process {platform.child.pid}, MQTT over TLS on port {platform.ports.mqtts}")
    with platform_blamed(platform):
        provisioned = provisioned_for(platform, options.year)
        tenant = provisioned.tenant
        step(f"tenant {tenant.tenant} has a meter, a home and two accounts")
        link: dict[str, object] = {"--port": platform.ports.mqtts, "--ca": platform.ca}
        meter = start_meter(family, provisioned, series, options.seed, {**link, "--seconds-max": REPLAY_S_MAX - 5})
        result = delivered(meter, REPLAY_S_MAX, while_alive=[platform.child])
        step(f"meter: {result.messages:,} messages acknowledged, {result.resent:,} sent again")
        until_stored(platform, tenant.token, lambda tally: tally.received >= len(rows))
        bills = bill_twice(platform, tenant.token, options.year)
        step("both bills are issued, twice each with the same bytes")
        resent_max = result.resent * result.rows_per_message_max
        verdict = judged(family, platform, tenant.token, options, bills, resent_max)
        step(f"checking process: {len(verdict.complaints)} complaints")
    platform.box.stop()
    step("platform has ended in order")
    return report_of(options, tenant.tenant, result, verdict, time.monotonic() - started)


def _day(at_ms: int) -> str:
    return format_rfc3339(at_ms)[:10]
