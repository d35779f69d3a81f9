"""Presence: the last known session of each device, so that a restart does not forget who was there."""

from collections.abc import Sequence
from typing import Protocol

from ringmain.model.ids import DeviceKey
from ringmain.model.session import Session


class Presence(Protocol):
    """Written behind, every few hundred milliseconds; epochs survive because each start takes a new block."""

    async def new_epoch_block(self) -> int:
        """A number above every epoch ever used, durably taken, with room for 2**32 epochs above it."""
        ...

    async def save(self, sessions: Sequence[Session]) -> None:
        """Write these sessions in one transaction."""
        ...

    async def load(self) -> Sequence[Session]:
        """All sessions as last written."""
        ...

    async def get(self, device: DeviceKey) -> Session | None:
        """One session as last written."""
        ...
