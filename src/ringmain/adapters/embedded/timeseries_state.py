"""What the writer keeps in memory, read from the file at every opening and never ahead of what is committed there
except within a transaction; a transaction that fails throws the whole state away.
"""

import duckdb
import numpy as np

from ringmain.adapters.embedded.duckdb_file import transaction
from ringmain.adapters.embedded.timeseries_intake import Bools, Int64s
from ringmain.adapters.embedded.timeseries_latest import Latest, Newer
from ringmain.adapters.embedded.timeseries_pending import Pending
from ringmain.adapters.embedded.timeseries_schema import COMPACTIONS, Names, Space, insert
from ringmain.model.ids import Offset
from ringmain.ports.windows import WindowPlan

Connection = duckdb.DuckDBPyConnection

READING_TABLES = ((True, "readings_exact"), (False, "readings_measured"))


class State:
    """Offset, names, newest readings, pending windows and the next ids."""

    def __init__(self, connection: Connection, plan: WindowPlan) -> None:
        self.offset = Offset(_number(connection, "SELECT max(log_offset) FROM offsets"))
        self.next_conflict = 1 + _number(connection, "SELECT max(id) FROM conflicts")
        self.next_dead_letter = 1 + _number(connection, "SELECT max(id) FROM dead_letters")
        self.channels = Names(connection, Space.CHANNEL)
        self.sizes = Names(connection, Space.SIZE)
        self.outcomes = Names(connection, Space.OUTCOME)
        self.pending = Pending(connection, plan, self.channels, self.sizes)
        self.latest = Latest()
        _read_latest(connection, self.latest)


def compact(connection: Connection, state: State) -> None:
    """Before a checkpoint: write the newest readings down, and sum up what only ever sums up."""
    transaction(connection, lambda inside: _compact(inside, state))


def _compact(connection: Connection, state: State) -> None:
    for table, rows in COMPACTIONS:
        connection.execute(f"CREATE TEMP TABLE compacted AS {rows}")
        connection.execute(f"DELETE FROM {table}")  # noqa: S608 - own names
        connection.execute(f"INSERT INTO {table} BY NAME SELECT * FROM compacted")  # noqa: S608 - own names
        connection.execute("DROP TABLE compacted")
    _write_latest(connection, state.latest)


def _write_latest(connection: Connection, latest: Latest) -> None:
    connection.execute("DELETE FROM latest")
    connection.execute("DELETE FROM latest_through")
    through = []
    for _, table in READING_TABLES:
        rows, last = connection.execute(f"SELECT count(*), max(rowid) FROM {table}").fetchall()[0]  # noqa: S608
        if rows and last != rows - 1:
            # Row numbers with gaps could shift at the checkpoint; then the next start reads all rows.
            return
        through.append(rows)
    for channel, exact, devices, newest in latest.rows():
        insert(
            connection,
            "latest",
            {
                "device": devices,
                "channel": np.full(len(devices), channel, np.int32),
                "at_ms": newest.at,
                "exact" if exact else "measured": newest.values,
                "arrival": newest.arrival,
            },
        )
    connection.execute("INSERT INTO latest_through VALUES (?, ?)", through)


def _read_latest(connection: Connection, latest: Latest) -> None:
    through = connection.execute("SELECT exact, measured FROM latest_through").fetchall() or [(0, 0)]
    for (exact, table), rows in zip(READING_TABLES, through[0], strict=True):
        value = "exact" if exact else "measured"
        found = connection.execute(
            f"SELECT device, channel, at_ms, {value} AS value, arrival FROM latest WHERE {value} IS NOT NULL"  # noqa: S608
            " UNION ALL SELECT device, channel, max(at_ms), arg_max(value, at_ms), arg_max(arrival, at_ms)"
            f" FROM {table} WHERE rowid >= ? GROUP BY device, channel",
            [rows],
        ).fetchnumpy()
        slots: Int64s = latest.slots(np.asarray(found["device"], np.int64))
        channels: Int64s = np.asarray(found["channel"], np.int64)
        arrival: Bools = np.asarray(found["arrival"], np.bool_)
        for channel in np.unique(channels).tolist():
            rows_of = channels == channel
            stamps = np.asarray(found["at_ms"], np.int64)[rows_of]
            values = np.asarray(found["value"])[rows_of].reshape(-1, 1)
            latest.apply(Newer((channel,), exact, slots[rows_of], stamps, values, arrival[rows_of]))


def _number(connection: Connection, query: str) -> int:
    value = connection.execute(query).fetchall()[0][0]
    return 0 if value is None else int(value)
