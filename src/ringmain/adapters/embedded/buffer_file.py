"""The buffer's file: one SQLite database and the one thread that writes it.

Work is done in groups: everything that came while the last sync ran is the next transaction, each piece in a savepoint
of its own, so that one that is refused takes nothing of the others with it. A full disk rolls all of it back and
nothing is taken; any other error leaves a file whose state is not known: `broken`, and nothing is written any more.
"""

import asyncio
import contextlib
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from ringmain.model.errors import Failed, Refused

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], object]
Piece = tuple[Work, "asyncio.Future[object]"]
Answered = tuple["asyncio.Future[object]", object]

SCHEMA = (
    "PRAGMA auto_vacuum=INCREMENTAL",
    """CREATE TABLE IF NOT EXISTS rows (
        offset INTEGER PRIMARY KEY AUTOINCREMENT, sealed INTEGER NOT NULL, readings INTEGER NOT NULL,
        first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL, crc INTEGER NOT NULL, body BLOB NOT NULL)""",
    "CREATE TABLE IF NOT EXISTS totals (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    """CREATE TABLE IF NOT EXISTS dropped (
        device TEXT NOT NULL, reason TEXT NOT NULL, count INTEGER NOT NULL,
        PRIMARY KEY (device, reason)) WITHOUT ROWID""",
    "CREATE TABLE IF NOT EXISTS damaged (offset INTEGER PRIMARY KEY, readings INTEGER NOT NULL, body BLOB)",
)

WAL_PAGES_BEFORE_CHECKPOINT = 500
"""2 MiB: the write-ahead log of a small box stays small. SQLite's own default is 1,000."""

WAL_BYTES_KEPT = 4 * 1024 * 1024
"""A larger write-ahead log, after much was deleted at once, is cut back to this."""

RESERVE_BYTES = 2 * 1024 * 1024
"""Held by a file beside it while there is room, and given up when the disk is full: to delete takes room too."""

GROUP_MAX = 512
"""Pieces in one transaction; a bound on how long the first of them waits."""

VACUUM_PAGES = 256
"""Free pages given back to the disk at a time, where more than a half of the file is free: 1 MiB, a few ms."""


class BufferFile:
    """`open`, `run` work in the writer's thread, `close`. `used` and `file` are bytes as of the last transaction."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._work: queue.SimpleQueue[Piece | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="buffer-writer", daemon=True)
        self._reserve = path.with_name(path.name + ".reserve")
        self.broken = ""
        self.used_bytes = self.file_bytes = 0

    def start(self) -> None:
        """Make the schema and start the thread. `Failed` where the file can not be used."""
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with contextlib.closing(self.connect()) as connection:
                for statement in SCHEMA:
                    connection.execute(statement)
                self._measure(connection)
        except (sqlite3.Error, OSError) as error:
            raise self.failed(error) from error
        self._keep_reserve()
        self._thread.start()

    def connect(self) -> sqlite3.Connection:
        """A connection of its own, synced at each commit."""
        connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False, timeout=10)
        connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA cache_size=-1024")
        connection.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES_BEFORE_CHECKPOINT}")
        connection.execute(f"PRAGMA journal_size_limit={WAL_BYTES_KEPT}")
        return connection

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do it in the next transaction; its result after the sync. `Refused` as it raises it, or `Failed`."""
        if self.broken:
            raise Failed("storage_failed", self.broken, "restart: what is on the disk is read back then")
        done: asyncio.Future[object] = self._loop.create_future()
        self._work.put((work, done))
        return await done  # type: ignore[return-value]  # the future of this very piece

    def close(self) -> None:
        """Finish what waits. Blocks until the thread has ended."""
        if self._thread.is_alive():
            self._work.put(None)
            self._thread.join()

    # -- writer's thread ------------------------------------------------------------------------------------

    def _write(self) -> None:
        connection = self.connect()
        while (first := self._work.get()) is not None:
            group = [first]
            over = False
            while len(group) < GROUP_MAX and not self._work.empty():
                piece = self._work.get()
                if piece is None:
                    over = True
                    break
                group.append(piece)
            self._commit(connection, group)
            if over:
                break
        connection.close()

    def _commit(self, connection: sqlite3.Connection, group: list[Piece]) -> None:
        """One transaction. On a full disk the reserve is given up and it is tried once more."""
        results: list[Answered]
        try:
            try:
                results = self._transaction(connection, group)
            except sqlite3.Error as error:
                self._roll_back(connection)
                if not is_full(error) or not self._give_up_reserve():
                    raise
                results = self._transaction(connection, group)
            self._measure(connection)
            self._vacuum(connection)
        except sqlite3.Error as error:
            self._roll_back(connection)
            failed = self.failed(error)
            if failed.code != "storage_full":
                self.broken = failed.detail
            results = [(done, failed) for _, done in group]
            self._loop.call_soon_threadsafe(_answer, results)
            return
        self._keep_reserve()
        self._loop.call_soon_threadsafe(_answer, results)

    def _transaction(self, connection: sqlite3.Connection, group: list[Piece]) -> list[Answered]:
        results: list[Answered] = []
        connection.execute("BEGIN IMMEDIATE")
        for work, done in group:
            connection.execute("SAVEPOINT piece")
            try:
                results.append((done, work(connection)))
            except Refused as refused:
                connection.execute("ROLLBACK TO piece")
                results.append((done, refused))
            connection.execute("RELEASE piece")
        connection.execute("COMMIT")
        return results

    def _roll_back(self, connection: sqlite3.Connection) -> None:
        try:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
        except sqlite3.Error as error:
            self.broken = f"{self._path}: {error}"

    def _measure(self, connection: sqlite3.Connection) -> None:
        size = connection.execute("PRAGMA page_size").fetchone()[0]
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        self._free_pages = connection.execute("PRAGMA freelist_count").fetchone()[0]
        self._pages = pages
        wal = self._path.with_name(self._path.name + "-wal")
        self.file_bytes = pages * size + (wal.stat().st_size if wal.exists() else 0)
        self.used_bytes = (pages - self._free_pages) * size

    def _vacuum(self, connection: sqlite3.Connection) -> None:
        if self._free_pages > 4 * VACUUM_PAGES and self._free_pages * 2 > self._pages:
            # Each step of this statement frees one page, and `execute` takes one step only.
            connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")

    def _keep_reserve(self) -> None:
        """Hold the reserve, where the disk has room for it four times over."""
        with contextlib.suppress(OSError):
            if self._reserve.exists():
                return
            status = os.statvfs(self._path.parent)
            if status.f_bavail * status.f_frsize > 4 * RESERVE_BYTES:
                descriptor = os.open(self._reserve, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
                try:
                    os.posix_fallocate(descriptor, 0, RESERVE_BYTES)
                finally:
                    os.close(descriptor)

    def _give_up_reserve(self) -> bool:
        try:
            self._reserve.unlink()
        except OSError:
            return False
        return True

    def failed(self, error: Exception) -> Failed:
        """The error in our words."""
        if is_full(error):
            return Failed(
                "storage_full", f"no room left for {self._path}; nothing was taken", "free space on that disk"
            )
        return Failed("storage_failed", f"{self._path}: {error}", "it may or may not be on disk; restart and resend")


def is_full(error: Exception) -> bool:
    """Whether the disk has no room."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_FULL


def _answer(results: list[Answered]) -> None:
    """Answer who still waits; a cancelled caller does not."""
    for done, result in results:
        if done.done():
            continue
        if isinstance(result, Exception):
            done.set_exception(result)
        else:
            done.set_result(result)
