"""Intake: where everything that arrives waits for the commit that makes it durable, and is then answered.

One batch is open at a time. While the log syncs it, the next one fills: that is the group commit, and its price is
one sync for however many messages came meanwhile. Receipts are settled after the commit and never before.

Trouble: when the log is full or the disk is, nothing was taken; those who wait are told so and the intake tries
again with whatever comes next. When a sync failed, nobody is told anything positive ever again: `on_broken` ends the
process (a failed commit is indeterminate; the senders send again and the store recognises what it has).
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

import msgspec

from ringmain.gateway.columns import OpenBatch
from ringmain.model.batch import Batch, encode_batch
from ringmain.model.errors import Failed
from ringmain.model.ids import Offset
from ringmain.ports.clock import Clock
from ringmain.ports.queue import NO_RECORDS, Records

log = logging.getLogger(__name__)

OPEN_MESSAGES_MAX = 20_000
"""Messages in the open batch before those who deliver are held: some 2 MB, a tenth of a second at full rate."""

OPEN_BYTES_MAX = 32 * 1024 * 1024
"""The same for payloads, which may be a packet long: dead letters are kept whole, and so are their bytes."""

RETRY_S = 0.5
"""Between attempts while there is no room: often enough to resume at once, seldom enough to cost nothing."""


Then = Callable[[Failed | None], None]
"""What follows a commit."""


class Depositor(Protocol):
    """Somebody who delivered messages and waits for their durable outcome."""

    def settle(self, identifiers: list[bytes], failed: Failed | None) -> None:
        """`failed` is None when they are durable; otherwise none of them may be acknowledged."""
        ...

    def refuse(self, identifiers: list[bytes], reason: str) -> None:
        """These, which are about to be enlisted, were rejected for `reason`: that is the outcome to be told."""
        ...

    def hold(self) -> None:
        """Deliver no more for now."""
        ...

    def resume(self) -> None:
        """Go on."""
        ...


class Durable(Protocol):
    """Where batches become durable: the ingest log of a platform, the buffer of an edge."""

    async def append(self, body: bytes, records: Records = NO_RECORDS) -> Offset:
        """See `ports.queue.Queue.append`."""
        ...


class Buffered(Protocol):
    """Where batches become durable, and nothing else."""

    async def append(self, body: bytes) -> Offset:
        """See `ports.buffer.Buffer.append`."""
        ...


class Unrecorded:
    """`Durable` of a door whose sessions end with their connection: of a will, and of whatever else is there as long as
    the process is, nothing has to be found after a restart.
    """

    def __init__(self, buffer: Buffered) -> None:
        self._buffer = buffer

    async def append(self, body: bytes, records: Records = NO_RECORDS) -> Offset:  # noqa: ARG002 - see above
        """See `Durable`."""
        return await self._buffer.append(body) if body else Offset(0)


class Committed(msgspec.Struct, frozen=True, gc=False):
    """News of one commit, for the books."""

    batch: Batch
    messages: int
    seconds: float


class Intake:
    """The open batch and who waits for it."""

    def __init__(
        self,
        queue: Durable,
        clock: Clock,
        on_commit: Callable[[Committed], None],
        on_broken: Callable[[Failed], None],
        linger_s: Callable[[], float] = lambda: 0.0,
    ) -> None:
        """`linger_s` is how long a batch stays open for company once something is in it. A platform has company enough
        (0); an edge spares its flash: two hundred meters a second are then ten syncs and not two hundred.
        """
        self._queue = queue
        self._clock = clock
        self._on_commit = on_commit
        self._on_broken = on_broken
        self._linger_s = linger_s
        self._filled = asyncio.Event()
        self._waiting: dict[Depositor, list[bytes]] = {}
        self._held: dict[Depositor, None] = {}
        self._batch = OpenBatch(clock.now_ms())
        self._records: dict[bytes, bytes | None] = {}
        self._tidy: dict[bytes, bytes | None] = {}
        self._then: list[Then] = []
        self._last: list[Then] = []
        self._committing = asyncio.Lock()
        self.trouble: Failed | None = None

    def batch(self) -> OpenBatch:
        """The open batch; its receive time is fixed when its first message comes."""
        batch = self._batch
        if not batch.messages:
            batch.received_ms = self._clock.now_ms()
        return batch

    def enlist(self, depositor: Depositor, identifiers: list[bytes]) -> None:
        """What `depositor` just put into the open batch; it hears of the outcome through `settle`."""
        waiting = self._waiting.get(depositor)
        if waiting is None:
            self._waiting[depositor] = list(identifiers)
        else:
            waiting += identifiers
        if self._batch.messages > OPEN_MESSAGES_MAX or self._batch.payload_bytes > OPEN_BYTES_MAX:
            self._held[depositor] = None
            depositor.hold()
        self._filled.set()

    def record(self, records: Records, then: "Then | None" = None, *, last: bool = False) -> None:
        """Make these durable with the next commit, and only then go on with `then`, which hears of a failure instead
        where there was one: nothing of it is kept then. With `last` it follows the receipts of that commit, and so does
        what is recorded behind it: the order stays.
        """
        for key, value in records.items():
            self._tidy.pop(key, None)
            self._records[key] = value
        if then:
            (self._last if last or self._last else self._then).append(then)
        self._filled.set()

    def insist(self, records: Records, then: "Then") -> None:
        """`record`, and again while there is no room: for what no peer can be refused. `then` hears of no full disk."""

        def committed(failed: Failed | None) -> None:
            if failed is not None and failed.code == "storage_full":
                self.record(records, committed)
            else:
                then(failed)

        self.record(records, committed)

    def tidy(self, key: bytes, value: bytes | None = None) -> None:
        """Of no consequence but room, or a repetition after a crash: it goes with the next commit that succeeds."""
        (self._records if key in self._records else self._tidy)[key] = value
        self._filled.set()

    def commit_soon(self) -> None:
        """Something is in the open batch that nobody waits for."""
        self._filled.set()

    async def run(self) -> None:
        """Commit batch after batch, until cancelled."""
        while True:
            await self._filled.wait()
            self._filled.clear()
            linger_s = self._linger_s()
            if linger_s:
                await asyncio.sleep(linger_s)
            await self._commit()
            if self.trouble:
                await asyncio.sleep(RETRY_S)

    async def drain(self) -> None:
        """Wait for the commit under way and commit what is open then; for a shutdown. What comes meanwhile is not
        waited for: under load there would be no end of it.
        """
        async with self._committing:
            if (self._waiting or self._then or self._last or self._records or self._tidy) and not self.trouble:
                await self._commit_open()

    async def _commit(self) -> None:
        async with self._committing:
            await self._commit_open()

    async def _commit_open(self) -> None:
        batch, waiting, held = self._batch, self._waiting, self._held
        self._batch, self._waiting, self._held = OpenBatch(self._clock.now_ms()), {}, {}
        records, tidy, then, last = self._records, self._tidy, self._then, self._last
        self._records, self._tidy, self._then, self._last = {}, {}, [], []
        sealed = batch.seal()
        started = self._clock.monotonic_s()
        failed: Failed | None = None
        try:
            if sealed.blocks or sealed.dead_letters or sealed.rejections or not (records or tidy):
                await self._queue.append(encode_batch(sealed), {**tidy, **records})
            else:
                await self._queue.append(b"", {**tidy, **records})
        except Failed as error:
            failed = error
            self._tidy = {**tidy, **self._tidy}
        self.trouble = failed
        if failed is None:
            self._on_commit(Committed(sealed, batch.messages, self._clock.monotonic_s() - started))
        _follow(then, failed)
        for depositor, identifiers in waiting.items():
            try:
                depositor.settle(identifiers, failed)
            except Exception:
                log.exception("a depositor could not be told of the outcome; the others are")
        _follow(last, failed)
        for depositor in held:
            depositor.resume()
        if failed is not None and failed.code != "storage_full":
            self._on_broken(failed)

    async def probe(self) -> None:
        """While in trouble, find out whether there is room again; so that a platform that turns everybody away
        notices that it need not.
        """
        while True:
            await asyncio.sleep(RETRY_S)
            if self.trouble and self.trouble.code == "storage_full" and not self._waiting:
                await self._commit()


def _follow(then: list[Then], failed: Failed | None) -> None:
    for each in then:
        try:
            each(failed)
        except Exception:
            log.exception("what follows a commit failed; the others go on")
