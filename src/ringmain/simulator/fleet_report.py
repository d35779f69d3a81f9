"""What a fleet of meters has done: one struct, for the line at the end and for the file that supervisors read."""

import os
from pathlib import Path

import msgspec


class FleetReport(msgspec.Struct, frozen=True):
    """Counts since the start. `published` are messages that were sent at least once, `readings` what they carried,
    `acknowledged` those that the server confirmed (QoS 1); `due` are messages whose time has come and that were not
    sent yet. `rate_per_s` is that of the last second (at the end: the mean), `virtual` the virtual time (RFC 3339).
    """

    meters: int
    connected: int
    published: int
    readings: int
    acknowledged: int
    unacknowledged: int
    resent: int
    connections: int
    cuts: int
    refused: int
    reboots: int
    behind: int
    seconds: float
    rate_per_s: float
    cpu_s: float
    virtual: str
    real_time: bool
    ended: str = ""
    trouble: str = ""


def write_progress(path: Path | None, report: FleetReport) -> None:
    """Replace the file as a whole: a reader sees the old one or the new one. Nothing where nobody wants to read."""
    if path is None:
        return
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    draft.write_bytes(msgspec.json.encode(report) + b"\n")
    draft.replace(path)
