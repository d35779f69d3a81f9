"""What a demo says in plain lines: the banner, and a line of a log where there is no terminal. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from ringmain.apps.demo import plan
from ringmain.apps.demo.situation import Situation
from ringmain.apps.demo.watch import Figures


def log_line(figures: Figures, now: Situation) -> str:
    """One line for a log."""
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
    """What a newcomer needs: where everything is, and how to be heard."""
    rows = "\n".join(f"  {name:<12} {where}" for name, where in addresses)
    return f"Ringmain demo\n{rows}\n  a device of your own, as it is pasted:\n{hello}"


def hello(port: int, token: str) -> str:
    """A command that works as it is pasted, in lines that fit on any terminal."""
    return (
        f"    mosquitto_pub -h 127.0.0.1 -p {port} -u {plan.TENANT}/{plan.HELLO} \\\n"
        f"      -P {token} \\\n"
        "      -q 1 -t telemetry -m '{\"temperature_cel\": 21.5}'"
    )


def shown(path: Path, here: Path) -> str:
    """A path as it is shortest for one who stands `here`: relative where it lies below."""
    return str(path.relative_to(here)) if path != here and path.is_relative_to(here) else str(path)


def farewell(ended_in_s: float, stored: int) -> str:
    """The last line."""
    return f"ended in {ended_in_s:.1f} s; {stored:,} readings are kept, the next start continues"
