"""Names of channels for the metrics of one edge node, and which of them two metrics would share.

A channel must never mean one metric today and another one tomorrow, because a node declares them in another order:
so where two metrics would have one channel, neither has it.
"""

import hashlib
import re

from ringmain.model.ids import NAME_LENGTH_MAX
from ringmain.protocols.sparkplug.births import Declared

_UNFIT = re.compile(r"[^A-Za-z0-9_.:-]")
_DIGEST_LETTERS = 8
"""32 bits: two of a node's 10,000 long names meet once in 100 such nodes, and that is seen as a collision."""
_KEPT = NAME_LENGTH_MAX - len("__") - _DIGEST_LETTERS


def channel_of(name: str) -> str:
    """The channel for a metric's name: what is not one of `A-Za-z0-9_.:-` becomes `_`; `_` comes before a first
    character that is no letter. Of more than 64 characters the last 54 are kept, which tell most and may end in `_wh`,
    behind `_`, 8 hex digits of the SHA-256 of the whole name, and `_`.
    """
    channel = _UNFIT.sub("_", name)
    if not channel[:1].isalpha() and channel[:1] != "_":
        channel = f"_{channel}"
    if len(channel) <= NAME_LENGTH_MAX:
        return channel
    return f"_{hashlib.sha256(name.encode()).hexdigest()[:_DIGEST_LETTERS]}_{channel[-_KEPT:]}"


class Channels:
    """The channels of a node and of the devices below it. `own` is whether a Sparkplug device has channels of its own,
    as a delegated one does; otherwise they are the node's, behind the device's id.
    """

    def __init__(self) -> None:
        self._channels: dict[tuple[bool, Declared], str] = {}
        self._owners: dict[tuple[str, str], dict[tuple[str, str], None]] = {}

    def claim(self, declared: Declared, *, own: bool) -> None:
        """A metric is there."""
        if (own, declared) not in self._channels:
            behind = declared.name if own or not declared.device else f"{declared.device}_{declared.name}"
            channel = self._channels[own, declared] = channel_of(behind)
            self._owners.setdefault(_place(declared, channel, own=own), {})[declared.device, declared.name] = None

    def of(self, declared: Declared, *, own: bool) -> str:
        """The channel of a metric that was claimed; empty where another one would share it."""
        channel = self._channels[own, declared]
        return channel if len(self._owners[_place(declared, channel, own=own)]) == 1 else ""

    def sharing(self, declared: Declared, *, own: bool) -> tuple[str, list[str]]:
        """The channel that a metric claims, and the names of all metrics that do; none where it claims no channel."""
        channel = self._channels.get((own, declared))
        if channel is None:
            return "", []
        owners = self._owners[_place(declared, channel, own=own)]
        return channel, [f"{device}/{name}" if device and not own else name for device, name in owners]

    def forget(self, device: str) -> None:
        """A device of the node is gone, or born anew."""
        for own, declared in [known for known in self._channels if known[1].device == device]:
            place = _place(declared, self._channels.pop((own, declared)), own=own)
            self._owners[place].pop((device, declared.name), None)
            if not self._owners[place]:
                del self._owners[place]

    def clear(self) -> None:
        """The node is gone, or born anew."""
        self._channels.clear()
        self._owners.clear()


def _place(declared: Declared, channel: str, *, own: bool) -> tuple[str, str]:
    return (declared.device if own else "", channel)
