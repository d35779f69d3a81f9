"""Windows of the embedded store: settled from the readings, every revision kept.

A window is settled only while it is pending, so that the retry of a settlement whose fate was unknown makes no
revision of its own.
"""

from collections.abc import Callable, Sequence

import duckdb
import numpy as np

from ringmain.adapters.embedded.duckdb_file import DuckDbFile, transaction
from ringmain.adapters.embedded.timeseries_aggregate import Kind, Spans, aggregate_spans, kind_of
from ringmain.adapters.embedded.timeseries_intake import Int64s
from ringmain.adapters.embedded.timeseries_pending import window_columns
from ringmain.adapters.embedded.timeseries_schema import insert_lists, registered
from ringmain.adapters.embedded.timeseries_state import State
from ringmain.model.ids import DeviceKey
from ringmain.model.time import Interval
from ringmain.ports.timeseries import Aggregate
from ringmain.ports.windows import WindowKey, WindowRevision

Connection = duckdb.DuckDBPyConnection

_NEXT_REVISION = """
SELECT k.place, max(w.revision) + 1 FROM needles k
JOIN windows w ON w.device = k.device AND w.channel = k.channel AND w.size = k.size AND w.start_ms = k.start_ms
WHERE w.start_ms BETWEEN ? AND ? GROUP BY k.place
"""

# Integers and doubles are fetched apart: one column for both would turn the integers into doubles.
_REVISIONS = """
SELECT start_ms, end_ms, revision, closed_ms, readings, exact_sum, exact_min, exact_max,
    measured_sum, measured_min, measured_max, mean, median
FROM windows
WHERE device = $device AND channel = $channel AND size = $size AND start_ms >= $start AND start_ms < $end
QUALIFY $all OR row_number() OVER (PARTITION BY start_ms ORDER BY revision DESC) = 1
ORDER BY start_ms, revision
"""

RevisionRow = tuple[int, int, int, int, int, int | None, int | None, int | None, float, float, float, float, float]


class EmbeddedWindows:
    """The port `Windows`: settling in the writer thread, reading beside it."""

    def __init__(self, file: DuckDbFile, state: Callable[[], State]) -> None:
        self._file = file
        self._state = state

    async def pending(self) -> Sequence[WindowKey]:
        """All windows with readings that no revision covers yet; from memory."""
        return self._state().pending.keys()

    async def watermarks(self) -> dict[DeviceKey, int]:
        """The greatest stored event time of each device; from memory."""
        devices, stamps = self._state().latest.watermarks()
        return {DeviceKey(device): at for device, at in zip(devices.tolist(), stamps.tolist(), strict=True)}

    async def settle(self, keys: Sequence[WindowKey], now_ms: int) -> Sequence[WindowRevision]:
        """Compute these windows, write each as its next revision and clear its mark. Keys that are not pending
        are left alone.
        """

        def job(connection: Connection) -> Sequence[WindowRevision]:
            state = self._state()
            due = [key for key in dict.fromkeys(keys) if state.pending.has(key)]
            if not due:
                return []
            revisions = transaction(connection, lambda inside: _settle(inside, state, due, now_ms))
            state.pending.forget(due)
            return revisions

        return await self._file.write(job)

    async def revisions(
        self, device: DeviceKey, channel: str, size: str, span: Interval, *, all_revisions: bool = False
    ) -> Sequence[WindowRevision]:
        """Windows that start in `span`, ascending; the latest revision of each, or all of them."""
        state = self._state()
        channel_id, size_id = state.channels.find(channel), state.sizes.find(size)
        if channel_id is None or size_id is None:
            return []
        asked = {
            "device": device,
            "channel": channel_id,
            "size": size_id,
            "start": span.start,
            "end": span.end,
            "all": all_revisions,
        }
        rows: list[RevisionRow] = await self._file.read(lambda cursor: cursor.execute(_REVISIONS, asked).fetchall())
        return [_revision(device, channel, size, row) for row in rows]


def _settle(connection: Connection, state: State, keys: Sequence[WindowKey], now_ms: int) -> list[WindowRevision]:
    aggregates = _aggregates(connection, state, keys)
    columns = window_columns(connection, keys, state.channels, state.sizes)
    numbers = _next_revisions(connection, columns)
    revisions = [
        WindowRevision(key, numbers.get(place, 0), aggregates[place], now_ms) for place, key in enumerate(keys)
    ]
    _write(connection, columns, revisions)
    state.pending.write_settled(connection, keys)
    return revisions


def _aggregates(connection: Connection, state: State, keys: Sequence[WindowKey]) -> dict[int, Aggregate]:
    columns = window_columns(connection, keys, state.channels, state.sizes)
    slots = state.latest.slots(columns["device"])
    # Windows of one size do not overlap; those of different sizes do, and are summed in statements of their own.
    parts: dict[tuple[Kind, int], list[int]] = {}
    for place, (slot, channel, size) in enumerate(
        zip(slots.tolist(), columns["channel"].tolist(), columns["size"].tolist(), strict=True)
    ):
        exact, measured = state.latest.kinds(slot, channel)
        kind = kind_of(exact=exact, measured=measured)
        assert kind is not None, "a window is pending only where a reading was stored"
        parts.setdefault((kind, size), []).append(place)
    found: dict[int, Aggregate] = {}
    for (kind, _), places in parts.items():
        rows = np.array(places, np.int64)
        spans = Spans(*(columns[name][rows] for name in Spans.__struct_fields__))
        for row, aggregate in aggregate_spans(connection, kind, spans).items():
            found[places[row]] = aggregate
    return found


def _next_revisions(connection: Connection, columns: dict[str, Int64s]) -> dict[int, int]:
    starts = columns["start_ms"]
    with registered(connection, "needles", {**columns, "place": np.arange(len(starts))}):
        rows = connection.execute(_NEXT_REVISION, [int(starts.min()), int(starts.max())]).fetchall()
    return dict(rows)


def _write(connection: Connection, columns: dict[str, Int64s], revisions: Sequence[WindowRevision]) -> None:
    rows = [(each, each.aggregate, isinstance(each.aggregate.sum, int)) for each in revisions]
    insert_lists(
        connection,
        "windows",
        {
            **{name: ("BIGINT", column.tolist()) for name, column in columns.items()},
            "revision": ("INTEGER", [each.revision for each, _, _ in rows]),
            "readings": ("BIGINT", [found.count for _, found, _ in rows]),
            "exact_sum": ("HUGEINT", [found.sum if exact else None for _, found, exact in rows]),
            "exact_min": ("BIGINT", [found.min if exact else None for _, found, exact in rows]),
            "exact_max": ("BIGINT", [found.max if exact else None for _, found, exact in rows]),
            "measured_sum": ("DOUBLE", [None if exact else found.sum for _, found, exact in rows]),
            "measured_min": ("DOUBLE", [None if exact else found.min for _, found, exact in rows]),
            "measured_max": ("DOUBLE", [None if exact else found.max for _, found, exact in rows]),
            "mean": ("DOUBLE", [found.mean for _, found, _ in rows]),
            "median": ("DOUBLE", [found.median for _, found, _ in rows]),
            "closed_ms": ("BIGINT", [each.closed_ms for each, _, _ in rows]),
        },
    )


def _revision(device: DeviceKey, channel: str, size: str, row: RevisionRow) -> WindowRevision:
    start, end, revision, closed_ms, readings, exact_sum, exact_min, exact_max, *measured, mean, median = row
    total: int | float
    least: int | float
    most: int | float
    if exact_sum is None or exact_min is None or exact_max is None:
        total, least, most = measured
    else:
        total, least, most = exact_sum, exact_min, exact_max
    key = WindowKey(device, channel, size, start, end)
    return WindowRevision(key, revision, Aggregate(start, end, readings, total, least, most, mean, median), closed_ms)
