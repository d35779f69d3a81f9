"""A meter's diary: after each word to or from the server, how much it has said and how much of that was acknowledged.

A file of JSON lines that others read while it grows, so that they can tell what was unacknowledged at an instant. It
must never run ahead: `sent` is written after the bytes were given to the kernel, `acknowledged` after PUBACK was read.
"""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType

import msgspec

TAIL_BYTES = 512
"""More than one line."""


class Entry(msgspec.Struct, frozen=True):
    """At `at_s` of the monotonic clock, which all processes of a machine share, and on the connection of that number:
    messages sent at least once, and acknowledged, since the start; whether the server has said CONNACK.
    """

    at_s: float
    connection: int
    connected: bool
    sent: int
    acknowledged: int


class Diary:
    """Writes the file. An entry that says nothing new is left out."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND, 0o644)
        self._last: tuple[int, bool, int, int] | None = None

    def __enter__(self) -> "Diary":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._file)

    def note(self, *, connection: int, connected: bool, sent: int, acknowledged: int) -> None:
        """How things are now."""
        state = (connection, connected, sent, acknowledged)
        if state != self._last:
            self._last = state
            os.write(self._file, msgspec.json.encode(Entry(time.monotonic(), *state)) + b"\n")  # whole lines only


def last_entry(path: Path) -> Entry | None:
    """The newest entry; None where there is none yet."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
            lines = file.read().splitlines()
    except FileNotFoundError:
        return None
    return msgspec.json.decode(lines[-1], type=Entry) if lines else None


def entries(path: Path) -> list[Entry]:
    """All of them."""
    return msgspec.json.Decoder(Entry).decode_lines(path.read_bytes())


def unacknowledged_at(diary: Iterable[Entry], at_s: float) -> int:
    """Messages that had been sent before `at_s`, and which the connection of that instant never acknowledged. None
    count where there was no connection, or where the server had not said CONNACK.
    """
    before: Entry | None = None
    acknowledged = 0
    for entry in diary:
        if entry.at_s <= at_s:
            before = entry
        elif before is None or entry.connection != before.connection:
            break
        acknowledged = entry.acknowledged
    if before is None or not before.connected:
        return 0
    return max(0, before.sent - acknowledged)
