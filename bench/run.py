"""`make bench`: Ringmain beside mosquitto, under the same load generator, alternating, in one run.

The clock of mosquitto ends with the last acknowledgement: it keeps nothing. The clock of Ringmain ends when every
value is stored and can be queried; each was acknowledged after a synced commit. Both check the credentials of every
connection before the clock starts. After each run every device's readings are counted through the API.

    python bench/run.py [--runs 5] [--messages 4000] [--memory] [--report reports/bench.json]
"""

import argparse
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]  # run as a script, this folder alone is on the path

import msgspec  # noqa: E402
from bench import load, measure, peer  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from tests.e2e.platform_process import PlatformProcess  # noqa: E402

RUNS = 5
MESSAGES = 4_000
"""For each connection: 400,000 messages, several seconds of either broker."""

SECONDS_MAX = 240.0
"""No pass is begun later than this, so that a busy machine gives fewer runs instead of a long wait."""

WIDTH_MIN = 118
"""Of the table, where the output is no terminal."""

TARGET = 1.5
"""The ratio that is promised (issue of the spine); below it the bench fails."""


class Run(msgspec.Struct, frozen=True):
    """One pass of the load over one server. `rate` is messages a second until the clock ended; `cpu_us` is the
    server's processor time for one message, the figure to compare on a busy machine.
    """

    server: str
    rate: float
    acknowledged_rate: float
    seconds: float
    stored_after_seconds: float
    ack_ms_p50: float
    ack_ms_p99: float
    cpu_us: float


class Spread(msgspec.Struct, frozen=True):
    """Of one figure over the runs."""

    median: float
    least: float
    greatest: float


def spread(values: Sequence[float]) -> Spread:
    """Median, least and greatest."""
    return Spread(statistics.median(values), min(values), max(values))


def main() -> int:
    """Measure, show, write the report; 1 where the promise is not kept."""
    options = _options()
    console = Console()
    console.width = max(console.width, WIDTH_MIN)
    report: dict[str, Any] = {"at": datetime.now(UTC).isoformat(timespec="seconds"), "machine": _machine()}
    failed = []
    if options.runs:
        runs = _side_by_side(options.runs, options.messages, console)
        report["throughput"] = _throughput(runs, console)
        ratio = report["throughput"]["ratios"].get("mosquitto")
        if ratio is not None and ratio.median < TARGET:
            failed.append(f"{ratio.median:.2f} times mosquitto; {TARGET} are promised")
    if options.memory:
        memory = report["memory"] = measure.memory()
        console.print(
            f"memory: {memory.start_mib:.0f} MiB at the start, {memory.first_million_mib:.0f} after a million messages,"
            f" {memory.fifth_million_mib:.0f} after five: {memory.growth_mib:+.1f} MiB",
            highlight=False,
        )
        if memory.growth_mib > measure.MEMORY_GROWTH_MIB_MAX:
            failed.append(f"memory grew by {memory.growth_mib:.1f} MiB; {measure.MEMORY_GROWTH_MIB_MAX} are promised")
    report["failed"] = failed
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    for line in failed:
        console.print(f"not kept: {line}", style="bold red")
    return 1 if failed else 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Ringmain beside mosquitto, in one run.")
    parser.add_argument("--runs", type=int, default=RUNS, help="passes over each server; 0 leaves them out")
    parser.add_argument("--messages", type=int, default=MESSAGES, help=f"for each of {measure.CONNECTIONS} connections")
    parser.add_argument("--memory", action="store_true", help="also the memory after 1 and 5 million messages")
    parser.add_argument("--report", type=Path, default=ROOT / "reports" / "bench.json")
    return parser.parse_args()


def _machine() -> dict[str, object]:
    return {
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "kernel": platform.release(),
        "python": platform.python_version(),
        "mosquitto": peer.version(),
    }


# -- throughput ---------------------------------------------------------------------------------------------


def _side_by_side(runs: int, messages: int, console: Console) -> list[Run]:
    done: list[Run] = []
    until = time.monotonic() + SECONDS_MAX
    users = [(id, token) for id, _, token in load.devices(measure.CONNECTIONS)]
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        place = Path(folder)
        place.chmod(0o755)  # mosquitto gives up root and still has to read its files
        with PlatformProcess(place / "ringmain") as server:
            server.import_devices(load.devices(measure.CONNECTIONS))
            for number in range(runs):
                done.append(_ringmain(server, number, messages))
                if peer.installed():
                    with_passwords = peer.Mosquitto(place / f"peer-{number}", users)
                    done.append(_mosquitto(with_passwords, "mosquitto", number, messages))
                    anonymous = peer.Mosquitto(place / f"peer-{number}-anonymous")
                    done.append(_mosquitto(anonymous, "mosquitto, anonymous", number, messages))
                shown = ", ".join(f"{run.server} {run.rate:,.0f}/s" for run in done[-3:])
                console.print(f"run {number + 1} of {runs}: {shown}", highlight=False)
                if time.monotonic() > until:
                    console.print(f"stopped after {number + 1} runs: {SECONDS_MAX:.0f} s are over", style="yellow")
                    break
    return done


def _mosquitto(broker: peer.Mosquitto, name: str, number: int, messages: int) -> Run:
    with broker:
        before = measure.cpu_s(broker.pid)
        result = measure.publish(broker.port, number, messages)
        cpu_us = (measure.cpu_s(broker.pid) - before) / result.acked * 1e6
    return Run(name, result.rate, result.rate, result.seconds, 0.0, result.ack_ms_p50, result.ack_ms_p99, cpu_us)


def _ringmain(server: PlatformProcess, number: int, messages: int) -> Run:
    before = measure.cpu_s(server.pid)
    result = measure.publish(server.ports.mqtt, number, messages)
    expected = (number + 1) * measure.CONNECTIONS * messages * len(load.CHANNELS)
    ended = measure.wait_until_stored(server, expected)
    cpu_us = (measure.cpu_s(server.pid) - before) / result.acked * 1e6
    measure.count(server, number, messages)
    seconds = ended - result.started
    return Run(
        "ringmain",
        result.acked / seconds,
        result.rate,
        seconds,
        ended - result.finished,
        result.ack_ms_p50,
        result.ack_ms_p99,
        cpu_us,
    )


def _throughput(runs: list[Run], console: Console) -> dict[str, Any]:
    servers = {name: [run for run in runs if run.server == name] for name in dict.fromkeys(run.server for run in runs)}
    ours = servers["ringmain"]
    table = Table(
        "server",
        "msg/s (median)",
        "least",
        "greatest",
        "ack p50 ms",
        "p99",
        "cpu us/msg",
        "ringmain is",
        "least..greatest",
    )
    ratios: dict[str, Spread] = {}
    rates = {}
    for name, theirs in servers.items():
        rate = rates[name] = spread([run.rate for run in theirs])
        ratio = spread([mine.rate / other.rate for mine, other in zip(ours, theirs, strict=True)])
        if name != "ringmain":
            ratios[name] = ratio
        table.add_row(
            name,
            *(f"{value:,.0f}" for value in (rate.median, rate.least, rate.greatest)),
            f"{statistics.median(run.ack_ms_p50 for run in theirs):.1f}",
            f"{statistics.median(run.ack_ms_p99 for run in theirs):.1f}",
            f"{statistics.median(run.cpu_us for run in theirs):.1f}",
            *(
                ("", "")
                if name == "ringmain"
                else (f"{ratio.median:.2f} x", f"{ratio.least:.2f}..{ratio.greatest:.2f}")
            ),
        )
    console.print(table)
    late = spread([run.stored_after_seconds for run in ours])
    console.print(
        f"ringmain: every value synced before it was acknowledged, stored and queryable {late.median:.2f} s"
        f" (at most {late.greatest:.2f} s) after the last acknowledgement",
        highlight=False,
    )
    return {
        "connections": measure.CONNECTIONS,
        "window": measure.WINDOW,
        "qos": 1,
        "values_a_message": len(load.CHANNELS),
        "rates": rates,
        "ratios": ratios,
        "stored_after_seconds": late,
        "runs": runs,
    }


if __name__ == "__main__":
    sys.exit(main())
