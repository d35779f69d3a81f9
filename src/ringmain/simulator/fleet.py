"""A fleet of meters on one core: thousands of MQTT connections, one loop that looks at what is due, no task per meter.

Meters connect a few at a time, come back after jittered pauses, are restarted now and then, and repeat what was not
acknowledged. It must never drop what a meter still holds, and never outlive its stop by two seconds.
"""

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random

import msgspec
import numpy as np

from ringmain.model.time import format_rfc3339
from ringmain.simulator.fleet_calls import BACKOFF_S_MAX, Calls, Restarts
from ringmain.simulator.fleet_end import leave
from ringmain.simulator.fleet_meter import NEVER_MS, Meter
from ringmain.simulator.fleet_report import FleetReport, write_progress
from ringmain.simulator.meters import MeterBank
from ringmain.simulator.mqtt_client import PeerError
from ringmain.simulator.publisher import Link
from ringmain.simulator.virtual_time import VirtualTime

TICK_S = (0.005, 0.05)
"""Least and longest pause between two looks at what is due. Each look at 10,000 meters costs some 20 microseconds."""

SWEEP_S = 1.0
"""In this time every connection is asked once whether it must be pinged or has died."""

PROGRESS_EVERY_S = 1.0


class Manner(msgspec.Struct, frozen=True):
    """How the meters of a fleet behave. `reboot_every_h` is a meter's mean time between restarts, 0 for none;
    `retry_s_max` bounds the pause before a meter calls again; `seconds_max` ends the fleet after so long, 0 for never;
    `drain_s` bounds how long it then waits for the rest.
    """

    link: Link
    qos: int = 1
    window: int = 16
    ramp_per_s: float = 200.0
    retry_s_max: float = BACKOFF_S_MAX
    reboot_every_h: float = 0.0
    seconds_max: float = 0.0
    drain_s: float = 30.0
    progress: Path | None = None
    seed: int = 1


class Fleet:
    """Runs `meters` until the stop event, their end, or the end of its time."""

    def __init__(
        self,
        meters: Sequence[Meter],
        banks: Sequence[MeterBank],
        clock: VirtualTime,
        manner: Manner,
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._meters = meters
        self._say = say
        self._banks = banks
        self._clock = clock
        self._manner = manner
        self._random = Random(manner.seed)  # noqa: S311 - not a secret: the same seed must give the same fleet
        self._due = np.array([meter.due_ms for meter in meters], dtype=np.int64)
        self._awake = np.zeros(len(meters), dtype=np.bool_)
        self._calls = Calls(manner.link, manner.ramp_per_s, self._random, manner.retry_s_max)
        self._swept = 0
        self._prefetched = 0
        self._leaving = False
        self._now_ms = 0
        self._said = ""
        self._published = self._acknowledged = self._cuts = self._reboots = 0

    async def run(self, stop: asyncio.Event) -> FleetReport:
        """Live until the end; the final report."""
        self._loop = asyncio.get_running_loop()
        self._began = self._looked = self._told = self._loop.time()
        self._rate, self._told_published = 0.0, 0
        for meter in self._meters:
            self._calls.at(meter, self._began)
        places = range(len(self._meters))
        self._restarts = Restarts(self._manner.reboot_every_h * 3600, places, self._began, self._random)
        async with asyncio.TaskGroup() as tasks:
            ended = await self._live(stop, tasks)
            report = self._report(ended)
            self._leaving = True
            self._due[:] = NEVER_MS
            self._calls.end()
            await leave(self._meters)
        report = msgspec.structs.replace(
            report, acknowledged=self._acknowledged, unacknowledged=self._unacknowledged(), cpu_s=_cpu_s()
        )
        write_progress(self._manner.progress, report)
        return report

    def heard(self, meter: Meter, acknowledged: int) -> None:
        """See `fleet_meter.Base`: there is room in the window, or the connection has just been accepted."""
        self._acknowledged += acknowledged
        if acknowledged:
            meter.attempt = 0
        self._pump(meter)

    def lost(self, meter: Meter, error: Exception | None) -> None:
        """See `fleet_meter.Base`."""
        self._awake[meter.place] = False
        if self._leaving:
            return
        if meter.restarting:
            meter.restarting = False
            self._calls.after_restart(meter, self._loop.time())
        else:
            self._cuts += 1
            self._calls.again(meter, self._loop.time(), error)

    # -- the loop --------------------------------------------------------------------------------------------

    async def _live(self, stop: asyncio.Event, tasks: asyncio.TaskGroup) -> str:
        manner, loop = self._manner, self._loop
        drain_until = 0.0
        while not stop.is_set():
            now = loop.time()
            if not drain_until:
                self._now_ms = self._clock.now_ms()
                if manner.seconds_max and now >= self._began + manner.seconds_max:
                    # From here on virtual time stands still: what is due by now is still to be said.
                    drain_until = now + manner.drain_s
            self._look(now, tasks)
            if drain_until or self._due.min() == NEVER_MS:
                drain_until = drain_until or now + manner.drain_s
                if not (self._due <= self._now_ms).any() and not self._unacknowledged():
                    return "done"
                if now >= drain_until:
                    return "not drained"
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(self._pause()):
                    await stop.wait()
        return "stopped"

    def _look(self, now: float, tasks: asyncio.TaskGroup) -> None:
        for place in np.flatnonzero((self._due <= self._now_ms) & self._awake).tolist():
            self._pump(self._meters[place])
        self._prefetch()
        self._restart(now)
        self._calls.let(now, now - self._looked, self, tasks)
        self._sweep(now)
        self._looked = now
        if now >= self._told + PROGRESS_EVERY_S:
            self._rate = (self._published - self._told_published) / (now - self._told)
            self._told, self._told_published = now, self._published
            if self._said != (trouble := self._calls.trouble):
                self._said = trouble
                self._say(trouble)
            if self._manner.progress is not None:
                write_progress(self._manner.progress, self._report())

    def _pump(self, meter: Meter) -> None:
        """Send what is due, as far as the window (at QoS 0: the socket's buffer) has room."""
        client, transport = meter.client, meter.transport
        if transport is None or not client.connected:
            return
        room = self._manner.window - client.unacknowledged
        if self._due[meter.place] != NEVER_MS:
            while room > 0 and meter.due_ms <= self._now_ms and not meter.paused:
                meter.publish(self._now_ms, self._manner.qos)
                self._published += 1
                room -= 1
            self._due[meter.place] = meter.due_ms
        self._awake[meter.place] = room > 0 or not self._manner.qos
        if data := client.data_to_send(self._loop.time()):
            transport.write(data)

    def _prefetch(self) -> None:
        """Work out one bank's coming readings before they are wanted, so that banks do not all do it at once."""
        self._prefetched = (self._prefetched + 1) % len(self._banks)
        self._banks[self._prefetched].prefetch(self._now_ms)

    def _sweep(self, now: float) -> None:
        """Some of the connections: ping where it is time, leave servers that do not answer."""
        total = len(self._meters)
        for _ in range(min(total, int(total * (now - self._looked) / SWEEP_S) + 1)):
            self._swept = (self._swept + 1) % total
            meter = self._meters[self._swept]
            if meter.transport is None or now < meter.client.deadline():
                continue
            try:
                meter.client.wake(now)
            except PeerError as error:
                self._calls.trouble = str(error)
                meter.transport.abort()
                continue
            meter.transport.write(meter.client.data_to_send(now))

    def _pause(self) -> float:
        """Until the next reading is due, within bounds; while meters are waiting for a call, as short as it gets."""
        if self._calls.waiting(self._looked):
            return TICK_S[0]
        awake = self._due[self._awake]
        if not len(awake):
            return TICK_S[1]
        return float(np.clip((int(awake.min()) - self._now_ms) / 1000 / self._clock.speed, *TICK_S))

    def _restart(self, now: float) -> None:
        """Meters whose time has come lose power: the connection breaks, registers and what is in flight stay."""
        for place in self._restarts.due(now):
            meter = self._meters[place]
            if meter.transport is not None:
                self._reboots += 1
                meter.restarting = True
                meter.transport.abort()

    # -- the books -------------------------------------------------------------------------------------------

    def _unacknowledged(self) -> int:
        return sum(meter.client.unacknowledged for meter in self._meters)

    def _report(self, ended: str = "") -> FleetReport:
        seconds = self._loop.time() - self._began
        rate = self._published / seconds if ended and seconds else self._rate
        return FleetReport(
            meters=len(self._meters),
            connected=sum(meter.up for meter in self._meters),
            published=self._published,
            readings=sum(meter.readings for meter in self._meters),
            acknowledged=self._acknowledged,
            unacknowledged=self._unacknowledged(),
            resent=sum(meter.client.resent for meter in self._meters),
            connections=sum(meter.client.connections for meter in self._meters),
            cuts=self._cuts,
            refused=self._calls.refused,
            reboots=self._reboots,
            behind=sum(meter.behind(self._now_ms) for meter in self._meters),
            seconds=round(seconds, 3),
            rate_per_s=round(rate, 1),
            cpu_s=_cpu_s(),
            virtual=format_rfc3339(self._now_ms // 1000 * 1000),
            real_time=self._clock.speed == 1.0,
            ended=ended,
            trouble=self._calls.trouble,
        )


def _cpu_s() -> float:
    return round(time.process_time(), 3)
