"""The embedded home of `ports.timeseries`, `outcomes` and `windows`: one DuckDB file, one writer thread.

It must never store a reading twice, never lose one whose offset it reports, and never let a reader wait for the
writer. How it keeps that (durability contract, clauses 2, 5 and 6) is told in ADR 0003.
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import duckdb
import numpy as np

from ringmain.adapters.embedded.duckdb_faults import failure_of
from ringmain.adapters.embedded.duckdb_file import DuckDbFile, transaction
from ringmain.adapters.embedded.load import EmbeddedLoad
from ringmain.adapters.embedded.timeseries_aggregate import Spans, aggregate_spans, kind_of
from ringmain.adapters.embedded.timeseries_append import Writing
from ringmain.adapters.embedded.timeseries_intake import take_in
from ringmain.adapters.embedded.timeseries_outcomes import EmbeddedOutcomes
from ringmain.adapters.embedded.timeseries_schema import prepare
from ringmain.adapters.embedded.timeseries_state import State, compact
from ringmain.adapters.embedded.timeseries_windows import EmbeddedWindows
from ringmain.model.errors import Failed
from ringmain.model.ids import DeviceKey, Offset
from ringmain.model.time import Interval
from ringmain.ports.clock import Clock
from ringmain.ports.queue import Entry
from ringmain.ports.timeseries import Aggregate, Appended, Reading
from ringmain.ports.windows import WindowPlan

Connection = duckdb.DuckDBPyConnection

# A union keeps integers integers: one plain column for both kinds would turn them into doubles.
_READINGS = """
SELECT r.at_ms, n.name, r.value, r.arrival FROM (
    SELECT channel, at_ms, union_value(exact := value)::UNION(exact BIGINT, measured DOUBLE) AS value, arrival
    FROM readings_exact WHERE device = $device AND at_ms >= $start AND at_ms < $end
    UNION ALL
    SELECT channel, at_ms, union_value(measured := value)::UNION(exact BIGINT, measured DOUBLE) AS value, arrival
    FROM readings_measured WHERE device = $device AND at_ms >= $start AND at_ms < $end
) r JOIN names n ON n.space = 'channel' AND n.id = r.channel
WHERE ($channel IS NULL OR n.name = $channel) AND (r.at_ms, n.name) > ($after, $name)
ORDER BY r.at_ms, n.name LIMIT $limit
"""

_QUARANTINED = "SELECT DISTINCT device FROM quarantine ORDER BY device"

log = logging.getLogger(__name__)

FILE_NAME = "timeseries.duckdb"

WAL_BYTES_MAX = 16 * 1024 * 1024
"""The store checkpoints by itself at this size of its write-ahead log: about 600,000 readings, which take some 100 ms
to fold in and, after a crash, about as long to replay. Until then they lie in memory uncompressed: this size is what
the process's memory swings by."""


class EmbeddedTimeSeries:
    """The port `TimeSeries`; `outcomes`, `windows` and `load` are the other ports over the same file. Nothing is opened
    before `open`.
    """

    def __init__(self, path: Path, plan: WindowPlan, clock: Clock, *, memory_mib: int, threads: int) -> None:
        self._plan = plan
        self._clock = clock
        self._state: State | None = None
        self._checkpointed = Offset(0)
        self._file = DuckDbFile(path, clock, self._opened, memory_mib=memory_mib, threads=threads)
        self.outcomes = EmbeddedOutcomes(self._file)
        self.windows = EmbeddedWindows(self._file, self._memory)
        self.load = EmbeddedLoad(self._file, self._memory)

    async def open(self) -> None:
        """Open the file, or make it."""
        await self._file.open()

    async def close(self) -> None:
        """Checkpoint and let go of the file."""
        await self._file.close()

    async def append(self, entries: Sequence[Entry]) -> Appended:
        """Store entries in one transaction; see the port. An append that raises is indeterminate: give the same
        entries again, they are skipped or deduplicated.
        """

        def job(connection: Connection) -> Appended:
            state = self._memory()
            behind = [entry for entry in entries if entry.offset > state.offset]
            if not behind:
                return Appended(state.offset, 0, 0, 0, 0, 0, 0, 0)
            intake = take_in(behind, self._clock.now_ms())
            writing = Writing(connection, state)
            appended = transaction(connection, lambda _: writing.append(intake))
            writing.finish()
            state.offset = intake.offset
            self._checkpoint_when_due(connection, state)
            return appended

        return await self._file.write(job)

    async def offset(self) -> Offset:
        """The log offset up to which everything has been stored; from memory."""
        return self._memory().offset

    async def checkpoint(self) -> Offset:
        """Fold the write-ahead log into the file; the offset that lies in the file, which is the earlier one where
        running queries put the checkpoint off.
        """
        return await self._file.write(lambda connection: self._checkpoint(connection, self._memory()))

    async def readings(
        self, device: DeviceKey, channel: str | None, span: Interval, *, after: tuple[int, str] | None, limit: int
    ) -> Sequence[Reading]:
        """Readings of a device in a span, in order, behind `after`; see the port."""
        start, name = after or (span.start, "")
        parameters: dict[str, object] = {
            "device": device,
            "channel": channel,
            "start": max(start, span.start),
            "end": span.end,
            "after": start,
            "name": name,
            "limit": limit,
        }

        def job(cursor: Connection) -> list[tuple[int, str, int | float, bool]]:
            return cursor.execute(_READINGS, parameters).fetchall()

        rows = await self._file.read(job)
        return [Reading(device, name, at_ms, value, arrival) for at_ms, name, value, arrival in rows]

    async def latest(self, device: DeviceKey) -> Sequence[Reading]:
        """The newest reading of each channel, in order of the channels' names; from memory."""
        state = self._memory()
        newest: dict[str, Reading] = {}
        for each in state.latest.of(device):
            name = state.channels.name(each.channel)
            if name not in newest or newest[name].at_ms < each.at_ms:
                newest[name] = Reading(device, name, each.at_ms, each.value, each.arrival)
        return [newest[name] for name in sorted(newest)]

    async def aggregate(self, device: DeviceKey, channel: str, spans: Sequence[Interval]) -> Sequence[Aggregate]:
        """Statistics of each span that holds a reading; see the port."""
        state = self._memory()
        number = state.channels.find(channel)
        slot = state.latest.find(device)
        if number is None or slot is None or not spans:
            return []
        exact, measured = state.latest.kinds(slot, number)
        kind = kind_of(exact=exact, measured=measured)
        if kind is None:
            return []
        asked = Spans(
            np.full(len(spans), device, np.int64),
            np.full(len(spans), number, np.int64),
            np.array([span.start for span in spans], np.int64),
            np.array([span.end for span in spans], np.int64),
        )
        found = await self._file.read(lambda cursor: aggregate_spans(cursor, kind, asked))
        return [found[place] for place in sorted(found)]

    async def quarantined(self) -> Sequence[DeviceKey]:
        """Devices with readings in quarantine."""
        rows = await self._file.read(lambda cursor: cursor.execute(_QUARANTINED).fetchall())
        return [DeviceKey(device) for (device,) in rows]

    async def release(self, device: DeviceKey) -> int:
        """Move a device's quarantined readings into the store; how many were stored."""

        def job(connection: Connection) -> int:
            writing = Writing(connection, self._memory())
            stored = transaction(connection, lambda _: writing.release(device))
            writing.finish()
            return stored

        return await self._file.write(job)

    def _opened(self, connection: Connection) -> None:
        prepare(connection)
        self._state = State(connection, self._plan)
        self._checkpointed = Offset(0) if self._file.wal_bytes() else self._state.offset

    def _memory(self) -> State:
        if self._state is None:
            raise Failed("unavailable", "the time-series store is not open yet", "open it before it is asked")
        return self._state

    def _checkpoint(self, connection: Connection, state: State) -> Offset:
        if self._checkpointed < state.offset or self._file.wal_bytes():
            compact(connection, state)
            if self._file.checkpoint(connection):
                self._checkpointed = state.offset
        return self._checkpointed

    def _checkpoint_when_due(self, connection: Connection, state: State) -> None:
        """After a commit: whatever happens here, the append has succeeded."""
        if self._file.wal_bytes() < WAL_BYTES_MAX:
            return
        try:
            self._checkpoint(connection, state)
        except duckdb.Error as error:
            log.warning("checkpoint failed, tried again later: %s", failure_of(error, self._file.path).detail)
            self._file.reopen()


async def open_timeseries(
    directory: Path, plan: WindowPlan, clock: Clock, *, memory_mib: int, threads: int
) -> EmbeddedTimeSeries:
    """The opened store of a data directory. `Failed("unavailable")` where another process has it."""
    store = EmbeddedTimeSeries(directory / FILE_NAME, plan, clock, memory_mib=memory_mib, threads=threads)
    await store.open()
    return store
