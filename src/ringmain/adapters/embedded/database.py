"""The registry database: one SQLite file, one thread called `registry`, one transaction per call.

Everything small and relational shares it: directory, devices, credentials, presence, ledger. WAL with
synchronous=FULL, so that what `run` returned from is on disk. After an error that puts the file itself in doubt
it takes nothing more (a failed sync is never tried again): whoever composed it reads `fault` and starts anew.
"""

import asyncio
import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from ringmain.adapters.embedded.database_migrate import bring_to_head
from ringmain.model.errors import Failed

T = TypeVar("T")

BUSY_TIMEOUT_MS = 5_000
"""The file has one owner; only a backup or a curious shell can hold it, and those are done within seconds."""

IN_CLAUSE_MAX = 10_000
"""Values of one IN clause; SQLite takes 32,766 parameters (its default since 3.32), PostgreSQL 65,535."""

_IN_DOUBT = {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


class Database:
    """Runs functions over a connection, each in a transaction of its own, one after another."""

    def __init__(self, path: Path, executor: ThreadPoolExecutor) -> None:
        self._path = path
        self._executor = executor
        self._connection: Connection | None = None
        self._closed = False
        self.fault: Failed | None = None
        """What put the file in doubt; from then on every call raises it."""

    @classmethod
    async def open(cls, path: Path) -> "Database":
        """Open or create the file and bring it to this version's schema."""
        self = cls(path, ThreadPoolExecutor(1, thread_name_prefix="registry"))
        try:
            await asyncio.get_running_loop().run_in_executor(self._executor, self._open)
        except BaseException:
            await self.close()
            raise
        return self

    async def close(self) -> None:
        """Finish what was handed in and release the file. Once more is harmless."""
        if not self._closed:
            self._closed = True
            await asyncio.get_running_loop().run_in_executor(self._executor, self._close)
            self._executor.shutdown()

    async def run(self, work: Callable[[Connection], T], committed: Callable[[T], None] | None = None) -> T:
        """Call `work` in a transaction in the registry's thread. `committed` is called there too, with the result,
        after the commit and before anything else runs: the place where caches are brought up to date.
        """
        if self._closed:
            raise Failed("shutting_down", "The registry is closed. Nothing was taken.", "Start the platform again.")
        return await asyncio.get_running_loop().run_in_executor(self._executor, self._run, work, committed)

    def _run(self, work: Callable[[Connection], T], committed: Callable[[T], None] | None) -> T:
        if self.fault is not None:
            raise self.fault
        assert self._connection is not None, "`open` made it, and `close` takes nothing after itself"
        try:
            with self._connection.begin():
                result = work(self._connection)
        except DBAPIError as error:
            raise self._failed(error) from error
        if committed is not None:
            committed(result)
        return result

    def _open(self) -> None:
        engine = create_engine(
            URL.create("sqlite", database=str(self._path)),
            poolclass=StaticPool,
            connect_args={"timeout": BUSY_TIMEOUT_MS / 1000},
        )
        event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", _begin)
        try:
            # Digests of tokens are in it: nobody else's business.
            os.close(os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600))
            self._connection = engine.connect()
            with self._connection.begin():
                bring_to_head(self._connection)
        except (DBAPIError, sqlite3.Error, OSError) as error:
            raise self._failed(error) from error

    def _close(self) -> None:
        if self._connection is not None:
            engine = self._connection.engine
            self._connection.close()
            engine.dispose()
            self._connection = None

    def _failed(self, error: DBAPIError | sqlite3.Error | OSError) -> Failed:
        cause = error.orig if isinstance(error, DBAPIError) else error
        code = getattr(cause, "sqlite_errorcode", 0) & 0xFF  # the primary code (sqlite.org/rescode.html)
        where = f"registry ({self._path.name}): {cause}"
        if code == sqlite3.SQLITE_FULL:
            return Failed("storage_full", f"No room left for the {where}. Nothing was taken.", "Free disk space.")
        if code in _IN_DOUBT:
            self.fault = Failed(
                "storage_failed",
                f"Cannot trust the {where}. Nothing more is written to it.",
                "Check the disk and start again; if the file is damaged, restore it from a backup.",
            )
            return self.fault
        if code in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}:
            hint = "Another program holds the file: stop it, and copy the file only with SQLite's own backup."
            return Failed("storage_failed", f"Waited in vain for the {where}. Nothing was taken.", hint)
        return Failed(
            "storage_failed", f"Could not use the {where}. Nothing was taken.", "Check the disk and its permissions."
        )


def remember(cache: dict[Any, T], key: Any, value: T, most: int) -> None:
    """Keep `value` in a cache of at most `most`; the oldest leaves. Only ever called in the registry's thread: the
    event loop just reads, and one `dict.get` needs no lock.
    """
    if key not in cache and len(cache) >= most:
        del cache[next(iter(cache))]
    cache[key] = value


def _configure(connection: sqlite3.Connection, _record: object) -> None:
    connection.isolation_level = None  # transactions begin where `_begin` says so, not where the driver guesses
    for pragma in (
        "journal_mode = WAL",
        "synchronous = FULL",
        "foreign_keys = ON",
        f"busy_timeout = {BUSY_TIMEOUT_MS}",
        "trusted_schema = OFF",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql("BEGIN")
