"""What can be saved of a buffer whose file is damaged: torn pages, flipped bits, a file that is no database.

A worn flash card must not keep what it still holds from the platform, nor meters from being heard. Such a file is put
aside whole, under a name of its own, and every row that can still be read goes into a new one. What can not be read is
counted as dropped, reason `damaged`, as far as the file's own books tell it.

It must never take a row for whole that does not match its checksum.
"""

import contextlib
import logging
import sqlite3
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

from ringmain.adapters.embedded.blobs import sync_directory
from ringmain.adapters.embedded.buffer_room import PAGE_BYTES
from ringmain.adapters.embedded.buffer_rows import whole
from ringmain.adapters.embedded.buffer_schema import SCHEMA, UNREADABLE, connected, is_damage
from ringmain.ports.buffer import DROPPED_LETTERS

log = logging.getLogger(__name__)

ASIDE_MAX = 16
"""Files put aside. A disk that damages more of them has to be replaced: the next start fails and says so."""

MISSED_MAX = 20_000
"""Offsets tried one by one without finding a row, between the last one read from the front and the last from the back:
more than one damaged page of the table can hide, and less than a second.
"""

LENGTH_MAX = 32 << 30
"""To which a cut file is made longer again: four times the usual limit. It takes no room."""

_MAGIC = b"SQLite format 3\0"

T = TypeVar("T")
Stored = tuple[int, int, int, int, int, int, bytes]

_PARTS = ("", "-wal", "-shm", "-journal")
_KEEP = "INSERT OR IGNORE INTO rows VALUES (?, ?, ?, ?, ?, ?, ?)"
_ASIDE = "INSERT OR IGNORE INTO damaged VALUES (?, ?, ?)"
_DROP = "INSERT INTO dropped VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"
_ROWS = "SELECT offset, sealed, readings, first_ms, last_ms, crc, body FROM rows"


def suspect(path: Path) -> None:
    """Have the file looked through at the next start."""
    with contextlib.suppress(OSError):
        mark(path).touch()


def mark(path: Path) -> Path:
    """The empty file that says so."""
    return path.with_name(path.name + ".suspect")


def salvage(path: Path) -> None:
    """Put a suspected file aside and its rows into a new one; nothing where none is suspected. sqlite3.Error, OSError
    where the disk does not let it.
    """
    if not mark(path).exists():
        return
    saved = path.with_name(path.name + ".salvaged")
    if path.exists():
        aside = _free_name(path)
        _remove(saved)
        try:
            rows, lost = _copy(path, saved)
        except BaseException:
            _remove(saved)  # a part of it is of no use, and takes what the disk has left
            raise
        for part in _PARTS:
            with contextlib.suppress(FileNotFoundError):
                Path(f"{path}{part}").rename(f"{aside}{part}")
        log.error("%s is damaged: %d rows were saved, %d readings are lost; it is kept as %s", path, rows, lost, aside)
    if saved.exists():  # complete: only then the damaged one was moved away
        for part in _PARTS[
            1:
        ]:  # of the damaged one, after a crash in between: SQLite would take them for the new one's
            Path(f"{path}{part}").unlink(missing_ok=True)
        saved.rename(path)
    mark(path).unlink(missing_ok=True)
    sync_directory(path.parent)


def _remove(path: Path) -> None:
    for part in _PARTS:
        Path(f"{path}{part}").unlink(missing_ok=True)


def _free_name(path: Path) -> Path:
    for number in range(ASIDE_MAX):
        name = path.with_name(f"{path.name}.damaged-{number}")
        if not name.exists():
            return name
    raise OSError(f"{ASIDE_MAX} damaged files lie beside {path}: replace the disk, then move them away")


def _copy(source: Path, to: Path) -> tuple[int, int]:
    """Rows that were saved, and readings that were not. The copy has no write-ahead log: it would need the room of all
    rows twice, and folding it in fails in silence where the disk has it only once.
    """
    with contextlib.closing(connected(to, "full", "delete")) as new, contextlib.closing(_opened(source)) as old:
        new.execute("BEGIN IMMEDIATE")
        for statement in SCHEMA:
            new.execute(statement)
        rows = readings = 0
        for row in _rows(old):
            if whole(row[1:]) is None:
                new.execute(_ASIDE, (row[0], 0, row[6]))
            elif new.execute(_KEEP, row).rowcount:  # a damaged tree may show a row twice
                rows, readings = rows + 1, readings + row[2]
        new.executemany(_ASIDE, _read(lambda: old.execute("SELECT offset, readings, body FROM damaged").fetchall(), []))
        lost = _copy_books(old, new, readings)
        new.execute("COMMIT")
    return rows, lost


def _copy_books(old: sqlite3.Connection, new: sqlite3.Connection, readings: int) -> int:
    """Readings that the old books know of and that are nowhere: lost, and counted as such. Offsets go on."""
    nothing: list[tuple[str, int]] = []
    totals = dict(_read(lambda: old.execute("SELECT name, value FROM totals").fetchall(), nothing))
    dropped: list[tuple[str, str, int]] = _read(
        lambda: old.execute("SELECT device, reason, count FROM dropped").fetchall(), []
    )
    settled = totals.get("settled", 0)
    known = readings + settled + sum(count for _, reason, count in dropped if reason != DROPPED_LETTERS)
    lost = max(0, totals.get("taken", known) - known)
    new.execute("INSERT INTO totals VALUES ('taken', ?), ('settled', ?)", (known + lost, settled))
    new.executemany(_DROP, [*dropped, *([("", "damaged", lost)] if lost else [])])
    new.execute("DELETE FROM sqlite_sequence")
    new.execute(
        "INSERT INTO sqlite_sequence VALUES ('rows', max(?, (SELECT ifnull(max(offset), 0) FROM rows)))", (_end(old),)
    )
    return lost


def _end(old: sqlite3.Connection) -> int:
    """The last offset ever given, 0 where that is not known."""
    return _read(lambda: old.execute("SELECT max(seq) FROM sqlite_sequence").fetchone()[0], 0) or 0


def _opened(path: Path) -> sqlite3.Connection:
    """A file that was cut is made as long again as its header says (file format, 1.3.7): SQLite reads none shorter."""
    with path.open("r+b") as file:
        head = file.read(32)
        size = int.from_bytes(head[28:], "big") * PAGE_BYTES
        if head.startswith(_MAGIC) and path.stat().st_size < size <= LENGTH_MAX:
            file.truncate(size)
    return sqlite3.connect(path, isolation_level=None)


def _rows(old: sqlite3.Connection) -> Iterator[Stored]:
    """From the front as far as it goes, then from the back, then what lies between, one by one."""
    last = 0
    for row in _walk(old, f"{_ROWS} ORDER BY offset"):
        last = row[0]
        yield row
    end = _end(old) or last + MISSED_MAX
    first = end + 1
    for row in _walk(old, f"{_ROWS} WHERE offset > {last} ORDER BY offset DESC"):
        first = row[0]
        yield row
    missed = 0
    for offset in range(last + 1, first):
        found: list[Stored] = _read(partial(_looked_up, old, offset), [])
        yield from found
        missed = 0 if found else missed + 1
        if missed == MISSED_MAX:
            return


def _looked_up(old: sqlite3.Connection, offset: int) -> list[Stored]:
    return old.execute(f"{_ROWS} WHERE offset = ?", (offset,)).fetchall()


def _walk(old: sqlite3.Connection, statement: str) -> Iterator[Stored]:
    """Rows until the first that can not be read."""
    try:
        yield from old.execute(statement)
    except UNREADABLE as error:
        if not is_damage(error):
            raise


def _read(work: Callable[[], T], otherwise: T) -> T:
    """`otherwise` where the file is damaged there, or lacks the table."""
    try:
        return work()
    except UNREADABLE as error:
        if not is_damage(error):
            raise
    return otherwise
