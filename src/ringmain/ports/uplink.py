"""Uplink: an edge gateway's way to the platform. It comes and goes; what it acknowledged has a durable outcome there.

It must never say that something arrived before the platform has acknowledged it.
"""

from collections.abc import Callable
from typing import Protocol

Listener = Callable[[str, bytes], None]
"""Told of each message from the platform: its name below the gateway's own tree (`settings`, `roster`,
`claims/answers`) and its payload. It must not raise."""


class Uplink(Protocol):
    """One connection after another to the same platform."""

    @property
    def is_up(self) -> bool:
        """Whether a connection is there and signed in."""
        ...

    @property
    def connections(self) -> int:
        """How many there were; a new number is a new connection, on which nothing is in flight."""
        ...

    @property
    def payload_bytes_max(self) -> int:
        """The largest payload that the platform takes: what it said last, before that what it takes by default."""
        ...

    async def up(self) -> None:
        """Return as soon as it is up."""
        ...

    async def send(self, name: str, payload: bytes) -> None:
        """Publish below the gateway's own tree at QoS 1; returns when the platform has acknowledged it, which means
        that everything in it has a durable outcome there. `Failed("unavailable")`: the connection ended before (it may
        or may not have arrived: send it again). `Failed("storage_full")`: the platform has no room now. `Refused`: the
        platform will not take this message, however often it is sent.
        """
        ...
