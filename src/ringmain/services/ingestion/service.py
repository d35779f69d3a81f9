"""Ingestion: takes what the log holds into the time-series store, in order, and lets the log forget it in time.

The store's own offset says where to go on, so a crash anywhere repeats at most what the store recognises. The log is
cut only up to an offset that lies in a *checkpointed* store, and some of it is kept for replay besides, as long as
the log has room: a luxury must never be what keeps the doors shut.

It must never skip an entry: while the store can not take one, it waits and tries again, and the log fills to its
limit, where the doors stop acknowledging.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence

from ringmain.model.errors import Failed
from ringmain.model.ids import Offset
from ringmain.ports.clock import Clock
from ringmain.ports.queue import Entry, Queue
from ringmain.ports.timeseries import Appended, TimeSeries

log = logging.getLogger(__name__)

GROUP = "timeseries"

READ_BYTES_MAX = 4 * 1024 * 1024
"""One append: about 100,000 readings, where the store is fastest, and bounded in memory."""

APPEND_EVERY_S = 0.1
"""While readings flow, appends are at least this far apart: a store in columns takes 50,000 readings at once for a
third of the price of fifty times 1,000. The first reading after a silence does not wait.
"""

RETRY_S = 1.0

CHECKPOINT_EVERY_S = 60.0
CHECKPOINT_BYTES = 192 * 1024 * 1024
"""Whichever comes first: so much of the log would have to be read again after a crash, a few seconds of work."""

ROOM_SHARE = 2
"""Above a half of its limit the log keeps nothing for replay; at a half of that, unfolded, a checkpoint is due."""

IDLE_CHECKPOINT_S = 5.0
"""After so long without news everything is folded away, so that the next start is instant."""


class Ingestion:
    """The consumer group of the time-series store."""

    def __init__(
        self,
        queue: Queue,
        timeseries: TimeSeries,
        clock: Clock,
        *,
        retain_bytes: int,
        on_appended: Callable[[Appended, Offset], None],
    ) -> None:
        self._queue = queue
        self._timeseries = timeseries
        self._clock = clock
        self._retain_bytes = retain_bytes
        self._on_appended = on_appended
        self._stored = Offset(0)
        self._unfolded_bytes = 0
        self._checkpoint_bytes = CHECKPOINT_BYTES
        self._folded_at_s = self._appended_at_s = 0.0
        self._folded: list[tuple[Offset, int]] = []
        self._asked = asyncio.Event()
        self._advanced = asyncio.Event()
        self.trouble: Failed | None = None

    @property
    def stored(self) -> Offset:
        """The log offset up to which everything is in the store."""
        return self._stored

    async def start(self) -> None:
        """Find out where to go on, and tell the log that this group exists before anything is cut. A log that ends
        before the store's offset is another log: its entries would be skipped as known, and so it is refused.
        """
        self._stored = await self._timeseries.offset()
        status = await self._queue.status()
        if status.last < self._stored:
            raise Failed(
                "storage_failed",
                f"the store has taken entries up to {self._stored} of its log, but this log ends at {status.last}, so"
                " it is another one; nothing was changed",
                "put back the log that belongs to this store, or both from one backup",
            )
        if status.first > self._stored + 1:
            log.error(
                "the store lacks entries %d to %d, which the log no longer holds; it goes on behind them. Restore the"
                " store from a backup to have them.",
                self._stored + 1,
                status.first - 1,
            )
        self._checkpoint_bytes = min(CHECKPOINT_BYTES, status.limit_bytes // ROOM_SHARE // 2)
        self._unfolded_bytes = status.bytes
        self._folded_at_s = self._clock.monotonic_s()
        await self._queue.acknowledge(GROUP, Offset(0))

    async def run(self) -> None:
        """Store entry after entry, until cancelled. While the store refuses, the same entries are tried again."""
        while True:
            try:
                await self._step()
                self.trouble = None
            except Failed as failed:
                if self.trouble is None or self.trouble.detail != failed.detail:
                    log.error("the store does not take readings: %s; %s", failed.detail, failed.hint)
                self.trouble = failed
                await asyncio.sleep(RETRY_S)

    async def caught_up(self, within_s: float) -> bool:
        """Wait until everything that is in the log now is in the store, so that who was acknowledged can read what he
        wrote; False where that takes longer.
        """
        head = (await self._queue.status()).last
        try:
            async with asyncio.timeout(within_s):
                while self._stored < head:
                    self._asked.set()
                    await self._advanced.wait()
        except TimeoutError:
            return False
        return True

    async def _step(self) -> None:
        await self._gather()
        entries = await self._queue.read(self._stored, READ_BYTES_MAX)
        if not entries:
            try:
                async with asyncio.timeout(IDLE_CHECKPOINT_S):
                    await self._queue.wait(self._stored)
            except TimeoutError:
                if self._unfolded_bytes:
                    await self._fold()
            return
        await self._take(entries)
        due = self._clock.monotonic_s() - self._folded_at_s > CHECKPOINT_EVERY_S
        if due or self._unfolded_bytes > self._checkpoint_bytes:
            await self._fold()

    async def _gather(self) -> None:
        """Let readings gather for a large append, unless somebody waits for them."""
        early_s = self._appended_at_s + APPEND_EVERY_S - self._clock.monotonic_s()
        if early_s > 0:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(early_s):
                    await self._asked.wait()
        self._asked.clear()

    async def _take(self, entries: Sequence[Entry]) -> None:
        self._appended_at_s = self._clock.monotonic_s()
        appended = await self._timeseries.append(entries)
        self._stored = entries[-1].offset
        self._unfolded_bytes += sum(len(entry.body) for entry in entries)
        advanced, self._advanced = self._advanced, asyncio.Event()
        advanced.set()
        self._on_appended(appended, self._stored)

    async def _fold(self) -> None:
        """Checkpoint the store; then let the log go behind what is folded, less what is kept for replay."""
        folded = await self._timeseries.checkpoint()
        self._folded_at_s = self._clock.monotonic_s()
        if folded < self._stored:
            return
        await self._queue.acknowledge(GROUP, folded)
        self._folded.append((folded, self._unfolded_bytes))
        self._unfolded_bytes = 0
        kept = sum(size for _, size in self._folded)
        while len(self._folded) > 1 and kept - self._folded[0][1] >= self._retain_bytes:
            offset, size = self._folded.pop(0)
            kept -= size
            await self._queue.cut(offset)
        status = await self._queue.status()
        if status.bytes > status.limit_bytes // ROOM_SHARE:
            self._folded.clear()
            await self._queue.cut(folded)

    async def finish(self) -> None:
        """Store what the log still holds and fold it away; for a shutdown."""
        while entries := await self._queue.read(self._stored, READ_BYTES_MAX):
            await self._take(entries)
        if self._unfolded_bytes:
            await self._fold()
