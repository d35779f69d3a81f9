"""What devices announce of themselves: that they will be asleep."""

import msgspec

from ringmain.gateway.connections import SessionWatch
from ringmain.model.ids import DeviceKey
from ringmain.ports.clock import Clock

SLEEP_S_MAX = 30 * 86_400
"""A device may announce to be away for a month at most."""


class _Status(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    sleep_s: int


class Announcements:
    """Tells the sessions."""

    def __init__(self, sessions: SessionWatch, clock: Clock) -> None:
        self._sessions = sessions
        self._clock = clock

    def said(self, device: DeviceKey, payload: bytes) -> None:
        """A status of a device; what is not understood says nothing."""
        try:
            status = msgspec.json.decode(payload, type=_Status)
        except msgspec.DecodeError:
            return
        if 0 < status.sleep_s <= SLEEP_S_MAX:
            self._sessions.sleeping(device, self._clock.now_ms() + status.sleep_s * 1000)
