"""The persistent queue's simulated twin: a list in memory, with the same order, cursors and limits."""

import asyncio
from collections.abc import Sequence

from ringmain.model.errors import Failed
from ringmain.model.ids import Offset
from ringmain.ports.queue import NO_RECORDS, Entry, QueueStatus, Records


class SimulatedQueue:
    """A log that forgets everything when it is dropped."""

    def __init__(self, *, limit_bytes: int = 1 << 30) -> None:
        self._entries: list[Entry] = []
        self._last = Offset(0)
        self._bytes = 0
        self._limit_bytes = limit_bytes
        self._groups: dict[str, Offset] = {}
        self._arrived = asyncio.Event()
        self._records: dict[bytes, bytes] = {}
        self.broken = ""

    async def append(self, body: bytes, records: Records = NO_RECORDS) -> Offset:
        """See `ports.queue`."""
        if self.broken:
            raise Failed("storage_failed", f"the ingest log is broken: {self.broken}", "restart the platform")
        if self._bytes + len(body) > self._limit_bytes:
            raise Failed("storage_full", "the ingest log is at its limit; nothing was taken", "let the store catch up")
        for key, value in records.items():
            if value is None:
                self._records.pop(key, None)
            else:
                self._records[key] = value
        if not body:
            return self._last
        self._last = Offset(self._last + 1)
        self._entries.append(Entry(self._last, body))
        self._bytes += len(body)
        self._arrived.set()
        return self._last

    async def records(self, prefix: bytes) -> Sequence[tuple[bytes, bytes]]:
        """See `ports.queue`."""
        return sorted(item for item in self._records.items() if item[0].startswith(prefix))

    async def read(self, after: Offset, bytes_max: int) -> Sequence[Entry]:
        """See `ports.queue`."""
        found: list[Entry] = []
        size = 0
        for entry in self._entries:
            if entry.offset > after:
                found.append(entry)
                size += len(entry.body)
                if size >= bytes_max:
                    break
        return found

    async def wait(self, after: Offset) -> None:
        """See `ports.queue`."""
        while self._last <= after:
            self._arrived.clear()
            await self._arrived.wait()

    async def acknowledge(self, group: str, offset: Offset) -> None:
        """See `ports.queue`."""
        self._groups[group] = max(offset, self._groups.get(group, Offset(0)))

    async def cut(self, through: Offset) -> None:
        """See `ports.queue`."""
        through = Offset(min([through, *self._groups.values()]))
        self._entries = [entry for entry in self._entries if entry.offset > through]
        self._bytes = sum(len(entry.body) for entry in self._entries)

    async def status(self) -> QueueStatus:
        """See `ports.queue`."""
        return self.extent()

    def extent(self) -> QueueStatus:
        """The same, for those who can not wait."""
        first = self._entries[0].offset if self._entries else Offset(0)
        return QueueStatus(first, self._last, self._bytes, self._limit_bytes, dict(self._groups))

    async def close(self) -> None:
        """See `ports.queue`."""
        self._entries.clear()
