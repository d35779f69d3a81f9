"""Forwarding: brings what lies in the buffer to the platform. Live first, the backlog beside it at a capped rate.

A row is settled only when `Uplink.send` has returned for it: then the platform has a durable outcome for all of it.
Whatever else happens (the link dies, the platform has no room, it refuses the message), the row stays and goes again.
What goes twice is recognised there.

It must never settle a row before it was acknowledged, and never let one row that is refused hold up the others.
"""

import asyncio
import logging
from collections.abc import Sequence

import msgspec

from ringmain.model.errors import Failed, Refused
from ringmain.model.gateway import GatewaySettings
from ringmain.ports.buffer import Buffer, Row
from ringmain.ports.clock import Clock
from ringmain.ports.uplink import Uplink
from ringmain.services.forwarding.gathering import Gathering, Names
from ringmain.services.forwarding.lanes import Lanes
from ringmain.services.forwarding.pace import Pace
from ringmain.services.forwarding.slots import Slots

log = logging.getLogger(__name__)

CHUNKS = "chunks"
"""The topic, below the gateway's own tree."""

LIVE_BYTES_MAX = 512 * 1024
"""Raw bytes of one live chunk, some 20,000 readings. A lane that is further behind than that skips to the newest."""

BACKLOG_BYTES_MAX = 256 * 1024
"""Read from the buffer at a time for the backlog."""

LIVE_SLOTS, BACKLOG_SLOTS = 4, 4
"""Messages of each lane on their way: together with reports and claims they fit the uplink's own limit of 16."""

RETRY_S = 2.0
"""Between two passes over a backlog of which something was left behind."""


class Drain(msgspec.Struct, frozen=True):
    """How the backlog goes down. `seconds` is None while the uplink is down."""

    readings: int
    bytes: int
    seconds: float | None


class Forwarding:
    """The two lanes. `run` is its only entry; `settings` may be replaced at any time."""

    def __init__(self, buffer: Buffer, uplink: Uplink, clock: Clock, names: Names, settings: GatewaySettings) -> None:
        self.settings = settings
        self.lanes = Lanes()
        self.gathering = Gathering(names)
        self.sent = self.resent = 0
        """Messages acknowledged, and messages that have to go again."""
        self.trouble = ""
        self._buffer = buffer
        self._uplink = uplink
        self._clock = clock
        self._connection = 0
        self._live_slots = asyncio.Semaphore(LIVE_SLOTS)
        self._backlog_slots = Slots(BACKLOG_SLOTS)
        self._more_backlog = asyncio.Event()

    async def run(self) -> None:
        """Forward for ever, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._live(tasks), name="forward-live")
            tasks.create_task(self._backlog(tasks), name="forward-backlog")

    def notice(self) -> None:
        """The uplink went up or down, or rows were sealed."""
        self._more_backlog.set()

    def drain(self) -> Drain:
        """What is behind, and how long it will take at the permitted rate."""
        status = self._buffer.status()
        live = self._buffer.raw_readings(self.lanes.border) if self._is_connected() else 0
        readings = status.readings - live
        size = status.bytes * readings // status.readings if status.readings else 0
        return Drain(readings, size, size / self.settings.backlog_bytes_s if self._is_connected() else None)

    def _is_connected(self) -> bool:
        return self._uplink.is_up and self._connection == self._uplink.connections

    async def _up(self) -> None:
        """Wait for the uplink; the first to see a new connection moves the border."""
        await self._uplink.up()
        if self._connection != self._uplink.connections:
            self._connection = self._uplink.connections
            self.lanes.connected(self._buffer.status().last)
            self._backlog_slots.connected()
            self._more_backlog.set()

    # -- live -----------------------------------------------------------------------------------------------

    async def _live(self, tasks: asyncio.TaskGroup) -> None:
        while True:
            await self._up()
            await self._buffer.wait(self.lanes.live_sent)
            await asyncio.sleep(self.settings.send_every_ms / 1000)
            await self._live_slots.acquire()
            try:
                started = await self._next_live(tasks)
            except Failed as failed:
                await self._troubled(failed)
                started = False
            if not started:
                self._live_slots.release()

    async def _next_live(self, tasks: asyncio.TaskGroup) -> bool:
        """Send what has come since; False where there is nothing to send."""
        if not self._is_connected():
            return False
        rows = await self._buffer.read(self.lanes.live_sent, LIVE_BYTES_MAX, sealed=False)
        if not rows or not self._is_connected():
            return False
        if sum(len(row.body) for row in rows) >= LIVE_BYTES_MAX:
            self.lanes.move_border(self._buffer.status().last)
            self._more_backlog.set()
            return False
        self.lanes.live_sent = rows[-1].offset
        return self._start(tasks, self.free(rows), self._live_slots) > 0

    # -- backlog --------------------------------------------------------------------------------------------

    async def _backlog(self, tasks: asyncio.TaskGroup) -> None:
        pace = Pace(self.settings.backlog_bytes_s, self._clock.monotonic_s())
        while True:
            await self._up()
            try:
                rows = await self._next_rows()
            except Failed as failed:
                await self._troubled(failed)
                continue
            if rows:
                await self._send_backlog(tasks, pace, rows)
            elif self.lanes.again:
                await asyncio.sleep(RETRY_S)
                self.lanes.restart()
            else:
                self._more_backlog.clear()
                await self._more_backlog.wait()

    async def _next_rows(self) -> list[Row]:
        """One sealed row, or some raw ones that make one message; the sealed ones are the older ones."""
        for row in await self._buffer.read(self.lanes.sealed_sent, 1, sealed=True):
            self.lanes.sealed_sent = row.offset
            return [row]
        if self.lanes.raw_sent >= self.lanes.border:
            return []
        read = await self._buffer.read(self.lanes.raw_sent, BACKLOG_BYTES_MAX, sealed=False)
        rows = [row for row in read if row.offset <= self.lanes.border]
        self.lanes.raw_sent = rows[-1].offset if rows else self.lanes.border
        return rows

    async def _send_backlog(self, tasks: asyncio.TaskGroup, pace: Pace, rows: list[Row]) -> None:
        await self._backlog_slots.acquire()
        pace.bytes_s = self.settings.backlog_bytes_s
        while (delay_s := pace.delay_s(self._clock.monotonic_s())) and self._is_connected():  # noqa: ASYNC110 - time is it
            await asyncio.sleep(min(delay_s, 1.0))
        size = self._start(tasks, self.free(rows), self._backlog_slots) if self._is_connected() else 0
        if size:
            pace.spend(size, self._clock.monotonic_s())
        else:
            self._backlog_slots.release()

    # -- both -----------------------------------------------------------------------------------------------

    def free(self, rows: Sequence[Row]) -> list[Row]:
        """Those of them that nobody has in hand, and that can go up."""
        return [row for row in rows if self.lanes.is_free(row.offset) and self.gathering.may(row)]

    def _start(self, tasks: asyncio.TaskGroup, rows: Sequence[Row], slots: asyncio.Semaphore | Slots) -> int:
        """Begin to send free rows; the bytes that go up, 0 where none of the rows can."""
        taken, payloads = self.gathering.messages(rows, self._uplink.payload_bytes_max) if rows else ([], [])
        if taken:
            self.lanes.take(row.offset for row in taken)
            tasks.create_task(self._deliver(taken, payloads, slots))
        return max(1, sum(map(len, payloads))) if taken else 0

    async def _deliver(self, rows: Sequence[Row], payloads: Sequence[bytes], slots: asyncio.Semaphore | Slots) -> None:
        """Send the messages of these rows one after another, and settle the rows when all are acknowledged."""
        offsets = [row.offset for row in rows]
        connection = self._connection
        settled = False
        try:
            for payload in payloads:
                if self._uplink.connections != connection:
                    raise Failed("unavailable", "the uplink ended in between", "all of it goes again")
                began_s = self._clock.monotonic_s()
                await self._uplink.send(CHUNKS, payload)
                self._backlog_slots.answered(self._clock.monotonic_s() - began_s)
                self.sent += 1
            await self._buffer.settle(offsets)
            settled = True
            self.trouble = ""
        except (Failed, Refused) as error:
            self.resent += 1
            self.trouble = error.detail
            self.lanes.fall_back(offsets[-1])
        finally:
            self.lanes.land(offsets, settled=settled)
            slots.release()
            if not settled:
                self._more_backlog.set()

    async def _troubled(self, failed: Failed) -> None:
        if failed.detail != self.trouble:
            log.error("the buffer can not be read: %s; %s", failed.detail, failed.hint)
        self.trouble = failed.detail
        await asyncio.sleep(RETRY_S)
