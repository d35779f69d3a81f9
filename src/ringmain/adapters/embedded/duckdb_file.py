"""One DuckDB file and its owner: one writer thread, reader threads with cursors of their own, and every way back
from a fault that a DuckDB file is known to need.

A failed write is indeterminate (durability contract, clause 3): the instance is closed and opened anew, so that
memory says what the disk holds. An unreadable write-ahead log (WAL) is set aside, never deleted: the ingest log
replays what it held. This module knows nothing of readings, and must never leave an instance half alive.
"""

import asyncio
import contextlib
import logging
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TypeVar

import duckdb

from ringmain.adapters.embedded.duckdb_attach import attach, wal_of
from ringmain.adapters.embedded.duckdb_faults import failure_of
from ringmain.model.errors import Failed
from ringmain.ports.clock import Clock

T = TypeVar("T")
Connection = duckdb.DuckDBPyConnection

log = logging.getLogger(__name__)

READERS = 2
"""Reader threads: a point query gets its turn while a long one runs. More would only share two cores."""

CACHE_MIB = 16
"""What DuckDB may keep in memory between queries; the kernel's page cache holds the rest. Without this limit the
buffers grow with the file, up to the memory limit."""


class DuckDbFile:
    """Owns the file at `path`. `opened` is called in the writer thread after every (re)opening, with a connection
    that no transaction runs on; it creates the tables and reads the state. Nothing is touched before `open`.
    """

    def __init__(
        self, path: Path, clock: Clock, opened: Callable[[Connection], None], *, memory_mib: int, threads: int
    ) -> None:
        self.path = path
        self._clock = clock
        self._opened = opened
        self._memory_mib = memory_mib
        self._threads = threads
        self._instance: Connection | None = None
        self._closed = False
        self._gate = threading.Condition()
        self._busy: set[Connection] = set()
        self._idle: list[Connection] = []
        self._writer = ThreadPoolExecutor(1, initializer=_name_thread, initargs=("timeseries-writer",))
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="timeseries-reader")

    @property
    def wal(self) -> Path:
        """The write-ahead log beside the file; there is none after a checkpoint."""
        return wal_of(self.path)

    def wal_bytes(self) -> int:
        """How much has been written since the last checkpoint."""
        try:
            return self.wal.stat().st_size
        except FileNotFoundError:
            return 0

    async def open(self) -> None:
        """Open the file, or make it. `Failed("unavailable")` where another process has it."""
        await asyncio.get_running_loop().run_in_executor(self._writer, self._connection)

    async def write(self, job: Callable[[Connection], T]) -> T:
        """Run `job` in the writer thread. If it raises, nothing of it may be taken for stored or for absent."""
        self._refuse_if_closed()
        return await asyncio.get_running_loop().run_in_executor(self._writer, partial(self._run_write, job))

    async def read(self, job: Callable[[Connection], T]) -> T:
        """Run `job` in a reader thread on a cursor of its own, beside the writer."""
        self._refuse_if_closed()
        return await asyncio.get_running_loop().run_in_executor(self._readers, partial(self._run_read, job))

    async def close(self) -> None:
        """Fold the WAL into the file and let go of it."""
        if self._closed:
            return
        self._closed = True
        await asyncio.get_running_loop().run_in_executor(self._writer, self._close)
        self._writer.shutdown(wait=True)
        self._readers.shutdown(wait=True)

    def checkpoint(self, connection: Connection) -> bool:
        """Fold the WAL into the file and give back memory; only in the writer thread, outside a transaction.
        False where running queries forbid it for now; duckdb.Error where the file can not be written.
        """
        try:
            connection.execute("CHECKPOINT store")
        except duckdb.TransactionException as error:
            if "invalidated" in str(error):
                raise
            log.info("checkpoint put off: %s", error)
            return False
        self._trim(connection)
        return True

    def _trim(self, connection: Connection) -> None:
        """Evict buffers by narrowing the memory limit for a moment, while no query could be hurt by it."""
        with self._gate:
            if self._busy:
                return
            with contextlib.suppress(duckdb.OutOfMemoryException):
                connection.execute(f"SET memory_limit='{CACHE_MIB}MiB'")
            connection.execute(f"SET memory_limit='{self._memory_mib}MiB'")

    def _run_write(self, job: Callable[[Connection], T]) -> T:
        connection = self._connection()
        try:
            return job(connection)
        except BaseException as error:
            self.reopen()
            if isinstance(error, duckdb.Error):
                raise failure_of(error, self.path) from error
            raise

    def _run_read(self, job: Callable[[Connection], T]) -> T:
        with self._gate:
            if self._instance is None:
                raise Failed(
                    "unavailable",
                    f"the time-series store {self.path} is closed or being opened anew; what it holds is kept",
                    "ask again in a moment",
                )
            cursor = self._idle.pop() if self._idle else _cursor(self._instance)
            self._busy.add(cursor)
        try:
            return job(cursor)
        except duckdb.Error as error:
            raise failure_of(error, self.path) from error
        finally:
            with self._gate:
                self._busy.discard(cursor)
                self._idle.append(cursor)
                self._gate.notify_all()

    def _connection(self) -> Connection:
        if self._instance is not None:
            return self._instance
        try:
            instance = attach(self.path, self._clock, memory_mib=self._memory_mib, threads=self._threads)
            try:
                self._opened(instance)
            except BaseException:
                instance.close()
                raise
        except duckdb.Error as error:
            raise failure_of(error, self.path) from error
        with self._gate:
            self._instance = instance
        return instance

    def reopen(self) -> None:
        """After a failed write, in the writer thread. Where the file can not be opened yet, the next call tries."""
        self._release()
        try:
            self._connection()
        except Failed as error:
            log.warning("the time-series store stays closed for now: %s", error.detail)

    def _release(self) -> None:
        with self._gate:
            instance, self._instance = self._instance, None
            for cursor in self._busy:
                cursor.interrupt()
            self._gate.wait_for(lambda: not self._busy)
            for cursor in self._idle:
                cursor.close()
            self._idle.clear()
        if instance is not None:
            instance.close()

    def _refuse_if_closed(self) -> None:
        if self._closed:
            raise Failed("shutting_down", f"the time-series store {self.path} is closed", "start the platform again")

    def _close(self) -> None:
        if self._instance is not None:
            try:
                self.checkpoint(self._instance)
            except duckdb.Error as error:
                log.warning("closed without a checkpoint, the write-ahead log is kept: %s", error)
        self._release()


def transaction(connection: Connection, body: Callable[[Connection], T]) -> T:
    """Run `body` between BEGIN and COMMIT; any exception rolls back."""
    connection.execute("BEGIN")
    try:
        result = body(connection)
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(duckdb.Error):
            connection.execute("ROLLBACK")
        raise
    return result


def _cursor(instance: Connection) -> Connection:
    cursor = instance.cursor()
    cursor.execute("USE store")
    return cursor


def _name_thread(name: str) -> None:
    threading.current_thread().name = name
