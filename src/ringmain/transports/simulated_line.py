"""A line of the simulated network: one direction between two hosts, and how bytes travel on it."""

import asyncio
from itertools import pairwise
from random import Random
from typing import Protocol

import msgspec

RETRANSMIT_S = (0.2, 3.0)
"""After a block ends, so much later TCP tries again: its timer has backed off meanwhile."""


class Stalled(Protocol):
    """A connection's end that waits for its line."""

    def pump_in(self, seconds: float) -> None:
        """Try again later."""
        ...


class Conditions(msgspec.Struct, frozen=True):
    """How bytes travel: the greatest number of pieces one write arrives in, and how often it arrives in pieces."""

    pieces_max: int = 4
    split_share: float = 0.2

    def pieces(self, data: bytes, chance: Random) -> list[bytes]:
        """One write as it arrives."""
        if len(data) < 2 or chance.random() > self.split_share:
            return [data]
        count = chance.randint(1, min(self.pieces_max, len(data)) - 1)
        at = [0, *sorted(chance.sample(range(1, len(data)), count)), len(data)]
        return [data[start:end] for start, end in pairwise(at)]


class Line:
    """One direction between two hosts."""

    def __init__(self) -> None:
        self.latency_s = (0.001, 0.02)
        self.blocked = False
        self._opened = asyncio.Event()
        self._opened.set()
        self._stalled: dict[Stalled, None] = {}

    def block(self) -> None:
        """Let nothing through until `open`."""
        self.blocked = True
        self._opened.clear()

    def open(self, chance: Random) -> None:
        """Let everything through that waits, each connection when its own timer fires."""
        self.blocked = False
        self._opened.set()
        stalled, self._stalled = self._stalled, {}
        for endpoint in stalled:
            endpoint.pump_in(chance.uniform(*RETRANSMIT_S))

    def stall(self, endpoint: Stalled) -> None:
        """Somebody has something to send and can not."""
        self._stalled[endpoint] = None

    async def opened(self) -> None:
        """Return as soon as it is open."""
        await self._opened.wait()
