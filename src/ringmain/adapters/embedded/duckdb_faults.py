"""What DuckDB's exceptions mean to us. DuckDB tells many faults apart by their text only; those texts stand here
and nowhere else, and the tests provoke each of them for real.
"""

from pathlib import Path

import duckdb

from ringmain.model.errors import Failed

_LOCKED = ("Could not set lock", "Unique file handle conflict")
_FULL = ("No space left on device", "max_temp_directory_size", "not enough disk space", "Disk quota exceeded")


def is_locked(error: duckdb.Error) -> bool:
    """Whether another process (or another owner in this one) has the file."""
    return any(text in str(error) for text in _LOCKED)


def is_full(error: duckdb.Error) -> bool:
    """Whether the disk has no room left."""
    return any(text in str(error) for text in _FULL)


def is_not_the_wal(error: duckdb.Error) -> bool:
    """Whether opening failed for a reason that setting the write-ahead log aside can not mend."""
    return is_locked(error) or is_full(error) or isinstance(error, duckdb.OutOfMemoryException)


def failure_of(error: duckdb.Error, path: Path) -> Failed:
    """The failure that callers see: what happened, what was kept, what to do next."""
    text = str(error).strip().split("\n", 1)[0]
    if is_locked(error):
        return Failed(
            "unavailable",
            f"{path} is open in another process; nothing was changed: {text}",
            "stop the other process, or use another data directory",
        )
    if is_full(error):
        return Failed(
            "storage_full",
            f"no room left for {path}; what was stored before is kept: {text}",
            "free disk space; the store takes up again by itself",
        )
    if isinstance(error, duckdb.OutOfMemoryException):
        return Failed(
            "unavailable",
            f"the query needs more memory than the time-series store may use: {text}",
            "ask for a shorter span, or raise the store's memory limit",
        )
    return Failed(
        "storage_failed",
        f"{path} could not be read or written; what was stored before is kept: {text}",
        "see the log; the same entries can be given again safely",
    )
