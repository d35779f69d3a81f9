"""Time series: readings, idempotent on (tenant, device, channel, event time).

A `DeviceKey` implies its tenant, so it stands for both. Values are `int` where the channel is EXACT and `float`
where it is MEASURED. The store keeps its own log offset, committed with the data in one transaction: that offset
is the truth of what has been stored.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ringmain.model.ids import DeviceKey, Offset
from ringmain.model.time import Interval
from ringmain.ports.queue import Entry


class Reading(msgspec.Struct, frozen=True):
    """One value. `stamped_on_arrival` where the payload had no time of its own."""

    device: DeviceKey
    channel: str
    at_ms: int
    value: int | float
    stamped_on_arrival: bool = False


class Appended(msgspec.Struct, frozen=True):
    """What one append did, in single readings: `received = stored + duplicates + conflicts + quarantined`
    (rejections and dead letters are counted apart).
    """

    offset: Offset
    received: int
    stored: int
    duplicates: int
    conflicts: int
    quarantined: int
    rejected: int
    dead_letters: int


class Aggregate(msgspec.Struct, frozen=True):
    """Statistics of one channel over one interval. `sum`, `min` and `max` of an EXACT channel are integers."""

    start_ms: int
    end_ms: int
    count: int
    sum: int | float
    min: int | float
    max: int | float
    mean: float
    median: float


class TimeSeries(Protocol):
    """Where readings live. One writer; readers are never blocked by it."""

    async def append(self, entries: Sequence[Entry]) -> Appended:
        """Store the batches of these log entries and the last offset in one transaction. Entries at or below
        the stored offset are skipped. Same key and value: a duplicate; another value: kept as a conflict.
        """
        ...

    async def offset(self) -> Offset:
        """The log offset up to which everything has been stored."""
        ...

    async def checkpoint(self) -> Offset:
        """Fold the store's own log into its file; returns the offset that now lies in a checkpointed store."""
        ...

    async def readings(
        self, device: DeviceKey, channel: str | None, span: Interval, *, after: tuple[int, str] | None, limit: int
    ) -> Sequence[Reading]:
        """Readings of a device in [start, end), ordered by (at_ms, channel), behind `after` = (at_ms, channel)."""
        ...

    async def latest(self, device: DeviceKey) -> Sequence[Reading]:
        """The newest reading of each channel, by event time; from memory."""
        ...

    async def aggregate(self, device: DeviceKey, channel: str, spans: Sequence[Interval]) -> Sequence[Aggregate]:
        """Statistics for each of the disjoint, ascending spans that holds at least one reading."""
        ...

    async def quarantined(self) -> Sequence[DeviceKey]:
        """Devices with readings in quarantine."""
        ...

    async def release(self, device: DeviceKey) -> int:
        """Move a device's quarantined readings into the store (it became active); how many were stored."""
        ...
