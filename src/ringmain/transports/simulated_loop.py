"""An event loop under virtual time: the standard library's own, with a selector that waits for nothing.

Where the real one would sleep, this one moves its clock. Nothing in it depends on the machine: no sockets, no threads,
no time of day; two runs of the same program make the same calls in the same order.

It must never hide that a program hangs: when nothing is left that could happen, that is `Deadlock`.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

TURNS_AT_ONE_INSTANT_MAX = 100_000
"""Turns of the loop without any passing of time: a program that does that spins."""


class Deadlock(RuntimeError):
    """Nothing is ready and nothing is scheduled, but somebody still waits; or everybody is ready for ever."""


class Network(Protocol):
    """Who answers `create_server` and `create_connection`."""

    async def listen(self, factory: Callable[[], asyncio.BaseProtocol], port: int) -> asyncio.AbstractServer:
        """Accept connections to `port` of the host that asks."""
        ...

    async def connect(
        self, factory: Callable[[], asyncio.BaseProtocol], host: str, port: int
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Open a connection from the host that asks. OSError where that fails."""
        ...


class _Selector:
    """Waits by moving the loop's clock."""

    def __init__(self, loop: "VirtualLoop") -> None:
        self._loop = loop
        self._turns = 0

    def select(self, timeout: float | None) -> tuple[()]:
        """No events, ever; `timeout` seconds later."""
        if timeout is None:
            raise Deadlock("nothing is ready and nothing is scheduled")
        if timeout > 0:
            self._turns = 0
            self._loop.now_s += timeout
        else:
            self._turns += 1
            if self._turns > TURNS_AT_ONE_INSTANT_MAX:
                raise Deadlock(f"{self._turns} turns without any passing of time")
        return ()

    def close(self) -> None:
        """Nothing is held."""


class VirtualLoop(asyncio.BaseEventLoop):
    """Its time starts at 0. Give it a `network` before anybody listens or connects."""

    network: Network

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 0.0
        self._selector = _Selector(self)
        # A timer is due when its time is as near as floating point can say.
        self._clock_resolution = 1e-6

    def time(self) -> float:
        """Virtual seconds."""
        return self.now_s

    def _process_events(self, _: object) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody waits in another thread."""

    def run_in_executor(self, *_: object) -> Any:
        """Threads have a time of their own."""
        raise RuntimeError("no threads under virtual time")

    async def create_server(  # type: ignore[override]
        self,
        protocol_factory: Callable[[], asyncio.BaseProtocol],
        host: str | None = None,  # noqa: ARG002 - a host has one address here
        port: int = 0,
        **_: object,
    ) -> asyncio.AbstractServer:
        """Listen on the simulated network; TLS is left out."""
        return await self.network.listen(protocol_factory, port)

    async def create_connection(  # type: ignore[override]
        self, protocol_factory: Callable[[], asyncio.BaseProtocol], host: str, port: int, **_: object
    ) -> tuple[asyncio.Transport, asyncio.BaseProtocol]:
        """Connect over the simulated network; TLS is left out."""
        return await self.network.connect(protocol_factory, host, port)
