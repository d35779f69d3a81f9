"""One way of one connection through the relay: what comes from one socket leaves at the other, late, or is lost.

It must never alter, reorder or invent a byte, and once it has lost one it never speaks again: neither a byte nor the
end of its source is passed on, as behind a modem that died. What a sender says beyond `BUFFER_BYTES_MAX` stays with
its kernel.
"""

import asyncio
from collections import deque
from random import Random
from typing import Final, Protocol

import msgspec

from ringmain.apps.lab.relay_mode import DOWN, UP, Mode

BUFFER_BYTES_MAX = 256 * 1024
"""What one direction may hold before its sender is not read any more: about what a slow link's own queues hold."""

END: Final = b""
"""Among the bytes of a direction: its source says no more (FIN)."""

RESET: Final = None
"""Likewise: its source is gone (RST)."""


class Source(Protocol):
    """Where a direction starts."""

    def listen(self, *, wanted: bool) -> None: ...


class Sink(Protocol):
    """Where a direction ends."""

    @property
    def unsent_bytes(self) -> int: ...
    def write(self, data: bytes) -> None: ...
    def end(self) -> None: ...
    def reset(self) -> None: ...


class Weather(msgspec.Struct):
    """What all links of a relay share: the mode, chance, and what was counted since the start."""

    rng: Random
    mode: Mode = msgspec.field(default_factory=Mode)
    passed_bytes: dict[str, int] = msgspec.field(default_factory=lambda: {UP: 0, DOWN: 0})
    lost_bytes: dict[str, int] = msgspec.field(default_factory=lambda: {UP: 0, DOWN: 0})

    def delay_s(self) -> float:
        """How late the next bytes are."""
        return (self.mode.delay_ms + self.rng.random() * self.mode.jitter_ms) / 1000


class Direction:
    """One way through a link: what comes from `source` leaves at `sink`."""

    def __init__(self, name: str, weather: Weather) -> None:
        self.name = name
        self.dead = False
        self.ended = False
        self.finished = False
        self.source: Source | None = None
        self.sink: Sink | None = None
        self._weather = weather
        self._late: deque[tuple[float, bytes | None]] = deque()
        self._late_bytes = 0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def buffered_bytes(self) -> int:
        """Read, and not yet with the kernel of the other side."""
        return self._late_bytes + (self.sink.unsent_bytes if self.sink else 0)

    def take(self, data: bytes | None) -> None:
        """Bytes, the END or the RESET of the source."""
        self.ended |= not data
        if self.dead:
            self._weather.lost_bytes[self.name] += len(data or b"")
            return
        delay_s = self._weather.delay_s()
        if not self._late and not delay_s:
            self._leave(data)
        else:
            due = asyncio.get_running_loop().time() + delay_s
            self._late.append((max(due, self._late[-1][0]) if self._late else due, data))
            self._late_bytes += len(data or b"")
            self._arm()
        self.balance()

    def kill(self) -> None:
        """Lose what waits here, and everything from now on."""
        self.dead = True
        self._weather.lost_bytes[self.name] += self._late_bytes
        self.drop()
        self.balance()

    def balance(self) -> None:
        """Read the source only while there is somewhere to go, and room, for what it says."""
        if self.source:
            self.source.listen(wanted=self.dead or (self.sink is not None and self.buffered_bytes < BUFFER_BYTES_MAX))

    def drop(self) -> None:
        """Forget what waits."""
        self._late.clear()
        self._late_bytes = 0
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        if self._late and self._timer is None:
            self._timer = asyncio.get_running_loop().call_at(self._late[0][0], self._on_due)

    def _on_due(self) -> None:
        self._timer = None
        now = asyncio.get_running_loop().time()
        while self._late and self._late[0][0] <= now:
            _, data = self._late.popleft()
            self._late_bytes -= len(data or b"")
            self._leave(data)
        self._arm()
        self.balance()

    def _leave(self, data: bytes | None) -> None:
        self._weather.passed_bytes[self.name] += len(data or b"")
        self.finished |= not data
        if self.sink is None:
            return
        if data:
            self.sink.write(data)
        elif data is RESET:
            self.sink.reset()
        else:
            self.sink.end()
