"""Presence at the edge: not kept. After a restart the meters say hello again, and the platform keeps what it sees."""

from collections.abc import Sequence

from ringmain.model.ids import DeviceKey
from ringmain.model.session import Session


class EdgePresence:
    """See `ports.presence`. Epochs only have to grow within one process here: no session outlives it."""

    async def new_epoch_block(self) -> int:
        """See `ports.presence`."""
        return 1 << 32

    async def save(self, sessions: Sequence[Session]) -> None:
        """Nothing is kept."""

    async def load(self) -> Sequence[Session]:
        """Nobody was here."""
        return ()

    async def get(self, device: DeviceKey) -> Session | None:  # noqa: ARG002 - the port's
        """Nothing is kept."""
        return None
