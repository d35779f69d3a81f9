"""The persistent queue's embedded home: an ingest log in SQLite, one columnar row per batch.

WAL with `synchronous=FULL`: a commit returns after the fdatasync that covers it. One named thread writes; whatever
arrives while a sync runs is the next transaction (group commit). A second thread reads what has left the memory of
recent entries.

It must never retry a sync: after an I/O error the log is *broken*, every further append fails, and the process has
to be started anew (ext4 and XFS mark pages clean that were never written: Rebello et al., ATC 2020). A full disk is
different: SQLite rolls back, nothing was taken, and the next append may succeed.
"""

import asyncio
import sqlite3
import zlib
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue
from threading import Thread
from typing import TypeVar

from ringmain.model.errors import Failed
from ringmain.model.ids import Offset
from ringmain.ports.queue import NO_RECORDS, Entry, QueueStatus, Records

RECENT_BYTES_MAX = 32 * 1024 * 1024
"""Entries kept in memory for consumers that keep up: some seconds at full rate."""

GROUP_COMMIT_ENTRIES_MAX = 256
"""Appends in one transaction; callers already append batches, so this is rarely reached."""

WAL_PAGES_BEFORE_CHECKPOINT = 4_000
"""16 MB of 4 KB pages: fewer copies into the main file, and a WAL that is replayed in well under a second."""

CUT_ROWS_MAX = 2_000
"""Rows deleted in one transaction, so that no append waits behind a long one."""

_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS entries (
        offset INTEGER PRIMARY KEY AUTOINCREMENT, crc INTEGER NOT NULL, body BLOB NOT NULL)""",
    "CREATE TABLE IF NOT EXISTS cursors (consumer TEXT PRIMARY KEY, offset INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS records (key BLOB PRIMARY KEY, crc INTEGER NOT NULL, value BLOB NOT NULL)",
)

T = TypeVar("T")
Job = Callable[[], None]
Pending = tuple[bytes, Records, "asyncio.Future[Offset]"]


class EmbeddedQueue:
    """The log in `path`. Open it with `EmbeddedQueue.open`, in the loop that will use it."""

    def __init__(self, path: Path, limit_bytes: int, synchronous: str) -> None:
        self._path = path
        self._limit_bytes = limit_bytes
        self._synchronous = synchronous
        self._loop = asyncio.get_running_loop()
        self._appends: SimpleQueue[Pending | Job | None] = SimpleQueue()
        self._writer = Thread(target=self._write, name="log-writer", daemon=True)
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="log-reader")
        self._recent: deque[Entry] = deque()
        self._recent_bytes = 0
        self._bytes = 0
        self._first = self._last = Offset(0)
        self._groups: dict[str, Offset] = {}
        self._arrived = asyncio.Event()
        self.broken: str = ""

    @classmethod
    async def open(cls, path: Path, *, limit_bytes: int, synchronous: str = "full") -> "EmbeddedQueue":
        """Open or create the log. `synchronous="off"` exists for one test only: it proves that the test of the
        power cut can fail.
        """
        queue = cls(path, limit_bytes, synchronous)
        await queue._loop.run_in_executor(queue._reader, queue._prepare)
        queue._writer.start()
        return queue

    # -- port -----------------------------------------------------------------------------------------------

    async def append(self, body: bytes, records: Records = NO_RECORDS) -> Offset:
        """See `ports.queue`."""
        if self.broken:
            raise Failed("storage_failed", f"the ingest log is broken: {self.broken}", "restart the platform")
        if body and self._bytes + len(body) > self._limit_bytes:
            raise Failed(
                "storage_full",
                f"the ingest log holds {self._bytes} bytes, its limit is {self._limit_bytes}; nothing was taken",
                "the store is behind: look at ringmain_ingest_lag_entries; raise storage.log_limit_mib",
            )
        done: asyncio.Future[Offset] = self._loop.create_future()
        self._appends.put((body, records, done))
        return await done

    async def records(self, prefix: bytes) -> Sequence[tuple[bytes, bytes]]:
        """See `ports.queue`."""
        return await self._loop.run_in_executor(self._reader, self._read_records, prefix)

    async def read(self, after: Offset, bytes_max: int) -> Sequence[Entry]:
        """See `ports.queue`."""
        recent = self._recent
        if after >= self._last:
            return ()
        if recent and recent[0].offset <= after + 1:
            return _some(recent, after, bytes_max)
        return await self._loop.run_in_executor(self._reader, self._read, after, bytes_max)

    async def wait(self, after: Offset) -> None:
        """See `ports.queue`."""
        while self._last <= after:
            self._arrived.clear()
            await self._arrived.wait()

    async def acknowledge(self, group: str, offset: Offset) -> None:
        """See `ports.queue`."""
        if offset > self._groups.get(group, -1):
            await self._in_writer(lambda: self._move_cursor(group, offset))
            self._groups[group] = offset

    async def cut(self, through: Offset) -> None:
        """See `ports.queue`."""
        through = Offset(min([through, *self._groups.values()]))
        while self._first <= through and self._bytes:
            first, freed = await self._in_writer(lambda: self._delete(through))
            if first == self._first:
                return
            self._first = first
            self._bytes -= freed
        while self._recent and self._recent[0].offset < self._first:
            self._recent_bytes -= len(self._recent.popleft().body)

    async def status(self) -> QueueStatus:
        """See `ports.queue`."""
        return self.extent()

    def extent(self) -> QueueStatus:
        """The same, for those who can not wait."""
        return QueueStatus(self._first, self._last, self._bytes, self._limit_bytes, dict(self._groups))

    async def close(self) -> None:
        """See `ports.queue`."""
        if self._writer.is_alive():
            self._appends.put(None)
            await self._loop.run_in_executor(self._reader, self._writer.join)
        await self._loop.run_in_executor(self._reader, self._read_connection.close)
        self._reader.shutdown()

    # -- reader thread --------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        """Create the schema once, before there are two connections: two that switch a new file to WAL at the same
        time lock each other out.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._read_connection = connection = self._connect()
        try:
            # A process that was killed may have left entries that are in the file and not on the disk. Who reads them
            # believes in them, so they are synced first: the store would be ahead of its log after a power cut.
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            for statement in _SCHEMA:
                connection.execute(statement)
            row = connection.execute("SELECT coalesce(min(offset), 0), coalesce(sum(length(body)), 0) FROM entries")
            self._first, self._bytes = row.fetchone()
            last = connection.execute("SELECT coalesce(max(seq), 0) FROM sqlite_sequence").fetchone()
            self._last = Offset(last[0])
            self._groups = dict(connection.execute("SELECT consumer, offset FROM cursors").fetchall())
        except sqlite3.Error as error:
            raise _failed(error, self._path) from error

    def _connect(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=10)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={'OFF' if self._synchronous == 'off' else 'FULL'}")
            connection.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES_BEFORE_CHECKPOINT}")
        except sqlite3.Error as error:
            raise _failed(error, self._path) from error
        return connection

    def _read(self, after: Offset, bytes_max: int) -> list[Entry]:
        entries: list[Entry] = []
        size = 0
        rows = self._read_connection.execute(
            "SELECT offset, crc, body FROM entries WHERE offset > ? ORDER BY offset", (after,)
        )
        for offset, crc, body in rows:
            if zlib.crc32(body) != crc:
                raise Failed(
                    "storage_failed",
                    f"entry {offset} of {self._path} does not match its checksum; it was kept as it is",
                    "check the disk, restore the log from a backup, and restart",
                )
            entries.append(Entry(offset, body))
            size += len(body)
            if size >= bytes_max:
                break
        rows.close()
        return entries

    def _read_records(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        found: list[tuple[bytes, bytes]] = []
        rows = self._read_connection.execute(
            "SELECT key, crc, value FROM records WHERE key >= ? ORDER BY key", (prefix,)
        )
        for key, crc, value in rows:
            if not key.startswith(prefix):
                break
            if zlib.crc32(value, zlib.crc32(key)) != crc:
                raise Failed(
                    "storage_failed",
                    f"record {key.hex()} of {self._path} does not match its checksum; it was kept as it is",
                    "check the disk, restore the log from a backup, and restart",
                )
            found.append((key, value))
        rows.close()
        return found

    # -- writer thread --------------------------------------------------------------------------------------

    def _write(self) -> None:
        """The one writer: take what waits, commit it, say so."""
        connection = self._write_connection = self._connect()
        while (first := self._appends.get()) is not None:
            if callable(first):
                first()
                continue
            group: list[Pending] = [first]
            follow_up: Job | None = None
            closing = False
            while len(group) < GROUP_COMMIT_ENTRIES_MAX and not self._appends.empty():
                item = self._appends.get()
                if isinstance(item, tuple):
                    group.append(item)
                    continue
                follow_up, closing = item, item is None
                break
            self._commit(connection, group)
            if follow_up:
                follow_up()
            if closing:
                break
        connection.close()

    def _commit(self, connection: sqlite3.Connection, group: list[Pending]) -> None:
        entries: list[Entry] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for body, records, _ in group:
                if records:
                    _put(connection, records)
                if not body:
                    entries.append(Entry(Offset(0), body))
                    continue
                cursor = connection.execute("INSERT INTO entries (crc, body) VALUES (?, ?)", (zlib.crc32(body), body))
                entries.append(Entry(Offset(cursor.lastrowid or 0), body))
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            self._loop.call_soon_threadsafe(self._fail, group, self._rolled_back(connection, error))
        else:
            self._loop.call_soon_threadsafe(self._committed, group, entries)

    def _rolled_back(self, connection: sqlite3.Connection, error: sqlite3.Error) -> Failed:
        """The error for those who wait. Anything but a full disk breaks the log: its state is not known."""
        failed = _failed(error, self._path)
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error as second:
            failed = _failed(second, self._path)
        if failed.code != "storage_full":
            self.broken = failed.detail
        return failed

    def _move_cursor(self, group: str, offset: Offset) -> None:
        self._write_connection.execute(
            "INSERT INTO cursors VALUES (?, ?) ON CONFLICT DO UPDATE SET offset = max(offset, excluded.offset)",
            (group, offset),
        )

    def _delete(self, through: Offset) -> tuple[Offset, int]:
        connection = self._write_connection
        upper = min(through, self._first + CUT_ROWS_MAX)
        connection.execute("BEGIN IMMEDIATE")
        freed = connection.execute(
            "SELECT coalesce(sum(length(body)), 0) FROM entries WHERE offset <= ?", (upper,)
        ).fetchone()[0]
        connection.execute("DELETE FROM entries WHERE offset <= ?", (upper,))
        connection.execute("COMMIT")
        return Offset(upper + 1), freed

    # -- loop -----------------------------------------------------------------------------------------------

    def _committed(self, group: list[Pending], entries: list[Entry]) -> None:
        last = self._last
        for entry in entries:
            if not entry.body:
                continue
            self._recent.append(entry)
            self._recent_bytes += len(entry.body)
            self._bytes += len(entry.body)
            self._first = self._first or entry.offset
            last = entry.offset
        while self._recent_bytes > RECENT_BYTES_MAX and len(self._recent) > 1:
            self._recent_bytes -= len(self._recent.popleft().body)
        self._last = last
        for (_, _, done), entry in zip(group, entries, strict=True):
            if not done.done():
                done.set_result(entry.offset or last)
        self._arrived.set()

    def _fail(self, group: list[Pending], failed: Failed) -> None:
        for _, _, done in group:
            if not done.done():
                done.set_exception(failed)

    async def _in_writer(self, work: Callable[[], T]) -> T:
        done: asyncio.Future[T] = self._loop.create_future()

        def job() -> None:
            try:
                result = work()
            except sqlite3.Error as error:
                failed = self._rolled_back(self._write_connection, error)
                self._loop.call_soon_threadsafe(_answer, done, lambda: done.set_exception(failed))
            else:
                self._loop.call_soon_threadsafe(_answer, done, lambda: done.set_result(result))

        self._appends.put(job)
        return await done


def _answer(done: "asyncio.Future[T]", answer: Callable[[], None]) -> None:
    """Answer who still waits; a cancelled caller does not."""
    if not done.done():
        answer()


def _put(connection: sqlite3.Connection, records: Records) -> None:
    """Records of one append, each key as its last value."""
    gone = [(key,) for key, value in records.items() if value is None]
    put = [(key, zlib.crc32(value, zlib.crc32(key)), value) for key, value in records.items() if value is not None]
    connection.executemany("DELETE FROM records WHERE key = ?", gone)
    connection.executemany("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", put)


def _some(recent: deque[Entry], after: Offset, bytes_max: int) -> list[Entry]:
    """Entries behind `after` from memory; the newest ones are at the right end."""
    entries: list[Entry] = []
    for entry in reversed(recent):
        if entry.offset <= after:
            break
        entries.append(entry)
    entries.reverse()
    size = 0
    for count, entry in enumerate(entries, 1):
        size += len(entry.body)
        if size >= bytes_max:
            return entries[:count]
    return entries


def _failed(error: sqlite3.Error, path: Path) -> Failed:
    if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL:
        return Failed("storage_full", f"no room left for {path}; nothing was taken", "free space on that disk")
    return Failed("storage_failed", f"{path}: {error}", "the commit may or may not be on disk; restart and resend")
