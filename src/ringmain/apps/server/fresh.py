"""Fresh: who was acknowledged reads what he wrote.

An acknowledgement means that a reading is in the log; the store takes it within a tenth of a second. These wrappers of
the store's ports make a query wait for what the log held when it was asked. A query for people waits a second at most
and then answers with what there is; a bill never rests on less than all that was acknowledged.
"""

from collections.abc import Mapping, Sequence

from ringmain.model.errors import Failed
from ringmain.model.ids import DeviceKey, Offset
from ringmain.model.time import Interval
from ringmain.ports.load import Grid, Load, Share, Sums
from ringmain.ports.outcomes import Conflict, Outcomes, StoredDeadLetter, Tally
from ringmain.ports.queue import Entry
from ringmain.ports.timeseries import Aggregate, Appended, Reading, TimeSeries
from ringmain.ports.windows import WindowKey, WindowRevision, Windows
from ringmain.services.ingestion.service import Ingestion

QUERY_WAIT_S = 1.0
BILL_WAIT_S = 30.0


class Freshness:
    """How long to wait, and what to do when that was too short."""

    def __init__(self, ingestion: Ingestion, within_s: float, *, strict: bool) -> None:
        self._ingestion = ingestion
        self._within_s = within_s
        self._strict = strict

    async def wait(self) -> None:
        """Return when the store has caught up; `Failed("unavailable")` where it must have and has not."""
        if not await self._ingestion.caught_up(self._within_s) and self._strict:
            raise Failed(
                "unavailable",
                f"the store has not taken all acknowledged readings within {self._within_s:.0f} s; nothing was issued",
                "look at ringmain_ingest_lag_entries and ask again when it is small",
            )


class FreshTimeSeries:
    """`ports.timeseries.TimeSeries` whose queries wait; the rest is handed on."""

    def __init__(self, inner: TimeSeries, freshness: Freshness) -> None:
        self._inner = inner
        self._freshness = freshness

    async def append(self, entries: Sequence[Entry]) -> Appended:
        """See the port."""
        return await self._inner.append(entries)

    async def offset(self) -> Offset:
        """See the port."""
        return await self._inner.offset()

    async def checkpoint(self) -> Offset:
        """See the port."""
        return await self._inner.checkpoint()

    async def readings(
        self, device: DeviceKey, channel: str | None, span: Interval, *, after: tuple[int, str] | None, limit: int
    ) -> Sequence[Reading]:
        """See the port."""
        await self._freshness.wait()
        return await self._inner.readings(device, channel, span, after=after, limit=limit)

    async def latest(self, device: DeviceKey) -> Sequence[Reading]:
        """See the port."""
        await self._freshness.wait()
        return await self._inner.latest(device)

    async def aggregate(self, device: DeviceKey, channel: str, spans: Sequence[Interval]) -> Sequence[Aggregate]:
        """See the port."""
        await self._freshness.wait()
        return await self._inner.aggregate(device, channel, spans)

    async def quarantined(self) -> Sequence[DeviceKey]:
        """See the port."""
        return await self._inner.quarantined()

    async def release(self, device: DeviceKey) -> int:
        """See the port."""
        return await self._inner.release(device)


class FreshOutcomes:
    """`ports.outcomes.Outcomes` whose queries wait."""

    def __init__(self, inner: Outcomes, freshness: Freshness) -> None:
        self._inner = inner
        self._freshness = freshness

    async def tally(self, devices: Sequence[DeviceKey] | None) -> Sequence[Tally]:
        """See the port."""
        await self._freshness.wait()
        return await self._inner.tally(devices)

    async def conflicts(self, devices: Sequence[DeviceKey] | None, *, after: int, limit: int) -> Sequence[Conflict]:
        """See the port."""
        await self._freshness.wait()
        return await self._inner.conflicts(devices, after=after, limit=limit)

    async def dead_letters(
        self, devices: Sequence[DeviceKey] | None, *, after: int, limit: int
    ) -> Sequence[StoredDeadLetter]:
        """See the port."""
        await self._freshness.wait()
        return await self._inner.dead_letters(devices, after=after, limit=limit)


class FreshWindows:
    """`ports.windows.Windows` whose queries wait."""

    def __init__(self, inner: Windows, freshness: Freshness) -> None:
        self._inner = inner
        self._freshness = freshness

    async def pending(self) -> Sequence[WindowKey]:
        """See the port."""
        return await self._inner.pending()

    async def settle(self, keys: Sequence[WindowKey], now_ms: int) -> Sequence[WindowRevision]:
        """See the port."""
        return await self._inner.settle(keys, now_ms)

    async def revisions(
        self, device: DeviceKey, channel: str, size: str, span: Interval, *, all_revisions: bool = False
    ) -> Sequence[WindowRevision]:
        """See the port."""
        await self._freshness.wait()
        return await self._inner.revisions(device, channel, size, span, all_revisions=all_revisions)

    async def watermarks(self) -> dict[DeviceKey, int]:
        """See the port."""
        return await self._inner.watermarks()


class FreshLoad:
    """`ports.load.Load` whose queries wait."""

    def __init__(self, inner: Load, freshness: Freshness) -> None:
        self._inner = inner
        self._freshness = freshness

    async def extents(self, series: Sequence[tuple[DeviceKey, str]]) -> Mapping[tuple[DeviceKey, str], Interval]:
        """See the port."""
        await self._freshness.wait()
        return await self._inner.extents(series)

    async def sums(self, shares: Sequence[Share], grid: Grid) -> Sums:
        """See the port."""
        await self._freshness.wait()
        return await self._inner.sums(shares, grid)

    async def revised(self, shares: Sequence[Share], size: str, span: Interval) -> Mapping[int, int]:
        """See the port."""
        await self._freshness.wait()
        return await self._inner.revised(shares, size, span)
