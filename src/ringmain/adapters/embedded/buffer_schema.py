"""The buffer's tables, how a connection to them is made, and what SQLite's errors mean for it."""

import sqlite3
from pathlib import Path

from ringmain.adapters.embedded.buffer_room import LOG_BYTES, PAGE_BYTES
from ringmain.model.errors import Failed

SCHEMA = (
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

_SHM_SIZE = 19 << 8 | sqlite3.SQLITE_IOERR
"""SQLITE_IOERR_SHMSIZE: how SQLite says that the disk has no room for the index of its log."""


def connected(path: Path, synchronous: str, journal: str = "wal") -> sqlite3.Connection:
    """A connection of its own, synced at each commit. Freed pages are not overwritten with zeros, as some builds of
    SQLite do: to delete would take as much room in the log as the rows had. With the `journal` "delete" a commit is in
    the file itself when it returns.
    """
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
    connection.execute(f"PRAGMA page_size={PAGE_BYTES}")
    connection.execute("PRAGMA auto_vacuum=INCREMENTAL")
    connection.execute(f"PRAGMA journal_mode={'DELETE' if journal == 'delete' else 'WAL'}")
    connection.execute(f"PRAGMA synchronous={'OFF' if synchronous == 'off' else 'FULL'}")
    connection.execute("PRAGMA secure_delete=OFF")
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("PRAGMA cache_size=-1024")
    connection.execute(f"PRAGMA wal_autocheckpoint={WAL_PAGES_BEFORE_CHECKPOINT}")
    connection.execute(f"PRAGMA journal_size_limit={LOG_BYTES}")
    return connection


def is_full(error: Exception) -> bool:
    """Whether the disk has no room."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code == _SHM_SIZE or code & 0xFF == sqlite3.SQLITE_FULL


UNREADABLE = (sqlite3.Error, UnicodeDecodeError, TypeError)
"""What reading a damaged file may raise: a name in its schema that is no UTF-8, NULL where it can not be."""


def is_damage(error: Exception) -> bool:
    """Whether the file itself is at fault: it is no database, its pages do not fit together, or it lacks what our
    statements name (SQLITE_ERROR).
    """
    if not isinstance(error, sqlite3.Error):
        return isinstance(error, UNREADABLE)
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_ERROR)


def failed(path: Path, error: Exception) -> Failed:
    """The error in our words."""
    if is_full(error):
        return no_room(path)
    return Failed("storage_failed", f"{path}: {error}", "it may or may not be on disk; restart and resend")


def no_room(path: Path) -> Failed:
    """Nothing was taken."""
    return Failed("storage_full", f"no room left for {path}; nothing was taken", "free space on that disk")
