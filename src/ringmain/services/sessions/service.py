"""Sessions: keeps who is there in memory, moves sessions along their timeline, and writes them behind.

One session per device over all protocols. `active` runs once per socket read on the hot path, so it only notes
the time; deadlines are looked at lazily, by a heap that holds one entry per device and costs only what is due.
Presence is lost by at most a write-behind interval; it must never hold up, or decide on, a reading.

Deadlines are wall time because they outlive the process. A clock that jumps forward makes devices stale until
their next report; the epoch, which decides on disconnects, uses no clock at all.
"""

import asyncio
import heapq
from collections.abc import Iterable

from ringmain.model.errors import Failed
from ringmain.model.ids import DeviceId, DeviceKey
from ringmain.model.session import Session, SessionEvent, SessionState
from ringmain.ports.clock import Clock
from ringmain.ports.presence import Presence
from ringmain.services.sessions import timeline
from ringmain.services.sessions.live import Live

TICK_S = 0.25
"""Write-behind and look at what is overdue. Presence is read by people; quarter seconds look immediate."""

SEEN_EVERY_MS = 10_000
"""Changes of state are written at the next tick; that a device is *still* there only this often, so that traffic
alone does not make the disk sync four times a second beside the ingest log.
"""

FLUSH_MAX = 2_000
"""Sessions written per tick: some 20 ms of SQLite. A reconnect storm of 100,000 is on disk within 13 s."""

OVERDUE_MAX = 5_000
"""Sessions moved per tick, some 10 ms: when a region loses its network the loop must keep serving the others."""


class Sessions:
    """All sessions of the platform. Everything but `start`, `run` and `flush` is memory only and never waits."""

    def __init__(self, presence: Presence, clock: Clock, *, expected_interval_s: int = 60) -> None:
        """`expected_interval_s` stands for devices that nobody said anything about (the generic profile's)."""
        self._presence = presence
        self._clock = clock
        self._default_interval_s = expected_interval_s
        self._live: dict[DeviceKey, Live] = {}
        self._counts = dict.fromkeys(SessionState, 0)
        self._epoch = 0
        self._due: list[tuple[int, DeviceKey]] = []
        self._moved: dict[DeviceKey, None] = {}
        self._seen: dict[DeviceKey, None] = {}
        self._seen_flushed_ms = 0
        self.failed_flushes = 0
        """Write-behinds that did not reach the disk; they are tried again at the next tick."""

    async def start(self) -> None:
        """Load what was known and take this start's epochs. Call once, before any door opens."""
        self._epoch = await self._presence.new_epoch_block()
        now_ms = self._clock.now_ms()
        self._seen_flushed_ms = now_ms
        for it in await self._presence.load():
            deadline_ms = timeline.resumed_at(it.state, it.expected_by_ms, it.expected_interval_s, now_ms)
            live = Live(
                it.device,
                it.state,
                it.epoch,
                it.protocol,
                it.peer,
                it.connected_ms,
                it.last_seen_ms,
                deadline_ms,
                it.expected_interval_s,
            )
            self._live[it.device] = live
            self._counts[it.state] += 1
            self._queue(live)

    def connected(self, device: DeviceKey, expected_interval_s: int, protocol: str, peer: str) -> int:
        """A device signed in over a connection; the epoch to hand to `disconnected` later. It takes the session over
        from any older connection.
        """
        now_ms = self._clock.now_ms()
        self._epoch += 1
        live = self._of(device)
        live.epoch = self._epoch
        live.protocol = protocol
        live.peer = peer
        live.connected_ms = now_ms
        live.interval_s = expected_interval_s
        live.is_attached = True
        self._heard(live, now_ms)
        return self._epoch

    def active(self, device: DeviceKey, at_ms: int, expected_interval_s: int | None = None) -> None:
        """A device said something at `at_ms` (receive time). A device without a connection becomes ONLINE by this
        alone, and may bring its profile's interval along.
        """
        live = self._live.get(device) or self._of(device)
        if expected_interval_s is not None and expected_interval_s != live.interval_s:
            live.interval_s = expected_interval_s
            self._heard(live, at_ms)
        elif live.state is not SessionState.ONLINE:
            self._heard(live, at_ms)
        elif at_ms > live.last_seen_ms:
            live.last_seen_ms = at_ms
            self._seen[device] = None

    def through(self, gateway: DeviceId, devices: Iterable[tuple[DeviceKey, int]], at_ms: int) -> None:
        """A gateway brought something of these devices, each with its profile's interval. Their session is the
        gateway's from now on, except where a connection of their own is open.
        """
        protocol = f"via {gateway}"
        for device, interval_s in devices:
            live = self._of(device)
            if not live.is_attached and live.protocol != protocol:
                self._epoch += 1
                live.epoch, live.protocol, live.peer, live.connected_ms = self._epoch, protocol, "", at_ms
                live.interval_s = interval_s
                self._heard(live, at_ms)
            else:
                self.active(device, at_ms, None if live.is_attached else interval_s)

    def sleeping(self, device: DeviceKey, until_ms: int) -> None:
        """A device announced that it will be away until then. The announcement itself is activity."""
        live = self._of(device)
        self._heard(live, self._clock.now_ms())
        self._become(live, SessionEvent.SLEEP, timeline.awake_at(until_ms, live.interval_s))

    def disconnected(self, device: DeviceKey, epoch: int) -> None:
        """A connection ended. Ignored where a younger one has taken over: its end was only noticed late."""
        live = self._live.get(device)
        if live is None or epoch < live.epoch:
            return
        live.is_attached = False
        if timeline.after(live.state, SessionEvent.DISCONNECT) is SessionState.OFFLINE:
            self._become(live, SessionEvent.DISCONNECT, timeline.NEVER_MS)

    def get(self, device: DeviceKey) -> Session:
        """What is known now; NEVER_SEEN for a device that never said anything."""
        live = self._live.get(device)
        if live is None:
            return Session(device, SessionState.NEVER_SEEN, 0, "", "", 0, 0, 0, self._default_interval_s)
        return live.frozen()

    def counts(self) -> dict[SessionState, int]:
        """Sessions by state. NEVER_SEEN is always 0: those devices are the registry's, they have no session."""
        return dict(self._counts)

    async def run(self) -> None:
        """Advance and write behind until cancelled; what is still unwritten then is written by `flush`."""
        while True:
            await asyncio.sleep(TICK_S)
            self.advance()
            await self._flush(FLUSH_MAX)

    def advance(self) -> int:
        """Move every session whose deadline has passed, at most `OVERDUE_MAX` of them; how many were looked at."""
        now_ms = self._clock.now_ms()
        looked = 0
        while self._due and self._due[0][0] <= now_ms and looked < OVERDUE_MAX:
            queued_ms, device = heapq.heappop(self._due)
            live = self._live[device]
            if live.queued_ms != queued_ms:
                continue  # an entry of a deadline that was brought forward since
            looked += 1
            live.queued_ms = timeline.NEVER_MS
            live.deadline_ms = live.due_ms()
            event = timeline.overdue(live.state)
            if event is not None and live.deadline_ms <= now_ms:
                self._overdue(live, event)
            else:
                self._queue(live)
        return looked

    async def flush(self) -> None:
        """Write everything that is not written yet; for an orderly end, after `run` was cancelled."""
        self._moved.update(self._seen)
        self._seen.clear()
        while self._moved and await self._flush(FLUSH_MAX):
            pass

    async def _flush(self, most: int) -> bool:
        """Write up to `most` changed sessions; False where that failed, and then they stay to be written."""
        now_ms = self._clock.now_ms()
        if now_ms - self._seen_flushed_ms >= SEEN_EVERY_MS:
            self._seen_flushed_ms = now_ms
            self._moved.update(self._seen)
            self._seen.clear()
        if not self._moved:
            return True
        devices = list(self._moved)[:most]
        for device in devices:
            del self._moved[device]
        try:
            await self._presence.save([self._live[device].frozen() for device in devices])
        except Failed:
            self._moved.update(dict.fromkeys(devices))
            self.failed_flushes += 1
            return False
        except asyncio.CancelledError:
            self._moved.update(dict.fromkeys(devices))
            raise
        return True

    def _of(self, device: DeviceKey) -> Live:
        live = self._live.get(device)
        if live is None:
            live = Live(device, SessionState.NEVER_SEEN, 0, "", "", 0, 0, timeline.NEVER_MS, self._default_interval_s)
            self._live[device] = live
            self._counts[SessionState.NEVER_SEEN] += 1
        return live

    def _heard(self, live: Live, at_ms: int) -> None:
        live.last_seen_ms = max(live.last_seen_ms, at_ms)
        self._become(live, SessionEvent.ACTIVITY, timeline.stale_at(live.last_seen_ms, live.interval_s))

    def _overdue(self, live: Live, event: SessionEvent) -> None:
        deadline_ms = timeline.NEVER_MS
        if event is SessionEvent.MISSED:
            deadline_ms = timeline.offline_at(live.deadline_ms, live.interval_s)
        self._become(live, event, deadline_ms)

    def _become(self, live: Live, event: SessionEvent, deadline_ms: int) -> None:
        state = timeline.after(live.state, event)
        if state is None:
            return
        self._counts[live.state] -= 1
        self._counts[state] += 1
        live.state = state
        live.deadline_ms = deadline_ms
        self._moved[live.device] = None
        self._queue(live)

    def _queue(self, live: Live) -> None:
        """Have the session looked at by its deadline. One that is looked at earlier anyway is not queued twice: it
        will be queued anew when it comes up.
        """
        if live.deadline_ms < live.queued_ms:
            live.queued_ms = live.deadline_ms
            heapq.heappush(self._due, (live.deadline_ms, live.device))
