"""`ringmain edge status`: what the running gateway says of itself over its local socket."""

import os
import socket
from pathlib import Path

import click
import msgspec

from ringmain.apps.cli.exits import CommandError, Exit
from ringmain.apps.cli.settings import configuration
from ringmain.model.gateway import GatewayReport
from ringmain.model.time import format_rfc3339

ANSWER_S = 5.0


@click.command()
@click.option("-o", "--output", type=click.Choice(("table", "json")), default="table", show_default=True)
def status(output: str) -> int:
    """Tell how the running gateway is: uplink, buffer, backlog and how long it will take, books, settings."""
    path = configuration().edge.path
    body = ask(path)
    if output == "json":
        click.echo(body.decode().strip())
        return Exit.OK
    for line in lines(msgspec.json.decode(body, type=GatewayReport)):
        click.echo(line)
    return Exit.OK


def ask(directory: Path) -> bytes:
    """The report of the gateway that runs in `directory`, as JSON. CommandError where none does."""
    try:
        folder = os.open(directory, os.O_PATH | os.O_DIRECTORY)
    except OSError as error:
        raise CommandError(
            Exit.UNAVAILABLE, f"there is no directory {directory}", "name the gateway's: --set edge.dir=DIR"
        ) from error
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as opened:
            opened.settimeout(ANSWER_S)
            # Through the directory's descriptor: the address of a Unix socket has 107 octets at most (unix(7)).
            opened.connect(f"/proc/self/fd/{folder}/edge.sock")
            chunks = []
            while chunk := opened.recv(65_536):
                chunks.append(chunk)
    except OSError as error:
        raise CommandError(
            Exit.UNAVAILABLE,
            f"no gateway runs in {directory}",
            "start it with `ringmain edge`; what it buffers is on disk",
        ) from error
    finally:
        os.close(folder)
    return b"".join(chunks)


def lines(report: GatewayReport) -> list[str]:
    """The report for people."""
    drain = "waits for the uplink" if report.drain_s is None else f"{_duration(report.drain_s)} at the permitted rate"
    backlog = f"{report.backlog_readings:,} readings, {_size(report.backlog_bytes)}; {drain}"
    rows = [
        (
            "uplink",
            f"{report.uplink} since {format_rfc3339(report.uplink_since_ms)}, {report.uplink_connections} so far",
        ),
        ("in flight", f"{report.in_flight} rows"),
        ("backlog", backlog if report.backlog_readings else "none"),
        (
            "buffer",
            f"{report.buffered_readings:,} readings, {_size(report.buffered_bytes)}; file {_size(report.file_bytes)}",
        ),
        ("meters", f"{report.meters_connected} here, {report.meters_known} in roster {report.roster_version}"),
        ("settings", f"version {report.settings_version}, {report.settings_state}{_said(report.settings_detail)}"),
        ("running", f"{report.version} since {format_rfc3339(report.started_ms)}"),
    ]
    rows += [
        ("books" if not at else "", f"{row.outcome}{_said(row.reason)}: {row.count:,}")
        for at, row in enumerate(report.books)
    ]
    return [f"{name:<10} {text}" for name, text in rows]


def _said(text: str) -> str:
    return f" ({text})" if text else ""


def _size(count: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= factor:
            return f"{count / factor:.1f} {unit}"
    return f"{count} B"


def _duration(seconds: float) -> str:
    if seconds >= 7200:
        return f"{seconds / 3600:.1f} h"
    return f"{seconds / 60:.0f} min" if seconds >= 120 else f"{seconds:.0f} s"
