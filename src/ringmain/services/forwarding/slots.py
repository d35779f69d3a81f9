"""Slots: how many messages of the backlog may be on their way. Several keep a quick link busy; on a slow one they would
stand before everything live, and all of them be under way when it breaks. So there is one until an answer came soon.
"""

import asyncio

SLOW_S = 2.0
"""An answer that takes longer: a chunk of 24 KB on a line of 100 kbit/s."""


class Slots:
    """`most` of them, one while answers are slow; a new connection is slow until it has shown that it is not."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._taken = 0
        self._slow = True
        self._changed = asyncio.Event()

    async def acquire(self) -> None:
        """Wait for one."""
        while self._taken >= (1 if self._slow else self._most):
            self._changed.clear()
            await self._changed.wait()
        self._taken += 1

    def release(self) -> None:
        """Give one back."""
        self._taken -= 1
        self._changed.set()

    def answered(self, seconds: float) -> None:
        """A message was acknowledged after so long."""
        self._slow = seconds > SLOW_S
        self._changed.set()

    def connected(self) -> None:
        """A new connection: nothing is known of it."""
        self._slow = True
