"""The edge gateway under test: a process of its own that joins by its claim, is killed, and comes back.

It must never be reached but through its doors: the local one for meters, and its socket for its state.
"""

import os
import socket
from collections.abc import Sequence
from pathlib import Path

import msgspec

from ringmain.apps.lab.box import Box
from ringmain.apps.lab.platform import MODULE
from ringmain.apps.lab.processes import Family

JOIN_S_MAX = 30.0
"""A key, a certificate request and one connection."""

STATUS_S_MAX = 5.0
READ_BYTES = 65_536

SETTINGS = {
    "keep_alive_s": 5,
    "answer_s": 2,
    "commit_every_ms": 20,
    "send_every_ms": 150,
    "report_every_s": 5,
}
"""An impatient edge: a dead uplink is given up within two seconds, as a minute's run has no time for fifteen. It
gathers readings for a moment, as an edge with many meters would."""


class _Book(msgspec.Struct, frozen=True):
    outcome: str
    reason: str
    count: int


class _Report(msgspec.Struct, frozen=True):
    """What an edge says of itself, as far as the lab looks at it."""

    uplink: str
    uplink_connections: int
    in_flight: int
    settings_version: int
    roster_version: int
    books: tuple[_Book, ...]


class EdgeStatus(msgspec.Struct, frozen=True):
    """Readings `taken` (durable in the buffer) and `forwarded` (acknowledged by the platform) since the buffer was
    made; `in_flight` rows of the buffer are on their way. `given_up` were rejected, dropped or not understood.
    """

    uplink_is_up: bool
    uplink_connections: int
    in_flight: int
    settings_version: int
    roster_version: int
    forwarded: int
    buffered: int
    given_up: int

    @property
    def taken(self) -> int:
        """All that were ever acknowledged to a meter."""
        return self.forwarded + self.buffered


def status_of(body: bytes) -> EdgeStatus:
    """From the report of an edge. msgspec.DecodeError where it is none."""
    report = msgspec.json.decode(body, type=_Report)
    counts = dict.fromkeys(("forwarded", "buffered", "dropped", "rejected", "dead_letter"), 0)
    for book in report.books:
        if book.outcome in counts:
            counts[book.outcome] += book.count
    return EdgeStatus(
        uplink_is_up=report.uplink == "up",
        uplink_connections=report.uplink_connections,
        in_flight=report.in_flight,
        settings_version=report.settings_version,
        roster_version=report.roster_version,
        forwarded=counts["forwarded"],
        buffered=counts["buffered"],
        given_up=counts["dropped"] + counts["rejected"] + counts["dead_letter"],
    )


class EdgePorts(msgspec.Struct, frozen=True):
    """`<edge.dir>/ports.json`."""

    mqtt: int
    mqtts: int


def ask(directory: Path) -> EdgeStatus | None:
    """What the edge of `directory` says of itself on its socket; None where nobody answers."""
    try:
        return status_of(_said(directory))
    except (OSError, msgspec.DecodeError):
        return None


def _said(directory: Path) -> bytes:
    folder = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    try:
        with socket.socket(socket.AF_UNIX) as opened:
            opened.settimeout(STATUS_S_MAX)
            # Through the directory's descriptor: the address of a Unix socket has 107 octets at most (unix(7)).
            opened.connect(f"/proc/self/fd/{folder}/edge.sock")
            return b"".join(iter(lambda: opened.recv(READ_BYTES), b""))
    finally:
        os.close(folder)


def edge_options(directory: Path, config: Sequence[str], ports: EdgePorts) -> list[str]:
    """Options of `ringmain` before `edge`, the same for joining and running."""
    settings = {"dir": directory, "host": "127.0.0.1", "port": ports.mqtt, "tls_host": "127.0.0.1"}
    settings |= {"tls_port": ports.mqtts}
    return [*config, *(part for name, value in settings.items() for part in ("--set", f"edge.{name}={value}"))]


def join(family: Family, options: Sequence[str], platform_port: int, ca: Path, claim: str) -> None:
    """`ringmain edge join`, to its end."""
    arguments = ["edge", "join", "--platform", f"127.0.0.1:{platform_port}", "--ca", str(ca), "--claim", claim]
    child = family.start("edge-join", MODULE, [*options, *arguments])
    if child.wait(JOIN_S_MAX) != 0:
        raise child.failed("could not join")


def edge_box(family: Family, directory: Path, options: Sequence[str]) -> Box:
    """The edge that runs over `directory`."""
    return Box(family, "edge", MODULE, [*options, "edge"], directory / "ports.json", lambda: ask(directory) is not None)
