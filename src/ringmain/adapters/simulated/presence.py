"""Presence, simulated: the last written sessions in a dict, as a restart would find them."""

from collections.abc import Sequence

from ringmain.model.ids import DeviceKey
from ringmain.model.session import Session


class Presence:
    """Home of `ports.presence.Presence`."""

    def __init__(self) -> None:
        self._sessions: dict[DeviceKey, Session] = {}
        self._epochs = 0

    async def new_epoch_block(self) -> int:
        self._epochs += 2**32
        return self._epochs

    async def save(self, sessions: Sequence[Session]) -> None:
        self._sessions.update((session.device, session) for session in sessions)

    async def load(self) -> Sequence[Session]:
        return [session for _, session in sorted(self._sessions.items())]

    async def get(self, device: DeviceKey) -> Session | None:
        return self._sessions.get(device)
