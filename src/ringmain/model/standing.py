"""Standing: how a device stands to a gateway that speaks for it. What the hot path decides by, so it is in memory."""

import msgspec

from ringmain.model.device import Device, Profile
from ringmain.model.time import INSTANT_MAX

ALWAYS = (0, INSTANT_MAX + 1)
"""The span of a delegation without an end."""


class Standing(msgspec.Struct, frozen=True, eq=False):
    """A delegated device as it now is. `spans` are the half-open spans of event time for which it is delegated, in
    order and apart from each other; none of them is empty.
    """

    device: Device
    profile: Profile
    spans: tuple[tuple[int, int], ...] = (ALWAYS,)

    def covers(self, at_ms: int) -> bool:
        """Whether the gateway may hand in what the device said then."""
        return any(start <= at_ms < end for start, end in self.spans)
