"""The buffer's file: one SQLite database and the one thread that writes it.

Work is done in groups: everything that came while the last sync ran is the next transaction, each piece in a savepoint
of its own, so that one that is refused takes nothing of the others with it. A full disk rolls all of it back and
nothing is taken; any other error leaves a file whose state is not known: `broken`, and nothing is written any more.

It must never call something refused that is on the disk: what happens behind a commit changes no answer of it.
"""

import asyncio
import contextlib
import logging
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

from ringmain.adapters.embedded.buffer_room import PAGE_BYTES, Room, pages_of
from ringmain.adapters.embedded.buffer_salvage import salvage, suspect
from ringmain.adapters.embedded.buffer_schema import SCHEMA, UNREADABLE, connected, failed, is_damage, is_full, no_room
from ringmain.model.errors import Failed, Refused

log = logging.getLogger(__name__)

GROUP_MAX = 512
"""Pieces in one transaction; a bound on how long the first of them waits."""

VACUUM_PAGES = 256
"""Free pages given back to the disk at a time, where more than a half of the file is free: 1 MiB, a few ms."""

VACUUM_IDLE_S = 0.02
"""Nothing to write for so long: time for the next of them."""

T = TypeVar("T")
Work = Callable[[sqlite3.Connection], T]


class Piece(NamedTuple, Generic[T]):
    """Work that makes the file larger by at most `grows` bytes; `then` gets its result in the loop, also where nobody
    waits any more.
    """

    work: Work[T]
    grows: int
    then: Callable[[T], object]
    done: "asyncio.Future[T]"


Answered = tuple[Piece[object], object]


class BufferFile:
    """`start`, `run` work in the writer's thread, `close`, `release`. `used_bytes` and `file_bytes` follow commits."""

    def __init__(self, path: Path, synchronous: str = "full") -> None:
        self._path = path
        self._synchronous = synchronous
        self._loop = asyncio.get_running_loop()
        self._work: queue.SimpleQueue[Piece[object] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="buffer-writer", daemon=True)
        self._room = Room(path)
        self._pages = self._free_pages = 0
        self.broken = ""
        self.used_bytes = self.file_bytes = 0

    def start(self) -> None:
        """Open or create the file, save what can be saved of a damaged one, start the thread. On a disk without room
        the reserve is given up for it. `Failed` where the file can not be used.
        """
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            try:
                self._make()
            except sqlite3.Error as error:
                if is_damage(error) or not self._room.give_up_reserve():
                    raise
                self._make()
            self._room.open()
        except (*UNREADABLE, OSError) as error:
            raise self.failed(error) from error
        self._thread.start()

    def _make(self) -> None:
        salvage(self._path)
        with contextlib.closing(self.connect()) as connection:
            for statement in SCHEMA:
                connection.execute(statement)
            self._measure(connection)

    def connect(self) -> sqlite3.Connection:
        """A connection of its own, synced at each commit."""
        return connected(self._path, self._synchronous)

    async def run(self, work: Work[T], *, grows: int = 0, then: Callable[[T], object] | None = None) -> T:
        """Do it in the next transaction; its result after the sync. `Refused` as it raises it, or `Failed`."""
        if self.broken:
            raise Failed("storage_failed", self.broken, "restart: what is on the disk is read back then")
        done: asyncio.Future[T] = self._loop.create_future()
        self._work.put(Piece(work, grows, then or _nothing, done))  # type: ignore[arg-type]  # of this very piece
        return await done

    def close(self) -> None:
        """Finish what waits. Blocks until the thread has ended."""
        if self._thread.is_alive():
            self._work.put(None)
            self._thread.join()

    def release(self) -> None:
        """Let go of the file; every connection to it is closed."""
        self._room.close()

    def failed(self, error: Exception) -> Failed:
        """The error in our words. A file that is damaged is used no more, and looked through at the next start."""
        reason = failed(self._path, error)
        if is_damage(error):
            suspect(self._path)
            self.broken = reason.detail
        return reason

    @property
    def free_page_bytes(self) -> int:
        """Room within the file: what goes there takes nothing of the disk."""
        return self._free_pages * PAGE_BYTES

    # -- writer's thread ------------------------------------------------------------------------------------

    def _write(self) -> None:
        connection = self.connect()
        self._room.allocate_log()
        over = False
        while not over and (first := self._next(connection)) is not None:
            group = [first]
            while len(group) < GROUP_MAX and not self._work.empty():
                piece = self._work.get()
                if piece is None:
                    over = True
                    break
                group.append(piece)
            self._commit(connection, group)
        connection.close()

    def _next(self, connection: sqlite3.Connection) -> Piece[object] | None:
        """What comes next; while nothing does, free pages go back to the disk."""
        while not self.broken and self._vacuum_wanted():
            try:
                return self._work.get(timeout=VACUUM_IDLE_S)
            except queue.Empty:
                self._tidy(connection)
        return self._work.get()

    def _commit(self, connection: sqlite3.Connection, group: Sequence[Piece[object]]) -> None:
        """One transaction. On a full disk the reserve is given up and it is tried once more."""
        group = self._with_room(group)
        try:
            try:
                results = self._transaction(connection, group)
            except sqlite3.Error as error:
                self._roll_back(connection)
                if not is_full(error) or not self._room.give_up_reserve():
                    raise
                results = self._transaction(connection, group)
            self._measure(connection)
        except Exception as error:  # noqa: BLE001 - the thread's boundary: were it to end, all would wait for ever
            self._roll_back(connection)
            self._refuse(group, self.failed(error))
            return
        self._loop.call_soon_threadsafe(_answer, results)
        self._tidy(connection)

    def _refuse(self, group: Sequence[Piece[object]], reason: Failed) -> None:
        if reason.code != "storage_full":
            log.error("%s; nothing is written any more", reason.detail)
            self.broken = reason.detail
        results: list[Answered] = [(piece, reason) for piece in group]
        self._loop.call_soon_threadsafe(_answer, results)

    def _with_room(self, group: Sequence[Piece[object]]) -> Sequence[Piece[object]]:
        """Those for which there is room: all, or those that need none. The others are answered."""
        pages = sum(pages_of(piece.grows) for piece in group if piece.grows)
        if not pages or self._room.allocate(self._pages + max(0, pages - self._free_pages)):
            return group
        self._refuse([piece for piece in group if piece.grows], no_room(self._path))
        return [piece for piece in group if not piece.grows]

    def _transaction(self, connection: sqlite3.Connection, group: Sequence[Piece[object]]) -> list[Answered]:
        results: list[Answered] = []
        if not group:
            return results
        connection.execute("BEGIN IMMEDIATE")
        for piece in group:
            connection.execute("SAVEPOINT piece")
            try:
                results.append((piece, piece.work(connection)))
            except Refused as refused:
                connection.execute("ROLLBACK TO piece")
                results.append((piece, refused))
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
        self._pages = connection.execute("PRAGMA page_count").fetchone()[0]
        self._free_pages = connection.execute("PRAGMA freelist_count").fetchone()[0]
        self.file_bytes = self._room.file_bytes(self._pages)
        self.used_bytes = (self._pages - self._free_pages) * PAGE_BYTES

    def _vacuum_wanted(self) -> bool:
        return self._free_pages > 4 * VACUUM_PAGES and self._free_pages * 2 > self._pages

    def _tidy(self, connection: sqlite3.Connection) -> None:
        """Behind a commit and its answers: give pages back, hold the reserve. A full disk has to wait for both."""
        try:
            if self._vacuum_wanted():
                # Each step of this statement frees one page, and `execute` takes one step only.
                connection.executescript(f"PRAGMA incremental_vacuum({VACUUM_PAGES})")
                self._measure(connection)
                if not self._vacuum_wanted():  # the last of them: only now does the file become shorter
                    connection.execute("PRAGMA wal_checkpoint").fetchone()
        except sqlite3.Error as error:
            self._roll_back(connection)
            self._free_pages = 0  # not again before the next commit has counted them
            if not is_full(error):
                self.broken = self.failed(error).detail
        self._room.keep_reserve()


def _nothing(_: object) -> None:
    """Where nothing follows."""


def _answer(results: Sequence[Answered]) -> None:
    """What follows from each result, and an answer to who still waits; a cancelled caller does not."""
    for piece, result in results:
        if not isinstance(result, Exception):
            piece.then(result)
        if piece.done.done():
            continue
        if isinstance(result, Exception):
            piece.done.set_exception(result)
        else:
            piece.done.set_result(result)
