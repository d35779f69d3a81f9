"""Opening a DuckDB file: its settings, and what happens to a write-ahead log (WAL) that can not be replayed.

Such a WAL is set aside, never deleted; the file then stands at its last checkpoint, and whoever owns it replays what
came later from the ingest log.
"""

import logging
from pathlib import Path

import duckdb

from ringmain.adapters.embedded.duckdb_faults import is_not_the_wal
from ringmain.model.time import Instant, utc
from ringmain.ports.clock import Clock

Connection = duckdb.DuckDBPyConnection

log = logging.getLogger(__name__)

STORAGE_VERSION = "v1.4.0"
"""The format of the oldest DuckDB that is supported, so that a downgrade stays possible."""


def wal_of(path: Path) -> Path:
    """The write-ahead log beside a file; there is none after a checkpoint."""
    return path.with_name(path.name + ".wal")


def attach(path: Path, clock: Clock, *, memory_mib: int, threads: int) -> Connection:
    """An instance with the file attached as `store`; duckdb.Error where that can not be."""
    path.parent.mkdir(parents=True, exist_ok=True)
    wal = wal_of(path)
    try:
        return _attach(path, memory_mib, threads)
    except duckdb.Error as error:
        if is_not_the_wal(error) or not wal.exists() or not wal.stat().st_size:
            raise
        moment = utc(Instant(clock.now_ms())).strftime("%Y%m%dT%H%M%S.%fZ")
        aside = wal.with_name(f"{wal.name}.unreadable-{moment}")
        wal.rename(aside)
        try:
            connection = _attach(path, memory_mib, threads)
        except duckdb.Error:
            aside.rename(wal)
            raise
        log.error(
            "the write-ahead log of %s could not be replayed (%s); it is kept as %s, the store stands at its last "
            "checkpoint and the ingest log replays what came later",
            path,
            error,
            aside.name,
        )
        return connection


def _attach(path: Path, memory_mib: int, threads: int) -> Connection:
    connection = duckdb.connect(
        ":memory:",
        config={
            "threads": str(threads),
            "memory_limit": f"{memory_mib}MiB",
            "temp_directory": str(path.parent / "timeseries-temp"),
            "autoinstall_known_extensions": "false",
            "autoload_known_extensions": "false",
            # A checkpoint is a decision of the owner: the log may be cut up to the offset that it holds.
            "wal_autocheckpoint": "1TB",
        },
    )
    try:
        quoted = str(path).replace("'", "''")
        connection.execute(f"ATTACH '{quoted}' AS store (STORAGE_VERSION '{STORAGE_VERSION}')")
        connection.execute("USE store")
        connection.execute("SET enable_external_access=false")
    except BaseException:
        connection.close()
        raise
    return connection
