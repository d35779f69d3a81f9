"""Aggregation: decides when a window is settled. The store computes it; late data makes it compute again.

A device's watermark is its greatest stored event time, less the allowed lateness. A pending window that ends at or
before the watermark is due, whether it is settled for the first time or, after late data, again: both are one rule.
Event time decides, so a meter that replays last year closes last year's windows as it goes. A clock that runs ahead
does not close windows early: the watermark is never later than now. Windows of a device that fell silent close
after a grace of wall time.

It must never look at readings, and never at windows that are not pending: the marks are the store's, written with
the readings, so nothing here needs to survive a crash.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence

import msgspec

from ringmain.model.errors import Failed
from ringmain.model.ids import DeviceKey
from ringmain.ports.clock import Clock
from ringmain.ports.timeseries import Appended
from ringmain.ports.windows import WindowKey, WindowRevision, Windows

_log = logging.getLogger(__name__)


class AggregationSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How patient aggregation is. All in seconds but `settle_max`."""

    allowed_lateness_s: float = 60.0
    """How far behind its newest reading a device may still deliver into an open window. Later is not lost: it
    makes a revision."""
    silence_grace_s: float = 900.0
    """A device that stored nothing new for so long (wall time) has its ended windows closed without it."""
    interval_s: float = 1.0
    """Between two looks at what is pending."""
    revision_interval_s: float = 10.0
    """A window is not revised more often: a backlog that trickles in makes a few revisions, not one a second."""
    settle_max: int = 500
    """Windows in one transaction of the store, so that ingestion waits for tens of milliseconds at most."""


class AggregationStatus(msgspec.Struct, frozen=True):
    """For metrics. `pending` is what the last look found and did not settle."""

    pending: int
    closed: int
    revised: int
    failures: int


class _Progress(msgspec.Struct, frozen=True):
    """Since when (monotonic) a device's greatest event time has been what it is."""

    newest_ms: int
    since_s: float


class Aggregation:
    """Settles what is due. One instance; `run` is its only task, `notice` what ingestion calls after each append."""

    def __init__(self, windows: Windows, clock: Clock, settings: AggregationSettings | None = None) -> None:
        self._windows = windows
        self._clock = clock
        self._settings = settings or AggregationSettings()
        self._stale = True
        self._pending: Sequence[WindowKey] = ()
        self._newest: dict[DeviceKey, int] = {}
        self._progress: dict[DeviceKey, _Progress] = {}
        self._settled_at_s: dict[WindowKey, float] = {}
        self._closed = self._revised = self._failures = 0

    def notice(self, appended: Appended | None = None) -> None:
        """Something was stored (None: by another way than an append), so there may be new pending windows."""
        if appended is None or appended.stored:
            self._stale = True

    def status(self) -> AggregationStatus:
        """Counts since the start."""
        return AggregationStatus(len(self._pending), self._closed, self._revised, self._failures)

    async def run(self) -> None:
        """Settle for ever. A store that fails keeps its marks: it is asked again after the next interval. A look
        that took long is followed by a pause nine times as long, so that at most a tenth of the time goes there.
        """
        while True:
            began_s = self._clock.monotonic_s()
            try:
                await self.settle_due()
            except Failed as error:
                self._failures += 1
                _log.warning("windows were not settled (%s): their marks are kept, trying again", error.detail)
            took_s = self._clock.monotonic_s() - began_s
            await asyncio.sleep(max(self._settings.interval_s, 9 * took_s))

    async def settle_due(self) -> Sequence[WindowRevision]:
        """Settle every window that is due now, in bounded batches; the revisions that were written."""
        await self._look()
        due = self._due()
        revisions: list[WindowRevision] = []
        for start in range(0, len(due), self._settings.settle_max):
            keys = due[start : start + self._settings.settle_max]
            written = await self._windows.settle(keys, self._clock.now_ms())
            self._count(keys, written)
            revisions.extend(written)
        return revisions

    async def _look(self) -> None:
        """Read the marks again, but only if something was stored since they were last read."""
        if self._stale:
            self._stale = False  # before the await: what is stored meanwhile counts for the next look
            try:
                self._newest = await self._windows.watermarks()
                self._pending = await self._windows.pending()
            except Failed:
                self._stale = True
                raise
        now_s = self._clock.monotonic_s()
        progress = {}
        for device in {key.device for key in self._pending}:
            newest_ms, known = self._newest.get(device, 0), self._progress.get(device)
            unchanged = known is not None and known.newest_ms == newest_ms
            progress[device] = known if known and unchanged else _Progress(newest_ms, now_s)
        self._progress = progress
        horizon_s = now_s - self._settings.revision_interval_s
        self._settled_at_s = {key: at_s for key, at_s in self._settled_at_s.items() if at_s > horizon_s}

    def _due(self) -> list[WindowKey]:
        """Due windows, those that ended first in front."""
        now_ms, now_s = self._clock.now_ms(), self._clock.monotonic_s()
        closed_until_ms = {
            device: self._closed_until_ms(known, now_ms, now_s) for device, known in self._progress.items()
        }
        due: Iterator[WindowKey] = (
            key for key in self._pending if key.end_ms <= closed_until_ms[key.device] and key not in self._settled_at_s
        )
        return sorted(due, key=lambda key: (key.end_ms, key))

    def _closed_until_ms(self, known: _Progress, now_ms: int, now_s: float) -> int:
        silent = now_s - known.since_s >= self._settings.silence_grace_s
        reference_ms = now_ms if silent else min(known.newest_ms, now_ms)
        return reference_ms - int(self._settings.allowed_lateness_s * 1000)

    def _count(self, keys: Sequence[WindowKey], written: Sequence[WindowRevision]) -> None:
        now_s = self._clock.monotonic_s()
        self._settled_at_s.update(dict.fromkeys(keys, now_s))
        settled = set(keys)
        self._pending = [key for key in self._pending if key not in settled]
        self._revised += sum(1 for each in written if each.revision)
        self._closed += sum(1 for each in written if not each.revision)
