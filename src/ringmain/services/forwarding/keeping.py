"""Keeping: how the buffer stays small. Raw rows that have to wait are sealed into compressed chunks, and when the
buffer is full its declared policy acts: the doors stop (`reject`), the oldest go (`drop_oldest`), or the oldest are
thinned (`downsample`), again and again with a coarser step, until nothing is left to thin.

Every reading that is given up is counted with its device and the reason, in the transaction that gives it up. What is
on its way to the platform is never touched.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence

from ringmain.model.bulk.codec import ChunkError, decode_chunk, encode_chunk
from ringmain.model.bulk.gather import thin
from ringmain.model.bulk.layout import LETTERS_BYTES_MAX
from ringmain.model.errors import Failed, Refused
from ringmain.model.gateway import DropPolicy, GatewaySettings
from ringmain.model.ids import DeviceId, Offset
from ringmain.ports.buffer import DROPPED_LETTERS, Buffer, Dropped, Row, SealedRow
from ringmain.ports.clock import Clock
from ringmain.ports.uplink import Uplink
from ringmain.services.forwarding.gathering import OWN_READINGS_MAX, Gathering, held_by, sealed_row
from ringmain.services.forwarding.lanes import Lanes

log = logging.getLogger(__name__)

SEAL_READINGS = 12_000
"""One sealed chunk: a minute of 200 meters at 1 Hz. Larger ones compress little better, and hold the loop longer."""

SEAL_AFTER_S = 60.0
"""Fewer readings are sealed too when they have waited for so long."""

SEAL_BYTES_MAX = 1024 * 1024
"""Raw bytes read for one seal."""

LOOK_EVERY_S = 1.0

ROOM_SHARE, ROOM_BYTES = 0.05, 256 * 1024
"""The policy keeps so much of the buffer free, the larger of the two but never more than a quarter: a commit of the
doors has to fit into it, or they would stay closed although something could go.
"""

DISK_ROOM_BYTES = 2 * 1024 * 1024
"""The same on a disk that is short of room, as free pages of the file: a commit of 20,000 messages, or a large letter.
Less than what the file gives back to the disk, or it would be given up again and again.
"""

ROOM_ROWS = 8
"""Rows given up at a time."""

DOWNSAMPLE_S_MAX = 86_400
"""Thinned to one reading a day there is nothing left to thin; then the oldest go."""


class Keeper:
    """Seals and makes room. `free` says which rows may be touched, `gathering` makes chunks of raw ones, and `notice`
    is told when there are new sealed rows.
    """

    def __init__(
        self,
        buffer: Buffer,
        uplink: Uplink,
        clock: Clock,
        lanes: Lanes,
        settings: GatewaySettings,
        *,
        free: Callable[[Sequence[Row]], list[Row]],
        gathering: Gathering,
        notice: Callable[[], None],
    ) -> None:
        self.settings = settings
        self.step_s = 0
        """What DOWNSAMPLE has come to: it starts at the setting's step and doubles with each pass."""
        self._buffer = buffer
        self._uplink = uplink
        self._clock = clock
        self._lanes = lanes
        self._free = free
        self._gathering = gathering
        self._notice = notice
        self._thinned = Offset(0)
        self._waiting_since_s: float | None = None

    async def run(self) -> None:
        """Look at the buffer for ever, until cancelled."""
        while True:
            try:
                await self.seal()
                await self.make_room()
            except Failed as failed:
                log.error("the buffer can not be tidied: %s; %s", failed.detail, failed.hint)
            await asyncio.sleep(LOOK_EVERY_S)

    # -- sealing --------------------------------------------------------------------------------------------

    async def seal(self, *, now: bool = False) -> None:
        """Seal what has to wait, chunk by chunk; `now`, however little it is and however short it has waited."""
        while free := await self._sealable(now=now):
            rows, pieces = self._gathering.raw(free, LETTERS_BYTES_MAX)
            if not rows:
                continue
            offsets = [row.offset for row in rows]
            self._lanes.take(offsets)
            try:
                await self._buffer.replace(offsets, [sealed_row(*piece) for piece in pieces], ())
                self._waiting_since_s = None
                self._notice()
            except Refused:
                pass  # settled meanwhile: nothing to seal any more
            finally:
                self._lanes.land(offsets, settled=True)
            await asyncio.sleep(0)

    async def holds_raw(self, last: Offset) -> bool:
        """Whether a raw row up to there is left that can be sealed, or is on its way."""
        after = Offset(0)
        while rows := await self._buffer.read(after, SEAL_BYTES_MAX, sealed=False):
            if any(row.offset <= last and self._gathering.may(row) for row in rows):
                return True
            after = rows[-1].offset
        return False

    async def close(self) -> None:
        """Seal all that is left, when nothing is on its way any more."""
        try:
            await self.seal(now=True)
        except Failed as failed:
            log.error("%s; what is not sealed needs names.json", failed.detail)

    async def _sealable(self, *, now: bool) -> list[Row]:
        """The oldest raw rows that have to wait, if they are enough or have waited long enough."""
        status = self._buffer.status()
        if status.rows == status.sealed_rows:
            self._waiting_since_s = None
            return []
        now_s = self._clock.monotonic_s()
        if self._waiting_since_s is None:
            self._waiting_since_s = now_s
        late = now or now_s - self._waiting_since_s >= SEAL_AFTER_S
        if status.readings - status.sealed_readings < SEAL_READINGS and not late:
            return []
        border = self._lanes.border if self._uplink.is_up else status.last
        rows: list[Row] = []
        readings = 0
        for row in await self._first_free(Offset(0), sealed=False):
            if row.offset > border:
                break
            rows.append(row)
            readings += row.readings
            if readings >= SEAL_READINGS:
                return rows
        return rows if late else []

    async def _first_free(self, after: Offset, *, sealed: bool) -> list[Row]:
        """The oldest rows of that kind that may be touched, however much lies before them that may not."""
        while read := await self._buffer.read(after, SEAL_BYTES_MAX, sealed=sealed):
            if free := self._free(read):
                return free
            after = read[-1].offset
        return []

    # -- room -----------------------------------------------------------------------------------------------

    async def make_room(self) -> None:
        """Act by the policy until there is room, or nothing that may go."""
        while self.settings.policy is not DropPolicy.REJECT and self._is_full():
            if not await self._give_up():
                await self.seal(now=True)  # what is raw yet can go when it is sealed
                if not await self._give_up():
                    return
            await asyncio.sleep(0)
        if not self._buffer.status().sealed_rows:
            self._thinned, self.step_s = Offset(0), 0  # the next outage begins with the setting's own step

    def _is_full(self) -> bool:
        """Whether the doors would soon be refused. On a disk that is short of room what was given up is free pages of
        the file: the disk gains nothing by it, but new rows go there.
        """
        status, settings = self._buffer.status(), self.settings
        no_disk = status.free_bytes < settings.free_bytes_min and status.free_page_bytes < DISK_ROOM_BYTES
        return no_disk or status.used_bytes > settings.buffer_bytes_max - _room(settings.buffer_bytes_max)

    async def _give_up(self) -> bool:
        """One step of the policy; False where nothing may go now."""
        if self.settings.policy is DropPolicy.DOWNSAMPLE and self.step_s <= DOWNSAMPLE_S_MAX:
            self.step_s = self.step_s or self.settings.downsample_s
            rows = await self._oldest(self._thinned)
            if not rows:
                self._thinned, self.step_s = Offset(0), self.step_s * 2
                return True
            await self._thin(rows[0])
            return True
        rows = await self._oldest(Offset(0))
        if rows:
            await self._drop(rows)
        return bool(rows)

    async def _oldest(self, after: Offset) -> list[Row]:
        """The oldest sealed rows behind `after` that are free. Where none is sealed there is nothing to give up yet:
        what waits is sealed first.
        """
        return (await self._first_free(after, sealed=True))[:ROOM_ROWS]

    async def _drop(self, rows: Sequence[Row]) -> None:
        readings: Counter[DeviceId] = Counter()
        letters: Counter[DeviceId] = Counter()
        for row in rows:
            some, more = held_by(row)
            readings += some
            letters += more
        await self._replace(rows, (), [*_dropped(readings, "drop_oldest"), *_dropped(letters, DROPPED_LETTERS)])

    async def _thin(self, row: Row) -> None:
        """One row at the present step; it goes on as a new row, behind those that are still to be thinned."""
        try:
            kept, dropped = thin(decode_chunk(row.body, readings_max=OWN_READINGS_MAX), self.step_s)
        except ChunkError as error:
            log.error("row %d of the buffer can not be thinned: %s", row.offset, error)
            self._thinned = row.offset
            return
        self._thinned = row.offset
        if dropped:
            sealed = [sealed_row(kept, encode_chunk(kept))] if kept.readings else []
            await self._replace([row], sealed, _dropped(dropped, "downsampled"))

    async def _replace(self, rows: Sequence[Row], sealed: Sequence[SealedRow], dropped: Sequence[Dropped]) -> None:
        offsets = [row.offset for row in rows]
        self._lanes.take(offsets)
        try:
            await self._buffer.replace(offsets, sealed, dropped)
            self._notice()
        except Refused:
            pass  # settled meanwhile: that made room too
        finally:
            self._lanes.land(offsets, settled=True)


def _room(bytes_max: int) -> int:
    """What is kept free of a buffer of that size."""
    return min(bytes_max // 4, max(int(bytes_max * ROOM_SHARE), ROOM_BYTES))


def _dropped(counts: dict[DeviceId, int], reason: str) -> list[Dropped]:
    return [Dropped(device, reason, count) for device, count in counts.items()]
