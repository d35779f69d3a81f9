"""Outcomes: what did not become a stored reading, and the books that show that nothing vanished.

`received = stored + duplicate + conflict + quarantined + rejected{reason} + dead_letter`, per device and in total.
"""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ringmain.model.ids import DeviceKey, Offset


class Tally(msgspec.Struct, frozen=True):
    """How many records came to one outcome. `reason` is empty where the outcome needs none."""

    outcome: str
    reason: str
    count: int


class Conflict(msgspec.Struct, frozen=True):
    """A reading that came again with another value: the stored one was kept, the other stands here."""

    id: int
    device: DeviceKey
    channel: str
    at_ms: int
    stored: int | float
    received: int | float
    received_ms: int


class StoredDeadLetter(msgspec.Struct, frozen=True):
    """A payload that could not be decoded, as it came."""

    id: int
    offset: Offset
    device: DeviceKey
    received_ms: int
    door: str
    topic: str
    payload: bytes
    reason: str
    detail: str


class Outcomes(Protocol):
    """The books. `devices` narrows to some devices; None means all."""

    async def tally(self, devices: Sequence[DeviceKey] | None) -> Sequence[Tally]:
        """Counts by outcome and reason: `received`, `stored`, `duplicate`, `conflict`, `quarantined`,
        `rejected`, `dead_letter`.
        """
        ...

    async def conflicts(self, devices: Sequence[DeviceKey] | None, *, after: int, limit: int) -> Sequence[Conflict]:
        """Conflicts with an id above `after`, in id order."""
        ...

    async def dead_letters(
        self, devices: Sequence[DeviceKey] | None, *, after: int, limit: int
    ) -> Sequence[StoredDeadLetter]:
        """Dead letters with an id above `after`, in id order."""
        ...
