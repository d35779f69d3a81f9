"""Aggregation at the edge: windows that are over go up as readings of derived channels, beside every interval."""

import asyncio
from collections.abc import Sequence

from ringmain.gateway.columns import Growing
from ringmain.gateway.delegated import Delegates
from ringmain.gateway.pipeline import Pipeline
from ringmain.model.batch import Batch, Stamped
from ringmain.ports.clock import Clock
from ringmain.services.aggregation.rolling import Derived, RollingWindows

LOOK_EVERY_S = 1.0


class EdgeAggregation:
    """The windows that the settings name. Other sizes begin with empty windows: what was open is not sent."""

    def __init__(self, pipeline: Pipeline, delegates: Delegates, clock: Clock) -> None:
        self._pipeline = pipeline
        self._delegates = delegates
        self._clock = clock
        self.windows = RollingWindows(())

    def use(self, sizes: Sequence[str]) -> None:
        """Aggregate these windows from now on."""
        if tuple(sizes) != tuple(size for size, _ in self.windows.sizes):
            self.windows = RollingWindows(sizes)

    def begin_anew(self) -> None:
        """Forget what is open: its devices may be others from now on."""
        self.windows = RollingWindows([size for size, _ in self.windows.sizes])

    def committed(self, batch: Batch) -> None:
        """Readings are durable: they count."""
        for block in batch.blocks:
            self.windows.add(block)

    async def run(self) -> None:
        """Send what is over, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            over = self.windows.close(self._clock.now_ms())
            for derived in over:
                self._send(derived)
            if over:
                self._pipeline.intake.commit_soon()

    def _send(self, derived: Derived) -> None:
        principal = self._delegates.principal(derived.device)
        if principal is None:
            return  # no longer ours; the platform aggregates for itself
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
