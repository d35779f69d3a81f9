"""The books of the embedded store: what became of every record, as rows that only ever sum up.

Rows are written in the transaction of the readings they speak of, so that `received = stored + duplicate + conflict +
quarantined + rejected + dead_letter` holds by the tables alone after any crash.
"""

from collections.abc import Sequence
from math import nan
from typing import Any

import duckdb
import numpy as np

from ringmain.adapters.embedded.duckdb_file import DuckDbFile
from ringmain.adapters.embedded.timeseries_check import Checked
from ringmain.adapters.embedded.timeseries_columns import Columns
from ringmain.adapters.embedded.timeseries_intake import Int64s
from ringmain.adapters.embedded.timeseries_schema import Names, insert, insert_lists, registered
from ringmain.model.batch import DeadLetter
from ringmain.model.ids import DeviceKey, Offset
from ringmain.ports.outcomes import Conflict, StoredDeadLetter, Tally

Connection = duckdb.DuckDBPyConnection

_KNOWN = """
SELECT DISTINCT c.device, c.channel, c.at_ms, c.received_exact, c.received_measured FROM conflicts c
SEMI JOIN needles n ON c.device = n.device AND c.at_ms = n.at_ms WHERE c.at_ms BETWEEN ? AND ?
"""
_AMONG = "($devices IS NULL OR t.device IN (SELECT unnest($devices::BIGINT[])))"
_TALLY = f"""
SELECT n.name, sum(t.records)::BIGINT FROM tallies t JOIN names n ON n.space = 'outcome' AND n.id = t.outcome
WHERE {_AMONG} GROUP BY n.name HAVING sum(t.records) <> 0 ORDER BY n.name
"""  # noqa: S608 - put together from constants
_CONFLICTS = f"""
SELECT t.id, t.device, n.name, t.at_ms, t.stored_exact, t.stored_measured, t.received_exact, t.received_measured,
    t.received_ms
FROM conflicts t JOIN names n ON n.space = 'channel' AND n.id = t.channel
WHERE {_AMONG} AND t.id > $after ORDER BY t.id LIMIT $limit
"""  # noqa: S608 - put together from constants
_DEAD_LETTERS = f"""
SELECT id, log_offset, device, received_ms, door, topic, payload, reason, detail FROM dead_letters t
WHERE {_AMONG} AND id > $after ORDER BY id LIMIT $limit
"""  # noqa: S608 - put together from constants

RECEIVED = "received"
STORED = "stored"
DUPLICATE = "duplicate"
CONFLICT = "conflict"
QUARANTINED = "quarantined"
REJECTED = "rejected"
DEAD_LETTER = "dead_letter"

_SEPARATOR = "/"


class Books:
    """The counts of one transaction, before they are written."""

    def __init__(self) -> None:
        self._rows: list[tuple[str, Int64s, Int64s]] = []

    def count(self, outcome: str, devices: Int64s, each: int = 1) -> None:
        """Add `each` records for every occurrence of a device."""
        if len(devices):
            keys, counts = np.unique(devices, return_counts=True)
            self._rows.append((outcome, keys, counts * each))

    def add(self, outcome: str, device: int, records: int, reason: str = "") -> None:
        """Add records of one device."""
        name = f"{outcome}{_SEPARATOR}{reason}" if reason else outcome
        self._rows.append((name, np.array([device], np.int64), np.array([records], np.int64)))

    def write(self, connection: Connection, outcomes: Names) -> None:
        """Append the rows."""
        if not self._rows:
            return
        numbers = [np.full(len(keys), outcomes.id_of(connection, name), np.int32) for name, keys, _ in self._rows]
        columns = {
            "device": np.concatenate([keys for _, keys, _ in self._rows]),
            "outcome": np.concatenate(numbers),
            "records": np.concatenate([counts for _, _, counts in self._rows]),
        }
        insert(connection, "tallies", columns)


def write_conflicts(connection: Connection, columns: Columns, checked: Checked, next_id: int) -> int:
    """Write the conflicts among checked readings, each (key, value) once for ever; returns the next free id."""
    rows = np.flatnonzero(checked.conflict)
    fresh: list[int] = []
    seen = _known_conflicts(connection, columns.take(rows))
    for row in rows.tolist():
        key = _conflict_key(columns, row)
        if key not in seen:
            seen.add(key)
            fresh.append(row)
    if not fresh:
        return next_id
    kept = np.array(fresh, np.int64)
    ours, theirs = columns.exact[kept], checked.stored_is_exact[kept]
    insert(
        connection,
        "conflicts",
        {
            "id": np.arange(next_id, next_id + len(kept)),
            "device": columns.device[kept],
            "channel": columns.channel[kept],
            "at_ms": columns.at_ms[kept],
            "stored_exact": np.ma.masked_array(checked.stored_exact[kept], ~theirs),
            "stored_measured": np.ma.masked_array(checked.stored_measured[kept], theirs),
            "received_exact": np.ma.masked_array(columns.exact_value[kept], ~ours),
            "received_measured": np.ma.masked_array(columns.measured_value[kept], ours),
            "received_ms": columns.received_ms[kept],
        },
    )
    return next_id + len(kept)


def write_dead_letters(connection: Connection, letters: Sequence[tuple[Offset, DeadLetter]], next_id: int) -> int:
    """Write dead letters; returns the next free id."""
    if not letters:
        return next_id
    types = ("BIGINT", "BIGINT", "VARCHAR", "VARCHAR", "BLOB", "VARCHAR", "VARCHAR")
    insert_lists(
        connection,
        "dead_letters",
        {
            "id": ("BIGINT", range(next_id, next_id + len(letters))),
            "log_offset": ("BIGINT", [offset for offset, _ in letters]),
            **{
                name: (type_, [getattr(letter, name) for _, letter in letters])
                for name, type_ in zip(DeadLetter.__struct_fields__, types, strict=True)
            },
        },
    )
    return next_id + len(letters)


ConflictKey = tuple[int, int, int, bool, bytes]


def _conflict_key(columns: Columns, row: int) -> ConflictKey:
    exact = bool(columns.exact[row])
    value = columns.exact_value[row] if exact else columns.measured_value[row]
    return int(columns.device[row]), int(columns.channel[row]), int(columns.at_ms[row]), exact, value.tobytes()


def _known_conflicts(connection: Connection, columns: Columns) -> set[ConflictKey]:
    if not len(columns):
        return set()
    with registered(connection, "needles", {"device": columns.device, "at_ms": columns.at_ms}):
        bounds = [int(columns.at_ms.min()), int(columns.at_ms.max())]
        found = connection.execute(_KNOWN, bounds).fetchall()
    return {
        (device, channel, at_ms, exact is not None, np.array(_value(exact, measured)).tobytes())
        for device, channel, at_ms, exact, measured in found
    }


ConflictRow = tuple[int, int, str, int, int | None, float | None, int | None, float | None, int]


class EmbeddedOutcomes:
    """The port `Outcomes`, read beside the writer."""

    def __init__(self, file: DuckDbFile) -> None:
        self._file = file

    async def tally(self, devices: Sequence[DeviceKey] | None) -> Sequence[Tally]:
        """Counts by outcome and reason."""
        return [_tally(*row) for row in await self._rows(_TALLY, devices)]

    async def conflicts(self, devices: Sequence[DeviceKey] | None, *, after: int, limit: int) -> Sequence[Conflict]:
        """Conflicts behind an id."""
        return [_conflict(row) for row in await self._rows(_CONFLICTS, devices, after=after, limit=limit)]

    async def dead_letters(
        self, devices: Sequence[DeviceKey] | None, *, after: int, limit: int
    ) -> Sequence[StoredDeadLetter]:
        """Dead letters behind an id."""
        return [StoredDeadLetter(*row) for row in await self._rows(_DEAD_LETTERS, devices, after=after, limit=limit)]

    async def _rows(self, query: str, devices: Sequence[DeviceKey] | None, **parameters: int) -> list[Any]:
        asked = {"devices": None if devices is None else list(devices), **parameters}
        return await self._file.read(lambda cursor: cursor.execute(query, asked).fetchall())


def _tally(name: str, count: int) -> Tally:
    outcome, _, reason = name.partition(_SEPARATOR)
    return Tally(outcome, reason, count)


def _conflict(row: ConflictRow) -> Conflict:
    id, device, channel, at_ms, stored_exact, stored_measured, received_exact, received_measured, received_ms = row
    stored, received = _value(stored_exact, stored_measured), _value(received_exact, received_measured)
    return Conflict(id, DeviceKey(device), channel, at_ms, stored, received, received_ms)


def _value(exact: int | None, measured: float | None) -> int | float:
    """The one of the two that there is. DuckDB takes a NaN out of numpy for NULL, so that neither is a NaN."""
    if exact is not None:
        return exact
    return nan if measured is None else measured
