"""`make bench-edge`: our edge gateway beside ThingsBoard's own, under the same black holes of the uplink, in one run.

200 sensors send a reading a second, each to the local side of every gateway: to `ringmain edge` itself, and to the
mosquitto from which ThingsBoard's gateway takes them. Their uplinks are black-holed in the same moments; then every
reading that a local side had acknowledged is looked for on the platform. ThingsBoard's gateway runs twice: as it is
shipped (keep-alive 120 s), and with the keep-alive of ours, which makes it notice a dead link six times earlier.

    python bench/edge.py [--quick] [--end reset|silent] [--holes 60 150] [--report reports/edge-bench.json]

What is unequal is said in docs/edge-bench.md. Nothing is asserted here on speed; figures are of one run.
"""

import argparse
import contextlib
import os
import platform
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]  # run as a script, this folder alone is on the path

import msgspec  # noqa: E402
from bench import edge_ours, edge_run, edge_stub, edge_table, edge_thingsboard, peer  # noqa: E402
from bench.edge_child import Child  # noqa: E402
from bench.edge_run import Contender, Run  # noqa: E402
from rich.console import Console  # noqa: E402
from tests.e2e.platform_process import PlatformProcess  # noqa: E402

SENSORS = 200
SETTLE_S = 30
HOLES_S = (60, 150)
QUICK_SETTLE_S = 10
QUICK_HOLES_S = (10,)

KEEP_ALIVE_S = 20
"""That of our edge by default (`GatewaySettings.keep_alive_s`)."""

OTHER = {"ours": "theirs", "theirs": "ours"}
"""The sides, and who starts second."""

WIDTH_MIN = 118
"""Of the table, where the output is no terminal."""

OURS = "ringmain edge"
SHIPPED = "thingsboard-gateway"
TUNED = f"thingsboard-gateway, keep-alive {KEEP_ALIVE_S} s"


def main() -> int:
    """Measure, show, write the report."""
    options = _options()
    console = Console()
    console.width = max(console.width, WIDTH_MIN)
    if peer.installed() is None:
        console.print("mosquitto is not installed: apt-get install mosquitto", style="bold red")
        return 2
    report: dict[str, Any] = {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "machine": _machine(),
        "sensors": SENSORS,
        "every_s": 1,
        "thingsboard_keep_alive_s": {SHIPPED: 120, TUNED: KEEP_ALIVE_S},
    }
    runs: list[Run] = []
    for number in range(options.runs):
        runs.append(_run(options, options.first if number % 2 == 0 else OTHER[options.first], console))
        edge_table.show(runs[-1], OURS, console)
    report["runs"] = runs
    report["ratios"] = [edge_table.ratios(run, OURS) for run in runs]
    report["spreads"] = edge_table.spreads(runs)
    if options.runs > 1:
        for name, figures in edge_table.spreads(runs).items():
            shown = ", ".join(f"{figure} {one.least:g}..{one.greatest:g}" for figure, one in figures.items())
            console.print(f"{name}, least..greatest of {options.runs} runs: {shown}", highlight=False)
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Our edge gateway beside ThingsBoard's, in one run.")
    parser.add_argument("--quick", action="store_true", help=f"{QUICK_SETTLE_S} s to settle, one hole of 10 s")
    parser.add_argument("--holes", type=int, nargs="+", default=HOLES_S, metavar="S", help="black holes, in seconds")
    parser.add_argument(
        "--end",
        choices=("reset", "silent"),
        default="reset",
        help="after a hole, connections of before are reset, or stay dead until a gateway finds out",
    )
    parser.add_argument("--first", choices=("ours", "theirs"), help="who starts first; otherwise not whom it was last")
    parser.add_argument("--runs", type=int, default=1, help="the order of start alternates")
    parser.add_argument("--only", choices=("ours", "theirs"), help="one side alone")
    parser.add_argument("--keep", type=Path, help="work in this new folder and keep it: logs, buffers")
    parser.add_argument("--report", type=Path, help="reports/edge-bench.json, or -quick, -silent")
    options = parser.parse_args()
    if options.report is None:
        kind = "-quick" if options.quick or options.only else "-silent" if options.end == "silent" else ""
        options.report = ROOT / "reports" / f"edge-bench{kind}.json"
    if options.quick:
        options.holes = QUICK_HOLES_S
    if options.first is None:
        options.first = "theirs" if _last_first(options.report) == OURS else "ours"
    if options.keep and options.runs > 1:
        parser.error("--keep keeps one run")
    return options


def _last_first(report: Path) -> str:
    """Who started first in the run of the last report: the order alternates."""
    try:
        found: str = msgspec.json.decode(report.read_bytes())["runs"][-1]["started_first"]
    except (OSError, msgspec.DecodeError, KeyError, IndexError, TypeError):
        return ""
    return found


def _machine() -> dict[str, object]:
    return {
        "cores": os.cpu_count(),
        "load_before": os.getloadavg()[0],
        "kernel": platform.release(),
        "python": platform.python_version(),
        "mosquitto": peer.version(),
        "thingsboard": edge_thingsboard.versions(),
    }


# -- the run ------------------------------------------------------------------------------------------------


def _run(options: argparse.Namespace, first: str, console: Console) -> Run:
    with contextlib.ExitStack() as stack:
        folder = options.keep or Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-edge-")))
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)  # mosquitto gives up root and still has to read its files
        sides = {"ours": _ours, "theirs": _theirs}
        order = [options.only] if options.only else [first, OTHER[first]]
        contenders: list[Contender] = []
        relays: list[Child] = []
        aside: dict[str, int] = {}
        for side in order:
            sides[side](stack, folder, contenders, relays, aside)
            console.print(f"{side}: ready", highlight=False)
        return edge_run.side_by_side(
            contenders,
            relays,
            aside,
            sensors=SENSORS,
            settle_s=QUICK_SETTLE_S if options.quick else SETTLE_S,
            holes_s=options.holes,
            end_of_cut=options.end,
            directory=folder,
            tell=lambda text: console.print(text, highlight=False),
        )


def _ours(
    stack: contextlib.ExitStack, folder: Path, contenders: list[Contender], relays: list[Child], _: dict[str, int]
) -> None:
    """Platform, relay, edge."""
    server = stack.enter_context(PlatformProcess(folder / "platform"))
    claim = edge_ours.prepare(server, SENSORS)
    relay = stack.enter_context(_relay("relay-ours", server.ports.mqtts, folder))
    edge = edge_ours.Edge(folder / "edge", OURS, server, sensors=SENSORS)
    edge.join(relay.hear()["port"], claim)
    contenders.append(stack.enter_context(edge))
    edge.wait_until_ready()
    relays.append(relay)


def _theirs(
    stack: contextlib.ExitStack, folder: Path, contenders: list[Contender], relays: list[Child], aside: dict[str, int]
) -> None:
    """Stub of the platform, relay, local broker, the gateway twice."""
    stub = stack.enter_context(Child("stub", [edge_stub.__file__], folder))
    broker = stack.enter_context(peer.Mosquitto(folder / "mosquitto"))
    relay = stack.enter_context(_relay("relay-theirs", stub.hear()["port"], folder))
    relay_port = relay.hear()["port"]
    for directory, name, keep_alive_s in (("shipped", SHIPPED, None), ("tuned", TUNED, KEEP_ALIVE_S)):
        gateway = edge_thingsboard.Gateway(
            folder / directory,
            name,
            stub=stub,
            platform_port=relay_port,
            broker_port=broker.port,
            keep_alive_s=keep_alive_s,
        )
        contenders.append(stack.enter_context(gateway))
        gateway.wait_until_ready()
    relays.append(relay)
    aside["mosquitto, beside thingsboard-gateway"] = broker.pid


def _relay(name: str, port: int, folder: Path) -> Child:
    return Child(name, ["-m", edge_run.RELAY, "--to", f"127.0.0.1:{port}"], folder)


if __name__ == "__main__":
    sys.exit(main())
