"""The plan of a demo: what runs, how fast, and what it keeps over restarts. Pure but for reading its one file."""

import socket
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

import msgspec

from ringmain.adapters.embedded.blobs import write_durably
from ringmain.model.errors import Failed
from ringmain.model.time import DAY_MS

TENANT, GATEWAY, HELLO, PROFILE = "street", "street-edge", "hello", "street-meter"
TARIFFS = ("lcl-flat", "lcl-time-of-use")
ZONE = "Europe/London"
"""Where the homes stand, and by whose clock their tariff switches."""

INTERVAL_S = 1800
PAST_DAYS = 28
"""A demo begins so long ago: at the usual speed it reaches now after eleven minutes, and four weeks are billed."""

SPEED = 3600.0
"""An hour a second: a day in 24 s."""

SUNDAY = 3
"""1 January 1970 was a Thursday: three days later the first Sunday began."""


class Options(msgspec.Struct, frozen=True):
    """What the command was asked for. Ports of 0 are chosen; the others were set by somebody."""

    homes: int
    speed: float
    seed: int
    storage_dir: Path
    edge_dir: Path
    work_dir: Path
    config: tuple[str, ...]
    mqtt_port: int = 0
    mqtts_port: int = 0
    http_port: int = 0
    edge_port: int = 0
    edge_tls_port: int = 0
    seconds: float = 0.0


class Ports(msgspec.Struct, frozen=True):
    """Every port of one run; those of a process stay the same when it is started again."""

    mqtt: int
    mqtts: int
    http: int
    edge: int
    edge_tls: int


class Kept(msgspec.Struct, frozen=True):
    """What the next start has to know. Holds tokens: for its owner alone."""

    tenant_token: str
    hello_token: str
    began_ms: int
    homes: int
    seed: int


FILE = "demo.json"
TOKENS = "tokens.csv"
"""The meters' tokens, for the simulator."""

EARLY_WORD = "now"
"""What the edge's process waits for: see `early`."""


def load(storage_dir: Path) -> Kept | None:
    """What an earlier demo in this directory kept; None where there was none."""
    path = storage_dir / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Kept)
    except FileNotFoundError:
        return None
    except (OSError, msgspec.DecodeError) as error:
        raise Failed(
            "storage_failed",
            f"{path} can not be read: {error}; nothing was changed",
            "restore it, or give the demo another directory: --storage-dir",
        ) from error


def keep(storage_dir: Path, kept: Kept) -> None:
    """Keep it for the next start."""
    write_durably(storage_dir / FILE, msgspec.json.encode(kept))


def first_instant(now_ms: int) -> int:
    """Where a new demo begins: a Sunday's midnight (UTC), at least `PAST_DAYS` ago. So its first bill is of one day
    and comes soon, and the others are of whole weeks.
    """
    day = now_ms // DAY_MS - PAST_DAYS
    return (day - (day - SUNDAY) % 7) * DAY_MS


USUAL_PORTS = (1883, 8883, 8080, 1884, 8884)
"""Those of a platform and an edge that are started by themselves: taken where nobody has them."""


def free_ports(options: Options) -> Ports:
    """Those that were set, else the usual ones where they are free, else any free ones; all different, for all are
    held until all are known.
    """
    asked = (options.mqtt_port, options.mqtts_port, options.http_port, options.edge_port, options.edge_tls_port)
    with ExitStack() as held:
        found = []
        for port, usual in zip(asked, USUAL_PORTS, strict=True):
            found.append(port or _free_port(held, () if usual in asked else (usual,)))
        return Ports(*found)


def _free_port(held: ExitStack, wanted: Sequence[int]) -> int:
    for port in (*wanted, 0):
        opened = held.enter_context(socket.socket())
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):
            opened.bind(("127.0.0.1", port))
            found: int = opened.getsockname()[1]
            return found
    raise Failed("unavailable", "this machine gives no free port; nothing was started", "see `ss -ltn`")
