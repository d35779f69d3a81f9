"""Queue: the durable ingest log and the cursors of its consumer groups.

Contract (architecture, "The durability contract"): `append` returns only when the entry is synced to disk, so an
acknowledgement may follow it. An `append` that raises is *indeterminate*: never acknowledge it, never assume it
absent. Entries are read in offset order; offsets only grow and have no meaning beyond order.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Protocol

import msgspec

from ringmain.model.ids import Offset


class Entry(msgspec.Struct, frozen=True):
    """One batch in the log: its place and its bytes (`ringmain.model.batch.decode_batch`)."""

    offset: Offset
    body: bytes


class QueueStatus(msgspec.Struct, frozen=True):
    """What the log holds: [first, last] offsets (0, 0 when empty), bytes of bodies, and each group's cursor."""

    first: Offset
    last: Offset
    bytes: int
    limit_bytes: int
    groups: dict[str, Offset]


Records = Mapping[bytes, bytes | None]
"""What is to stand under each key from now on; None removes it."""

NO_RECORDS: Records = MappingProxyType({})


class Queue(Protocol):
    """The persistent queue. Every method raises `Failed("storage_failed" | "storage_full")` on trouble."""

    async def append(self, body: bytes, records: Records = NO_RECORDS) -> Offset:
        """Make one entry durable, and `records` in the same transaction; returns its offset after the sync that covers
        both. An empty body makes no entry, and the last offset is returned. `Failed("storage_full")` at the size limit
        or on a full disk: nothing was taken.
        """
        ...

    async def records(self, prefix: bytes) -> Sequence[tuple[bytes, bytes]]:
        """Every record whose key begins with `prefix`, in order of the keys."""
        ...

    async def read(self, after: Offset, bytes_max: int) -> Sequence[Entry]:
        """Entries behind `after` in order, at least one if there is one, until `bytes_max` is passed."""
        ...

    async def wait(self, after: Offset) -> None:
        """Return as soon as there is an entry behind `after`."""
        ...

    async def acknowledge(self, group: str, offset: Offset) -> None:
        """Move a group's cursor to `offset`, durably. A cursor never goes back."""
        ...

    async def cut(self, through: Offset) -> None:
        """Allow entries up to and including `through` to be removed, as far as every group has passed them."""
        ...

    async def status(self) -> QueueStatus:
        """The log's extent and cursors."""
        ...

    async def close(self) -> None:
        """Finish what was accepted and release the files."""
        ...
