"""The files and times that `ringmain simulate` is given: who the meters are, where each goes on, what is replayed.

What is wrong is said with file and line; nothing has been started then.
"""

import csv
from pathlib import Path

import click

from ringmain.apps.cli.exits import CommandError, Exit
from ringmain.metering.interval_file import read_interval_file
from ringmain.model.ids import is_name
from ringmain.model.time import INSTANT_MAX, parse_rfc3339
from ringmain.simulator.fleet_meter import Identity
from ringmain.simulator.street import ReplayFile


def from_tokens(path: Path, count: int | None, user: str) -> list[Identity]:
    """The first `count` devices (all: None) of a CSV file id,token. `user` is a template with `{id}`."""
    rows = _table(path, ("id", "token"))
    if count is not None and count > len(rows):
        raise click.UsageError(f"--count {count}: {path} holds only {len(rows)} tokens")
    return [Identity(name, user.replace("{id}", name), token) for name, token in rows[:count]]


def last_stamps(path: Path | None) -> dict[str, int]:
    """When each meter's last reading starts, in ms; of a CSV file id,last with RFC 3339 times or milliseconds. A device
    without one has sent nothing yet.
    """
    if path is None:
        return {}
    return {
        name: int(text) if text.isdecimal() else instant(f"{path}: {name}", text)
        for name, text in _table(path, ("id", "last"))
        if text
    }


def _table(path: Path, columns: tuple[str, str]) -> list[tuple[str, str]]:
    """Rows of a CSV file with these two columns first; CommandError names file and line."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            lines = csv.reader(file, strict=True)
            if tuple(next(lines, [])[:2]) != columns:
                raise CommandError(Exit.REFUSED, f"{path}, line 1: expected the columns {','.join(columns)}")
            rows = []
            for fields in lines:
                if len(fields) < 2 or not is_name(fields[0]):
                    raise CommandError(Exit.REFUSED, f"{path}, line {lines.line_num}: expected {','.join(columns)}")
                rows.append((fields[0], fields[1]))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise CommandError(Exit.REFUSED, f"{path} can not be read: {error}") from error
    if not rows and columns[1] == "token":
        raise CommandError(Exit.REFUSED, f"{path} holds no device")
    return rows


def replay_file(path: Path) -> ReplayFile:
    """Intervals of an interval file."""
    rows = list(read_interval_file(path))
    return ReplayFile([row.start_ms for row in rows], [row.energy_wh for row in rows])


def instant(option: str, text: str) -> int:
    """A time that an option gives (RFC 3339), in ms."""
    try:
        at_ms = parse_rfc3339(text)
    except ValueError as error:
        raise click.UsageError(f"{option} {text}: expected a time such as 2026-01-31T12:00:00Z") from error
    if not 0 <= at_ms <= INSTANT_MAX:
        raise click.UsageError(f"{option} {text}: expected a time from 1970 to 2099")
    return at_ms
