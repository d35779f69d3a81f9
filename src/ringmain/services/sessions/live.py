"""Live: one session as it changes in memory, and the frozen picture of it that others see and the disk keeps."""

import msgspec

from ringmain.model.ids import DeviceKey
from ringmain.model.session import Session, SessionState
from ringmain.services.sessions import timeline


class Live(msgspec.Struct):
    """A session as it changes in memory. `queued_ms` is the deadline under which the heap holds it."""

    device: DeviceKey
    state: SessionState
    epoch: int
    protocol: str
    peer: str
    connected_ms: int
    last_seen_ms: int
    deadline_ms: int
    interval_s: int
    queued_ms: int = timeline.NEVER_MS
    is_attached: bool = False
    """Whether the connection of this epoch is open."""

    def due_ms(self) -> int:
        """`active` only notes the time: an ONLINE device's deadline moves on with it."""
        if self.state is SessionState.ONLINE:
            return max(self.deadline_ms, timeline.stale_at(self.last_seen_ms, self.interval_s))
        return self.deadline_ms

    def frozen(self) -> Session:
        deadline_ms = self.due_ms()
        return Session(
            self.device,
            self.state,
            self.epoch,
            self.protocol,
            self.peer,
            self.connected_ms,
            self.last_seen_ms,
            0 if deadline_ms == timeline.NEVER_MS else deadline_ms,
            self.interval_s,
        )
