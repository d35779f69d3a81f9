"""Room for messages that wait: what all sessions of all tenants may hold in memory together."""

from ringmain.gateway.broker.message import Waiting

WAITING_BYTES_MAX = 256 * 1024 * 1024
"""A quarter of a small machine's memory. Further messages are dropped and counted: no subscriber that stays away may
take the others' memory.
"""

WAITING_OVERHEAD = 512
"""What a message takes beside its topic and payload: objects, its place in a queue, its record's key."""


class Room:
    """Shared by all sessions of a broker."""

    def __init__(self, bytes_max: int = WAITING_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self.bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether one more message is one too many."""
        return self.bytes >= self._bytes_max

    def take(self, waiting: Waiting) -> None:
        """A message waits."""
        self.bytes += _size(waiting)

    def give(self, waiting: Waiting) -> None:
        """It does not wait any more."""
        self.bytes -= _size(waiting)


def _size(waiting: Waiting) -> int:
    return WAITING_OVERHEAD + len(waiting.message.topic) + len(waiting.message.payload)
