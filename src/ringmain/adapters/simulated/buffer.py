"""The buffer's simulated twin: rows in memory, with the same order, sums and refusals."""

import asyncio
from collections import Counter
from collections.abc import Sequence

from ringmain.model.batch import decode_batch
from ringmain.model.errors import Failed, Refused
from ringmain.model.ids import DeviceId, Offset
from ringmain.ports.buffer import BufferStatus, Dropped, Row, SealedRow

FREE_BYTES = 1 << 40


class SimulatedBuffer:
    """Home of `ports.buffer.Buffer`. `bytes_max` is a limit on bodies."""

    def __init__(self, *, bytes_max: int = 1 << 40) -> None:
        self.bytes_max = bytes_max
        self.broken = ""
        self.rows: dict[Offset, Row] = {}
        self.last = self.last_raw = Offset(0)
        self.taken = self.settled = 0
        self.dropped: Counter[tuple[DeviceId, str]] = Counter()
        self._arrived = asyncio.Event()

    async def append(self, body: bytes) -> Offset:
        """See `ports.buffer`."""
        if self.broken:
            raise Failed("storage_failed", self.broken, "restart")
        if self._bytes() + len(body) > self.bytes_max:
            raise Failed(
                "storage_full", "the buffer is at its limit; nothing was taken", "let the uplink take some away"
            )
        batch = decode_batch(body)
        stamps = [stamp for block in batch.blocks if block.messages for stamp in block.stamps.cast("q")]
        self.taken += batch.readings
        first_ms, last_ms = min(stamps, default=0), max(stamps, default=0)
        self.last_raw = self._add(False, batch.readings, first_ms, last_ms, body)
        self._arrived.set()
        return self.last_raw

    def _add(self, sealed: bool, readings: int, first_ms: int, last_ms: int, body: bytes) -> Offset:  # noqa: FBT001
        self.last = Offset(self.last + 1)
        self.rows[self.last] = Row(self.last, sealed, readings, first_ms, last_ms, body)
        return self.last

    async def read(self, after: Offset, bytes_max: int, *, sealed: bool | None = None) -> Sequence[Row]:
        """See `ports.buffer`."""
        found: list[Row] = []
        size = 0
        for offset in sorted(self.rows):
            row = self.rows[offset]
            if offset > after and sealed in (None, row.sealed):
                found.append(row)
                size += len(row.body)
                if size >= bytes_max:
                    break
        return found

    async def wait(self, after: Offset) -> None:
        """See `ports.buffer`."""
        while self.last_raw <= after:
            self._arrived.clear()
            await self._arrived.wait()

    async def settle(self, offsets: Sequence[Offset]) -> None:
        """See `ports.buffer`."""
        for offset in offsets:
            row = self.rows.pop(offset, None)
            self.settled += row.readings if row else 0

    async def replace(
        self, offsets: Sequence[Offset], rows: Sequence[SealedRow], dropped: Sequence[Dropped]
    ) -> Sequence[Offset]:
        """See `ports.buffer`."""
        if any(offset not in self.rows for offset in offsets):
            raise Refused("not_found", "some of these rows are gone; nothing was changed")
        for offset in offsets:
            del self.rows[offset]
        for each in dropped:
            self.dropped[each.device, each.reason] += each.count
        return [self._add(True, row.readings, row.first_ms, row.last_ms, row.body) for row in rows]

    def raw_readings(self, after: Offset) -> int:
        """See `ports.buffer`."""
        return sum(row.readings for offset, row in self.rows.items() if offset > after and not row.sealed)

    def status(self) -> BufferStatus:
        """See `ports.buffer`."""
        sealed = [row for row in self.rows.values() if row.sealed]
        return BufferStatus(
            first=min(self.rows, default=Offset(0)),
            last=self.last,
            rows=len(self.rows),
            readings=sum(row.readings for row in self.rows.values()),
            bytes=self._bytes(),
            sealed_rows=len(sealed),
            sealed_readings=sum(row.readings for row in sealed),
            sealed_bytes=sum(len(row.body) for row in sealed),
            file_bytes=self._bytes(),
            used_bytes=self._bytes(),
            free_page_bytes=0,
            free_bytes=FREE_BYTES,
            taken=self.taken,
            settled=self.settled,
            dropped=tuple(Dropped(device, reason, count) for (device, reason), count in self.dropped.items()),
        )

    def _bytes(self) -> int:
        return sum(len(row.body) for row in self.rows.values())

    async def close(self) -> None:
        """See `ports.buffer`."""
