"""The tables of the embedded time-series store, and the names behind their numbers.

No index and no primary key: DuckDB's write-ahead log replays badly with them, and they cost eight times the append
rate. Every table is append-only between checkpoints; what would be an update is a row that sums up with the
earlier ones (`tallies`, `windows_pending`, `offsets`), compacted at the checkpoint. ADR 0003 gives the reasons.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

import duckdb
import numpy as np
from numpy.typing import NDArray

from ringmain.model.errors import Failed

Connection = duckdb.DuckDBPyConnection

SCHEMA_VERSION = 1

SCHEMA = """
CREATE TABLE schema_version (version INTEGER);

-- A channel, a window size and an outcome (`stored`, `rejected/device_suspended`) each have a number.
CREATE TABLE names (space VARCHAR, id INTEGER, name VARCHAR);

CREATE TABLE readings_exact (device BIGINT, channel INTEGER, at_ms BIGINT, value BIGINT, arrival BOOLEAN);
CREATE TABLE readings_measured (device BIGINT, channel INTEGER, at_ms BIGINT, value DOUBLE, arrival BOOLEAN);

-- The newest reading of each series, as of the row numbers in `latest_through`: written at a checkpoint, so that
-- a start reads only the rows behind it.
CREATE TABLE latest (device BIGINT, channel INTEGER, at_ms BIGINT, exact BIGINT, measured DOUBLE, arrival BOOLEAN);
CREATE TABLE latest_through (exact BIGINT, measured BIGINT);

CREATE TABLE offsets (log_offset BIGINT);
CREATE TABLE tallies (device BIGINT, outcome INTEGER, records BIGINT);
CREATE TABLE conflicts (
    id BIGINT, device BIGINT, channel INTEGER, at_ms BIGINT, stored_exact BIGINT, stored_measured DOUBLE,
    received_exact BIGINT, received_measured DOUBLE, received_ms BIGINT
);
CREATE TABLE dead_letters (
    id BIGINT, log_offset BIGINT, device BIGINT, received_ms BIGINT, door VARCHAR, topic VARCHAR, payload BLOB,
    reason VARCHAR, detail VARCHAR
);
CREATE TABLE quarantine (
    device BIGINT, channel INTEGER, at_ms BIGINT, exact BIGINT, measured DOUBLE, arrival BOOLEAN, received_ms BIGINT
);

-- mark: +1 got a reading that no revision covers, -1 was settled; pending where the sum is above 0.
CREATE TABLE windows_pending (
    device BIGINT, channel INTEGER, size INTEGER, start_ms BIGINT, end_ms BIGINT, mark INTEGER
);
CREATE TABLE windows (
    device BIGINT, channel INTEGER, size INTEGER, start_ms BIGINT, end_ms BIGINT, revision INTEGER, readings BIGINT,
    exact_sum HUGEINT, exact_min BIGINT, exact_max BIGINT,
    measured_sum DOUBLE, measured_min DOUBLE, measured_max DOUBLE,
    mean DOUBLE, median DOUBLE, closed_ms BIGINT
);
"""

PENDING = """
SELECT device, channel, size, start_ms, end_ms, 1 AS mark FROM windows_pending
GROUP BY device, channel, size, start_ms, end_ms HAVING sum(mark) > 0
"""

COMPACTIONS = (
    ("offsets", "SELECT max(log_offset) AS log_offset FROM offsets HAVING count(*) > 0"),
    (
        "tallies",
        "SELECT device, outcome, sum(records)::BIGINT AS records FROM tallies GROUP BY ALL HAVING sum(records) <> 0",
    ),
    ("windows_pending", PENDING),
)
"""Per table the rows that say the same as all its rows; rewritten at a checkpoint, so that no cost grows with time."""


class Space(StrEnum):
    """What a name is a name of."""

    CHANNEL = "channel"
    SIZE = "size"
    OUTCOME = "outcome"


def prepare(connection: Connection) -> None:
    """Make the tables of a new file, or check that this version can read the ones that are there."""
    found = connection.execute(
        "SELECT count(*) FROM duckdb_tables() WHERE database_name = 'store' AND table_name = 'schema_version'"
    ).fetchall()
    if found[0][0]:
        rows = connection.execute("SELECT max(version) FROM schema_version").fetchall()
        if rows[0][0] != SCHEMA_VERSION:
            raise Failed(
                "storage_failed",
                f"the time-series store has schema {rows[0][0]}, this version of ringmain reads {SCHEMA_VERSION};"
                " nothing was changed",
                "start the version of ringmain that wrote it",
            )
        return
    connection.execute(f"BEGIN; {SCHEMA}; INSERT INTO schema_version VALUES ({SCHEMA_VERSION}); COMMIT")  # noqa: S608
    # DDL in a write-ahead log is what DuckDB replays worst: it never stays there.
    connection.execute("CHECKPOINT store")


@contextlib.contextmanager
def registered(connection: Connection, name: str, columns: Mapping[str, NDArray[np.generic]]) -> Iterator[None]:
    """Numpy columns as a table that statements can read, without copying them."""
    connection.register(name, columns)
    try:
        yield
    finally:
        # In a transaction that failed even this is refused; its exception says more than this one would.
        with contextlib.suppress(duckdb.Error):
            connection.unregister(name)


FEW = 64
"""Rows up to which plain lists are cheaper than a registered table, which takes about a millisecond to set up."""

_SQL = {"l": "BIGINT", "q": "BIGINT", "i": "INTEGER", "d": "DOUBLE", "?": "BOOLEAN"}


_AS_TEXT = ("DOUBLE", "HUGEINT")
"""DuckDB 1.4 takes a NaN in a list for NULL, and rounds integers beyond 64 bits: these travel as text, which is exact
for both.
"""


def insert(connection: Connection, table: str, columns: Mapping[str, NDArray[np.generic]]) -> None:
    """Append rows from numpy columns, named as the table's: one statement whatever their number. A masked value
    becomes NULL; so would a NaN, which is what the `coalesce` is for.
    """
    if len(next(iter(columns.values()))) <= FEW:
        # Lists cost nothing to bind, but every value of theirs is converted.
        insert_lists(
            connection, table, {name: (_SQL[each.dtype.char], each.tolist()) for name, each in columns.items()}
        )
        return
    names = ", ".join(columns)
    values = ", ".join(_scan(name, column) for name, column in columns.items())
    with registered(connection, "incoming", columns):
        connection.execute(f"INSERT INTO {table} ({names}) SELECT {values} FROM incoming")  # noqa: S608 - own names


def _scan(name: str, column: NDArray[np.generic]) -> str:
    if column.dtype.kind == "f" and not isinstance(column, np.ma.MaskedArray):
        return f"coalesce({name}, 'nan'::DOUBLE)"
    return name


def insert_lists(connection: Connection, table: str, columns: dict[str, tuple[str, Sequence[object]]]) -> None:
    """Append rows from plain lists, named as the table's and each with its SQL type: for text, bytes, NULLs and
    integers wider than 64 bits. `executemany` would take a millisecond a row.
    """
    names = ", ".join(columns)
    lists = ", ".join(
        f"unnest(${place}::VARCHAR[])::{kind}" if kind in _AS_TEXT else f"unnest(${place}::{kind}[])"
        for place, (kind, _) in enumerate(columns.values(), 1)
    )
    connection.execute(
        f"INSERT INTO {table} ({names}) SELECT {lists}",
        [
            [None if each is None else repr(each) for each in values] if kind in _AS_TEXT else list(values)
            for kind, values in columns.values()
        ],
    )


class Names:
    """Numbers for the names of one space, given out in order and written in the transaction that first uses them."""

    def __init__(self, connection: Connection, space: Space) -> None:
        self._space = space
        rows = connection.execute("SELECT id, name FROM names WHERE space = ? ORDER BY id", [str(space)]).fetchall()
        self._ids: dict[str, int] = {name: id for id, name in rows}
        self._names: list[str] = [name for _, name in rows]

    def id_of(self, connection: Connection, name: str) -> int:
        """The number of `name`; a new one is written to the running transaction."""
        known = self._ids.get(name)
        if known is not None:
            return known
        number = len(self._names)
        connection.execute("INSERT INTO names VALUES (?, ?, ?)", [str(self._space), number, name])
        self._names.append(name)
        self._ids[name] = number
        return number

    def find(self, name: str) -> int | None:
        """The number of `name` if it was ever used."""
        return self._ids.get(name)

    def name(self, number: int) -> str:
        """The name of a number that this dictionary gave out."""
        return self._names[number]
