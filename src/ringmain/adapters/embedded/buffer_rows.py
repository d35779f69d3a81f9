"""The buffer's rows in SQL: what a transaction does with them. Pure functions of a connection."""

import contextlib
import sqlite3
import struct
import zlib
from collections.abc import Sequence
from pathlib import Path

from ringmain.adapters.embedded.buffer_index import BufferIndex, Facts
from ringmain.model.batch import decode_batch
from ringmain.model.errors import Refused
from ringmain.model.ids import Offset
from ringmain.ports.buffer import Dropped, SealedRow

_INDEX = "SELECT offset, sealed, readings, first_ms, last_ms, length(body) FROM rows ORDER BY offset"
_SAID = struct.Struct("<?qqq")
_BODY = "SELECT sealed, readings, first_ms, last_ms, crc, body FROM rows WHERE offset = ?"
_DELETE = "DELETE FROM rows WHERE offset = ?"
_COUNT = "INSERT INTO totals VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + excluded.value"
_DROP = "INSERT INTO dropped VALUES (?, ?, ?) ON CONFLICT DO UPDATE SET count = count + excluded.count"


def load(connection: sqlite3.Connection, index: BufferIndex) -> None:
    """Fill the index from the file."""
    for offset, sealed, readings, first_ms, last_ms, size in connection.execute(_INDEX):
        if not all(type(number) is int for number in (sealed, readings, first_ms, last_ms, size)):
            raise TypeError(f"row {offset} has no numbers where they belong")
        index.add(Offset(offset), Facts(bool(sealed), readings, first_ms, last_ms, size))
    last = connection.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence").fetchone()
    index.last = max(index.last, Offset(last[0]))
    totals = dict(connection.execute("SELECT name, value FROM totals").fetchall())
    index.taken, index.settled = totals.get("taken", 0), totals.get("settled", 0)
    for device, reason, count in connection.execute("SELECT device, reason, count FROM dropped"):
        index.dropped[device, reason] = count


def readings_held(path: Path) -> int | None:
    """The readings in a buffer that nobody has open; None where the file can not be read. Nothing in it is changed."""
    return _told(path, "SELECT coalesce(sum(readings), 0) FROM rows")


def raw_rows_held(path: Path) -> int | None:
    """Rows in it that are not sealed; 0 where there is no file."""
    return _told(path, "SELECT count(*) FROM rows WHERE NOT sealed") if path.exists() else 0


def _told(path: Path, question: str) -> int | None:
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
            answer: int = connection.execute(question).fetchone()[0]
    except sqlite3.Error:
        return None
    return answer


def facts_of(body: bytes) -> Facts:
    """What the index keeps of a raw batch."""
    batch = decode_batch(body)
    stamps = [stamp for block in batch.blocks if block.messages for stamp in block.stamps.cast("q")]
    return Facts(False, batch.readings, min(stamps, default=0), max(stamps, default=0), len(body))


def checksum(facts: Facts, body: bytes) -> int:
    """CRC-32 of a row: of its body, and of what is said of it."""
    said = _SAID.pack(facts.sealed, facts.readings, facts.first_ms, facts.last_ms)
    return zlib.crc32(body, zlib.crc32(said))


def insert(connection: sqlite3.Connection, facts: Facts, body: bytes) -> Offset:
    """One row, with its checksum; its offset."""
    cursor = connection.execute(
        "INSERT INTO rows (sealed, readings, first_ms, last_ms, crc, body) VALUES (?, ?, ?, ?, ?, ?)",
        (facts.sealed, facts.readings, facts.first_ms, facts.last_ms, checksum(facts, body), body),
    )
    return Offset(cursor.lastrowid or 0)


def settle(connection: sqlite3.Connection, offsets: Sequence[Offset]) -> None:
    """These rows go, and their readings count as settled."""
    readings = 0
    for offset in offsets:
        row = connection.execute("SELECT readings FROM rows WHERE offset = ?", (offset,)).fetchone()
        readings += row[0] if row else 0
        connection.execute(_DELETE, (offset,))
    connection.execute(_COUNT, ("settled", readings))


def set_aside(connection: sqlite3.Connection, offsets: Sequence[Offset]) -> None:
    """These rows are damaged: kept apart, and counted as dropped."""
    for offset in offsets:
        row = connection.execute("SELECT readings, body FROM rows WHERE offset = ?", (offset,)).fetchone()
        if row:
            connection.execute("INSERT OR REPLACE INTO damaged VALUES (?, ?, ?)", (offset, *row))
            connection.execute(_DROP, ("", "damaged", row[0]))
            connection.execute(_DELETE, (offset,))


def take(connection: sqlite3.Connection, facts: Facts, body: bytes) -> Offset:
    """A raw row that came in: its readings count as taken."""
    connection.execute(_COUNT, ("taken", facts.readings))
    return insert(connection, facts, body)


def swap(
    connection: sqlite3.Connection,
    offsets: Sequence[Offset],
    rows: Sequence[tuple[Facts, SealedRow]],
    dropped: Sequence[Dropped],
) -> list[Offset]:
    """`offsets` go, `rows` come, and what was dropped is counted. `Refused` where one of them is gone already."""
    gone = connection.executemany(_DELETE, ((offset,) for offset in offsets)).rowcount
    if offsets and gone != len(offsets):
        raise Refused("not_found", "some of these rows are gone; nothing was changed")
    for each in dropped:
        connection.execute(_DROP, (each.device, each.reason, each.count))
    return [insert(connection, facts, row.body) for facts, row in rows]


def whole(row: tuple[int, int, int, int, int, bytes]) -> bytes | None:
    """The body of a stored row (sealed, readings, first_ms, last_ms, crc, body), None where it is damaged."""
    sealed, readings, first_ms, last_ms, crc, body = row
    try:
        facts = Facts(bool(sealed), readings, first_ms, last_ms, len(body))
        return body if checksum(facts, body) == crc else None
    except (TypeError, struct.error):
        return None


def bodies(connection: sqlite3.Connection, offsets: Sequence[Offset]) -> dict[Offset, bytes | None]:
    """Bodies by offset; None for one that does not match its checksum."""
    found: dict[Offset, bytes | None] = {}
    for offset in offsets:
        row = connection.execute(_BODY, (offset,)).fetchone()
        if row is not None:
            found[offset] = whole(row)
    return found
