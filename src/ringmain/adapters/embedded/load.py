"""The embedded home of `ports.load`: sums in DuckDB's own engine, beside the writer.

It must never hold more than one statement's readings in memory, and never bring a reading into Python.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import duckdb
import numpy as np

from ringmain.adapters.embedded.duckdb_file import DuckDbFile
from ringmain.adapters.embedded.timeseries_aggregate import ROWS_MAX
from ringmain.adapters.embedded.timeseries_intake import Int64s
from ringmain.adapters.embedded.timeseries_schema import registered
from ringmain.adapters.embedded.timeseries_state import State
from ringmain.model.ids import DeviceKey
from ringmain.model.time import Instant, Interval
from ringmain.ports.load import Grid, Share, Sums

Connection = duckdb.DuckDBPyConnection

_READINGS = """
readings_exact r JOIN shares s ON s.device = r.device AND s.channel = r.channel
    AND r.at_ms >= s.start_ms AND r.at_ms < s.end_ms
WHERE r.at_ms >= $start AND r.at_ms < $end AND r.device BETWEEN $least AND $greatest
"""
_COUNT = f"SELECT count(*) FROM {_READINGS}"  # noqa: S608 - own names
_SUMS = f"""
SELECT (r.at_ms - $start) // $slot AS slot,
    sum(r.value::HUGEINT * s.factor) FILTER (r.value BETWEEN 0 AND s.most),
    count(DISTINCT s.home) FILTER (r.value BETWEEN 0 AND s.most),
    count(*) FILTER (r.value NOT BETWEEN 0 AND s.most)
FROM {_READINGS} GROUP BY slot
"""  # noqa: S608 - own names
_EXTENTS = """
SELECT device, channel, min(at_ms), max(at_ms) FROM (
    SELECT device, channel, at_ms FROM readings_exact UNION ALL SELECT device, channel, at_ms FROM readings_measured
) WHERE device BETWEEN $least AND $greatest GROUP BY device, channel
"""
_REVISED = """
SELECT w.start_ms, count(DISTINCT s.home) FROM windows w
JOIN shares s ON s.device = w.device AND s.channel = w.channel AND w.start_ms < s.end_ms AND w.end_ms > s.start_ms
WHERE w.size = $size AND w.revision > 0 AND w.start_ms >= $start AND w.start_ms < $end
GROUP BY w.start_ms ORDER BY w.start_ms
"""


class EmbeddedLoad:
    """The port `Load` over the file of the time-series store."""

    def __init__(self, file: DuckDbFile, state: Callable[[], State]) -> None:
        self._file = file
        self._state = state

    async def extents(self, series: Sequence[tuple[DeviceKey, str]]) -> Mapping[tuple[DeviceKey, str], Interval]:
        """From the first to right behind the last stamp of each series; see the port."""
        state = self._state()
        numbers = {channel: state.channels.find(channel) for _, channel in series}
        asked = {(device, numbers[channel]): (device, channel) for device, channel in series}
        if not asked:
            return {}
        devices = [device for device, _ in asked]
        bound = {"least": min(devices), "greatest": max(devices)}
        rows = await self._file.read(lambda cursor: cursor.execute(_EXTENTS, bound).fetchall())
        return {
            asked[device, channel]: Interval(Instant(first), Instant(last + 1))
            for device, channel, first, last in rows
            if (device, channel) in asked
        }

    async def sums(self, shares: Sequence[Share], grid: Grid) -> Sums:
        """Sums over the grid; see the port."""
        state = self._state()
        unsummed = tuple(place for place, share in enumerate(shares) if _measured(state, share))
        left_out = set(unsummed)
        columns = _columns(state, [share for place, share in enumerate(shares) if place not in left_out])
        if not len(columns["home"]):
            return Sums([0] * grid.count, [0] * grid.count, 0, unsummed)
        totals, homes, refused = await self._file.read(lambda cursor: _sums(cursor, columns, grid))
        return Sums(totals, homes, refused, unsummed)

    async def revised(self, shares: Sequence[Share], size: str, span: Interval) -> Mapping[int, int]:
        """Windows that late data revised; see the port."""
        state = self._state()
        columns = _columns(state, shares)
        asked = {"size": state.sizes.find(size), "start": span.start, "end": span.end}
        if asked["size"] is None or not len(columns["home"]):
            return {}

        def job(cursor: Connection) -> list[tuple[int, int]]:
            with registered(cursor, "shares", columns):
                return cursor.execute(_REVISED, asked).fetchall()

        return dict(await self._file.read(job))


def _measured(state: State, share: Share) -> bool:
    channel, slot = state.channels.find(share.channel), state.latest.find(share.device)
    return channel is not None and slot is not None and state.latest.kinds(slot, channel)[1]


def _columns(state: State, shares: Sequence[Share]) -> dict[str, Int64s]:
    """Shares as columns; those of a channel that nobody ever used have no number, and nothing to add."""
    numbered = [(share, state.channels.find(share.channel)) for share in shares]
    known = [(share, number) for share, number in numbered if number is not None]
    return {
        "home": np.array([share.home for share, _ in known], np.int64),
        "device": np.array([share.device for share, _ in known], np.int64),
        "channel": np.array([number for _, number in known], np.int64),
        "start_ms": np.array([share.span.start for share, _ in known], np.int64),
        "end_ms": np.array([share.span.end for share, _ in known], np.int64),
        "factor": np.array([share.factor for share, _ in known], np.int64),
        "most": np.array([share.most for share, _ in known], np.int64),
    }


def _sums(connection: Connection, columns: dict[str, Int64s], grid: Grid) -> tuple[list[int], list[int], int]:
    totals, homes, refused = [0] * grid.count, [0] * grid.count, 0
    device = {"least": int(columns["device"].min()), "greatest": int(columns["device"].max())}
    with registered(connection, "shares", columns):
        for first, behind in _statements(connection, grid, device):
            start, end = grid.start + first * grid.slot_ms, grid.start + behind * grid.slot_ms
            asked = {**device, "start": start, "end": end, "slot": grid.slot_ms}
            for slot, total, count, outside in connection.execute(_SUMS, asked).fetchall():
                totals[first + slot], homes[first + slot] = total or 0, count
                refused += outside
    return totals, homes, refused


def _statements(connection: Connection, grid: Grid, device: dict[str, int]) -> Iterator[tuple[int, int]]:
    """Cut the grid into stretches of slots that hold about ROWS_MAX readings at most."""
    asked = {**device, "start": grid.span.start, "end": grid.span.end}
    readings = connection.execute(_COUNT, asked).fetchall()[0][0]
    parts = min(-(-readings // ROWS_MAX), grid.count)
    for part in range(parts):
        yield grid.count * part // parts, grid.count * (part + 1) // parts
