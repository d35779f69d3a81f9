"""Buffer: what an edge gateway has taken and the platform has not. Durable before anything is acknowledged.

Rows are either *raw* (a batch as the intake wrote it, `model.batch`) or *sealed* (a chunk as it goes up,
`model.bulk`). They have offsets that only grow; a row leaves only by `settle` (the platform has a durable outcome
for all of it) or by `replace`, which changes rows and counts what was dropped in one transaction.

It must never lose a row that `append` returned for, whatever happens to the process or the power.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ringmain.model.ids import DeviceId, Offset

DROPPED_LETTERS = "drop_oldest_letters"
"""The reason under which dead letters are counted that went with a dropped row. They are no readings: not in `taken`,
nor in what is left of it.
"""


class Row(msgspec.Struct, frozen=True):
    """One row. `readings` are single values; [first_ms, last_ms] are the extremes of their event times."""

    offset: Offset
    sealed: bool
    readings: int
    first_ms: int
    last_ms: int
    body: bytes


class SealedRow(msgspec.Struct, frozen=True):
    """A chunk to be kept in the place of other rows."""

    readings: int
    first_ms: int
    last_ms: int
    body: bytes


class Dropped(msgspec.Struct, frozen=True):
    """So many readings of a device were given up for this reason."""

    device: DeviceId
    reason: str
    count: int


class BufferStatus(msgspec.Struct, frozen=True):
    """What it holds. `bytes` are those of bodies, `file_bytes` what the disk holds for it, `used_bytes` that less the
    free pages in it (what limits compare), `free_page_bytes` those pages (what goes there takes nothing of the disk),
    `free_bytes` what the disk has left. `taken` and `settled` count readings since the buffer was made, `dropped` too,
    by device and reason.
    """

    first: Offset
    last: Offset
    rows: int
    readings: int
    bytes: int
    sealed_rows: int
    sealed_readings: int
    sealed_bytes: int
    file_bytes: int
    used_bytes: int
    free_page_bytes: int
    free_bytes: int
    taken: int
    settled: int
    dropped: tuple[Dropped, ...]


class Buffer(Protocol):
    """The store of store-and-forward. Methods raise `Failed("storage_failed" | "storage_full")` on trouble."""

    async def append(self, body: bytes) -> Offset:
        """Make one raw batch durable; returns its offset after the sync that covers it, as `ports.queue` does.
        `Failed("storage_full")` where there is no room: nothing was taken.
        """
        ...

    async def read(self, after: Offset, bytes_max: int, *, sealed: bool | None = None) -> Sequence[Row]:
        """Rows behind `after` in order of their offsets, at least one if there is one, until `bytes_max` is passed;
        `sealed` narrows to one kind.
        """
        ...

    async def wait(self, after: Offset) -> None:
        """Return as soon as a raw batch behind `after` was appended."""
        ...

    async def settle(self, offsets: Sequence[Offset]) -> None:
        """These rows have a durable outcome at the platform: they may go. Needs no sync of its own: a row that comes
        back after a power cut is sent again, and recognised.
        """
        ...

    async def replace(
        self, offsets: Sequence[Offset], rows: Sequence[SealedRow], dropped: Sequence[Dropped]
    ) -> Sequence[Offset]:
        """In one transaction: these rows go, `rows` come with new offsets (returned), and `dropped` is counted.
        Sealing, thinning and dropping are all this. Rows that are gone meanwhile are `Refused("not_found")`, and then
        nothing was changed.
        """
        ...

    def raw_readings(self, after: Offset) -> int:
        """Readings in raw rows behind `after`; from memory."""
        ...

    def status(self) -> BufferStatus:
        """What it holds now; from memory, but for the file system's own figures."""
        ...

    async def close(self) -> None:
        """Finish what was accepted and release the file."""
        ...
