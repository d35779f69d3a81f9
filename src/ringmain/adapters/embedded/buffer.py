"""The buffer's embedded home: rows in one SQLite file (`buffer_file`), an index of them in memory.

The index has a few numbers a row, and rows are sealed into chunks of thousands of readings, so that it stays small
however much is buffered: 40 million readings are some 3,400 rows. Bodies are read from the file, the newest from
memory.
"""

import asyncio
import logging
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Self

from ringmain.adapters.embedded import buffer_rows, buffer_salvage
from ringmain.adapters.embedded.buffer_file import BufferFile
from ringmain.adapters.embedded.buffer_index import BufferIndex, Facts
from ringmain.adapters.embedded.buffer_schema import UNREADABLE
from ringmain.adapters.embedded.buffer_settled import Settled
from ringmain.model.errors import Failed, Refused
from ringmain.model.ids import DeviceId, Offset
from ringmain.ports.buffer import BufferStatus, Dropped, Row, SealedRow

log = logging.getLogger(__name__)

RECENT_BYTES_MAX = 2 * 1024 * 1024
"""Newest raw bodies kept in memory: live readings go up without being read back."""

FREE_LOOK_S = 1.0
"""How old our knowledge of the disk's free space may be."""


class EmbeddedBuffer:
    """Home of `ports.buffer.Buffer`."""

    def __init__(self, path: Path, synchronous: str = "full") -> None:
        self._path = path
        self._loop = asyncio.get_running_loop()
        self._file = BufferFile(path, synchronous)
        self._reader = ThreadPoolExecutor(1, "buffer-reader")
        self._index = BufferIndex()
        self._recent: dict[Offset, bytes] = {}
        self._recent_bytes = 0
        self._settled = Settled(self._file)
        self._changing: set[Offset] = set()
        self._arrived = asyncio.Event()
        self._bytes_max = self._free_min = 0
        self._free_bytes, self._free_at_s = 0, float("-inf")

    @classmethod
    async def open(cls, path: Path, *, synchronous: str = "full") -> Self:
        """Open or create; a damaged file is put aside and its rows are saved (`buffer_salvage`). `Failed` where the
        file can not be used. `synchronous="off"` exists for one test only: it proves that a power cut is noticed.
        """
        buffer = cls(path, synchronous)
        try:
            await buffer._loop.run_in_executor(buffer._reader, buffer._prepare)
        except Failed:
            buffer._reader.shutdown()
            if not buffer_salvage.mark(path).exists():
                raise
            buffer = cls(path, synchronous)
            await buffer._loop.run_in_executor(buffer._reader, buffer._prepare)
        return buffer

    def limit(self, bytes_max: int, free_bytes_min: int) -> None:
        """How large it may grow and what it leaves free; 0 is no limit."""
        self._bytes_max, self._free_min = bytes_max, free_bytes_min

    # -- port -----------------------------------------------------------------------------------------------

    async def append(self, body: bytes) -> Offset:
        """See `ports.buffer`."""
        self._refuse_when_full(len(body))
        facts = buffer_rows.facts_of(body)
        return await self._file.run(
            lambda connection: buffer_rows.take(connection, facts, body),
            grows=len(body),
            then=lambda offset: self._taken(offset, facts, body),
        )

    async def read(self, after: Offset, bytes_max: int, *, sealed: bool | None = None) -> Sequence[Row]:
        """See `ports.buffer`."""
        chosen = self._index.behind(after, bytes_max, sealed)
        missing = [offset for offset in chosen if offset not in self._recent]
        bodies = await self._loop.run_in_executor(self._reader, self._fetch, missing) if missing else {}
        rows = []
        for offset, facts in chosen.items():
            body = self._recent.get(offset) or bodies.get(offset)
            if body is not None and offset in self._index:
                rows.append(Row(offset, facts.sealed, facts.readings, facts.first_ms, facts.last_ms, body))
        damaged = [offset for offset in missing if bodies.get(offset, b"") is None]
        if damaged:
            await self._put_aside([offset for offset in damaged if offset in self._index])
        if not rows and chosen:  # all of them went meanwhile: look behind them
            return await self.read(max(chosen), bytes_max, sealed=sealed)
        return rows

    async def wait(self, after: Offset) -> None:
        """See `ports.buffer`."""
        while self._index.last_raw <= after:
            await self._arrived.wait()

    async def settle(self, offsets: Sequence[Offset]) -> None:
        """See `ports.buffer`."""
        gone: list[Offset] = []
        for offset in offsets:
            # A row that is being replaced goes up once more in its new form, and is recognised.
            facts = None if offset in self._changing else self._index.remove(offset)
            if facts:
                self._index.settled += facts.readings
                gone.append(offset)
                self._forget(offset)
        self._settled.add(gone)

    async def replace(
        self, offsets: Sequence[Offset], rows: Sequence[SealedRow], dropped: Sequence[Dropped]
    ) -> Sequence[Offset]:
        """See `ports.buffer`."""
        if any(offset not in self._index or offset in self._changing for offset in offsets):
            raise Refused("not_found", "some of these rows are gone; nothing was changed")
        facts = [Facts(True, row.readings, row.first_ms, row.last_ms, len(row.body)) for row in rows]
        pairs = list(zip(facts, rows, strict=True))
        goes = sum(self._index[offset].size for offset in offsets)
        self._changing.update(offsets)
        try:
            return await self._file.run(
                lambda connection: buffer_rows.swap(connection, offsets, pairs, dropped),
                grows=max(0, sum(known.size for known in facts) - goes),
                then=lambda fresh: self._replaced(offsets, fresh, facts, dropped),
            )
        finally:
            self._changing.difference_update(offsets)

    def raw_readings(self, after: Offset) -> int:
        """See `ports.buffer`."""
        return self._index.raw_readings(after)

    def status(self) -> BufferStatus:
        """See `ports.buffer`."""
        index = self._index
        dropped = tuple(Dropped(DeviceId(device), reason, count) for (device, reason), count in index.dropped.items())
        return BufferStatus(
            first=index.first,
            last=index.last,
            rows=index.rows,
            readings=index.readings,
            bytes=index.bytes,
            sealed_rows=index.sealed_rows,
            sealed_readings=index.sealed_readings,
            sealed_bytes=index.sealed_bytes,
            file_bytes=self._file.file_bytes,
            used_bytes=self._file.used_bytes,
            free_page_bytes=self._file.free_page_bytes,
            free_bytes=self._free(),
            taken=index.taken,
            settled=index.settled,
            dropped=dropped,
        )

    async def close(self) -> None:
        """See `ports.buffer`."""
        await self._settled.close()
        for step in (self._file.close, self._connection.close, self._file.release):
            await self._loop.run_in_executor(self._reader, step)
        self._reader.shutdown()

    # -- room -----------------------------------------------------------------------------------------------

    def _refuse_when_full(self, size: int) -> None:
        used = self._file.used_bytes + size
        if self._bytes_max and used > self._bytes_max:
            self._settled.hurry()
            raise Failed(
                "storage_full",
                f"the buffer holds {self._file.used_bytes:,} of {self._bytes_max:,} bytes; nothing was taken",
                "it takes readings again when the uplink has brought some away, or with a larger buffer_bytes_max",
            )
        if self._free_min and size > self._file.free_page_bytes and self._free() < self._free_min + size:
            raise Failed(
                "storage_full",
                f"the disk has {self._free():,} bytes left, {self._free_min:,} stay free; nothing was taken",
                "free space on that disk",
            )

    def _free(self) -> int:
        now_s = self._loop.time()
        if now_s - self._free_at_s > FREE_LOOK_S:
            status = os.statvfs(self._path.parent)
            self._free_bytes, self._free_at_s = status.f_bavail * status.f_frsize, now_s
        return self._free_bytes

    # -- what a commit changes ------------------------------------------------------------------------------

    def _taken(self, offset: Offset, facts: Facts, body: bytes) -> None:
        self._index.add(offset, facts)
        self._index.taken += facts.readings
        self._remember(offset, body)
        arrived, self._arrived = self._arrived, asyncio.Event()
        arrived.set()

    def _replaced(
        self, offsets: Sequence[Offset], fresh: Sequence[Offset], facts: Sequence[Facts], dropped: Sequence[Dropped]
    ) -> None:
        for offset in offsets:
            self._index.remove(offset)
            self._forget(offset)
        for offset, known in zip(fresh, facts, strict=True):
            self._index.add(offset, known)
        for each in dropped:
            self._index.dropped[each.device, each.reason] += each.count
        self._free_at_s = float("-inf")  # it may have been done for the sake of the disk

    def _remember(self, offset: Offset, body: bytes) -> None:
        self._recent[offset] = body
        self._recent_bytes += len(body)
        while self._recent_bytes > RECENT_BYTES_MAX and len(self._recent) > 1:
            self._forget(next(iter(self._recent)))

    def _forget(self, offset: Offset) -> None:
        body = self._recent.pop(offset, None)
        self._recent_bytes -= len(body) if body else 0

    async def _put_aside(self, offsets: Sequence[Offset]) -> None:
        """Rows that do not match their checksum: kept apart, counted, and out of the way of the others at once, also
        where the disk has no room to keep them apart now.
        """
        log.error(
            "%d rows of %s do not match their checksum; they are kept in its table `damaged`", len(offsets), self._path
        )
        size = 0
        for offset in offsets:
            facts = self._index.remove(offset)
            if facts:
                size += facts.size
                self._index.dropped["", "damaged"] += facts.readings
        try:
            await self._file.run(lambda connection: buffer_rows.set_aside(connection, offsets), grows=size)
        except Failed as failed:
            log.error("they stay where they are until the next start: %s", failed.detail)

    # -- reader's thread ------------------------------------------------------------------------------------

    def _prepare(self) -> None:
        self._file.start()
        self._connection = self._file.connect()
        try:
            buffer_rows.load(self._connection, self._index)
        except UNREADABLE as error:
            self._file.close()
            self._connection.close()
            self._file.release()
            raise self._file.failed(error) from error

    def _fetch(self, offsets: Sequence[Offset]) -> dict[Offset, bytes | None]:
        """Bodies by offset; None for one that does not match its checksum."""
        try:
            return buffer_rows.bodies(self._connection, offsets)
        except UNREADABLE as error:
            raise self._file.failed(error) from error
