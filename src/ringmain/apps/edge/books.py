"""Books of the edge: what came in and was not taken, kept over restarts; what was taken is counted by the buffer.

`received = forwarded + buffered + dropped{reason} + rejected{reason} + dead_letter`. A crash loses at most the
refusals of the last seconds; no reading depends on these figures.
"""

import asyncio
import logging
from collections import Counter

import msgspec

from ringmain.gateway.intake import Committed
from ringmain.model.errors import Failed
from ringmain.model.gateway import Count
from ringmain.ports.blobs import Blobs
from ringmain.ports.buffer import DROPPED_LETTERS, BufferStatus

log = logging.getLogger(__name__)

DOCUMENT = "books.json"
KEEP_EVERY_S = 10.0


class _Kept(msgspec.Struct, frozen=True):
    rejected: dict[str, int] = {}
    dead_letters: int = 0
    refused_sign_ins: dict[str, int] = {}
    lost_at_qos0: int = 0


class EdgeBooks:
    """The listeners that the composition hands to the rooms."""

    def __init__(self, blobs: Blobs) -> None:
        self._blobs = blobs
        self._rejected: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._dead_letters = self._lost = 0
        self._kept: _Kept | None = None
        self.messages = 0
        """Messages of meters since the start."""

    async def load(self) -> None:
        """Go on where the last process ended; figures that can not be read begin anew, and that is said."""
        body = await self._blobs.get(DOCUMENT)
        try:
            kept = msgspec.json.decode(body, type=_Kept) if body else _Kept()
        except msgspec.DecodeError as error:
            log.error("the books (%s) can not be read: %s; refusals are counted from 0 again", DOCUMENT, error)
            kept = _Kept()
        self._rejected.update(kept.rejected)
        self._refused.update(kept.refused_sign_ins)
        self._dead_letters, self._lost = kept.dead_letters, kept.lost_at_qos0

    def committed(self, news: Committed) -> None:
        """A commit of the buffer."""
        for rejection in news.batch.rejections:
            self._rejected[rejection.reason] += rejection.count
        self._dead_letters += len(news.batch.dead_letters)

    def received(self, _: str, count: int) -> None:
        """Messages came in."""
        self.messages += count

    def refused(self, code: str) -> None:
        """A sign-in was refused."""
        self._refused[code] += 1

    def dropped(self, count: int) -> None:
        """Messages of QoS 0 came while there was no room: nobody will send them again."""
        self._lost += count

    def counts(self, status: BufferStatus) -> tuple[Count, ...]:
        """The books with what the buffer counts."""
        dropped: Counter[str] = Counter()
        for each in status.dropped:
            dropped[each.reason] += each.count
        rejected = sum(self._rejected.values())
        # Letters that were dropped were counted when they came in; a crash may have lost that.
        letters = max(self._dead_letters, dropped[DROPPED_LETTERS])
        rows = [
            ("received", "", status.taken + letters + rejected + self._lost),
            ("forwarded", "", status.settled),
            ("buffered", "", status.readings),
            ("dead_letter", "", letters - dropped[DROPPED_LETTERS]),
            *(("dropped", reason, count) for reason, count in sorted(dropped.items()) if count),
            *((("dropped", "qos0_no_room", self._lost),) if self._lost else ()),
            *(("rejected", reason, count) for reason, count in sorted(self._rejected.items())),
            *(("sign_in_refused", code, count) for code, count in sorted(self._refused.items())),
        ]
        return tuple(Count(outcome, reason, count) for outcome, reason, count in rows)

    async def run(self) -> None:
        """Keep the figures now and then, until cancelled."""
        while True:
            await asyncio.sleep(KEEP_EVERY_S)
            try:
                await self.keep()
            except Failed as failed:
                log.warning("the books could not be kept: %s; trying again", failed.detail)

    async def keep(self) -> None:
        """Write them down, if they changed."""
        now = _Kept(dict(self._rejected), self._dead_letters, dict(self._refused), self._lost)
        if now != self._kept:
            await self._blobs.put(DOCUMENT, msgspec.json.encode(now))
            self._kept = now
