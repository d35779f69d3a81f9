"""Aggregation at the edge: windows that are over go up as readings of derived channels, beside every interval."""

import asyncio
from collections import deque
from collections.abc import Sequence
from itertools import count

from ringmain.gateway.columns import Growing
from ringmain.gateway.delegated import Delegates
from ringmain.gateway.pipeline import Pipeline
from ringmain.model.batch import Batch, Stamped
from ringmain.model.device import Principal
from ringmain.model.errors import Failed
from ringmain.ports.clock import Clock
from ringmain.services.aggregation.rolling import Derived, RollingWindows

LOOK_EVERY_S = 1.0

WAITING_MAX = 10_000
"""Closed windows that wait for room: those of 200 meters over half a day of quarters. Beyond that the oldest go."""


class EdgeAggregation:
    """The windows that the settings name. Other sizes begin with empty windows: what was open is not sent."""

    def __init__(self, pipeline: Pipeline, delegates: Delegates, clock: Clock) -> None:
        self._pipeline = pipeline
        self._delegates = delegates
        self._clock = clock
        self.windows = RollingWindows(())
        self._waiting: deque[Derived] = deque()
        self._given: dict[bytes, Derived] = {}
        """In a batch that is not durable yet, by a number of ours."""
        self._numbers = count()
        self._held = False

    def use(self, sizes: Sequence[str]) -> None:
        """Aggregate these windows from now on."""
        if tuple(sizes) != tuple(size for size, _ in self.windows.sizes):
            self.windows = RollingWindows(sizes)

    def begin_anew(self) -> None:
        """Forget what is open, or waits: its devices may be others from now on."""
        self._waiting.clear()
        self.windows = RollingWindows([size for size, _ in self.windows.sizes])

    def committed(self, batch: Batch) -> None:
        """Readings are durable: they count."""
        for block in batch.blocks:
            self.windows.add(block)

    async def run(self) -> None:
        """Send what is over, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._waiting += self.windows.close(self._clock.now_ms())
            while len(self._waiting) > WAITING_MAX:
                self._waiting.popleft()
                self.windows.cut += 1
            while self._waiting and not self._held:
                self._send(self._waiting.popleft())

    # -- a depositor of the intake --------------------------------------------------------------------------

    def settle(self, identifiers: list[bytes], failed: Failed | None) -> None:
        """See `gateway.intake`: what was not taken goes again."""
        given = [self._given.pop(identifier) for identifier in identifiers]
        if failed:
            self._waiting.extendleft(reversed(given))

    def refuse(self, identifiers: list[bytes], reason: str) -> None:
        """See `gateway.intake`: nobody judges what is ours."""

    def hold(self) -> None:
        """See `gateway.intake`."""
        self._held = True

    def resume(self) -> None:
        """See `gateway.intake`."""
        self._held = False

    def _send(self, derived: Derived) -> None:
        principal = self._delegates.principal(derived.device)
        if principal is None:
            return  # no longer ours; the platform aggregates for itself
        self._put(principal, derived)
        identifier = next(self._numbers).to_bytes(8, "little")
        self._given[identifier] = derived
        self._pipeline.intake.enlist(self, [identifier])

    def _put(self, principal: Principal, derived: Derived) -> None:
        batch = self._pipeline.intake.batch()
        batch.messages += 1
        shapes = batch.shapes(self._pipeline.admit(principal).lane, Stamped.DEVICE)
        for names, values, exact in (
            (tuple(derived.exact), derived.exact.values(), True),
            (tuple(derived.measured), derived.measured.values(), False),
        ):
            if names:
                growing = shapes.get(names) or shapes.setdefault(names, Growing(names, exact=exact))
                growing.add(derived.device, derived.at_ms, values)
