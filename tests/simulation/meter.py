"""A meter of the world: counts energy, keeps every interval in its flash, and sends what nobody has acknowledged.

It runs the machine of `simulator/mqtt_client`. A steady one holds its connection and speaks whenever it has something
to say; a hasty one comes, delivers everything by `simulator/publisher`, and goes.
"""

import asyncio
import contextlib
from dataclasses import dataclass, field

import msgspec

from ringmain.simulator.mqtt_client import MqttClient, PeerError, Settings
from ringmain.simulator.publisher import Link, Undelivered, deliver

INTERVAL_MS = 1_800_000
FIRST_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z: the first interval of every meter."""

SEND_SPAN_S_MAX = 60.0


@dataclass
class Plan:
    """What a seed makes of a meter."""

    name: str
    token: str
    where: str
    port: int
    hasty: bool
    every_s: float
    per_message_max: int
    keep_alive_s: int
    stall_s: float
    window: int
    changes_name: bool


@dataclass
class Flash:
    """What a meter keeps without power."""

    readings: dict[int, int] = field(default_factory=dict)
    done: set[int] = field(default_factory=set)


class Remembering(MqttClient):
    """Says which messages were acknowledged."""

    def __init__(self, settings: Settings, acknowledged):
        super().__init__(settings)
        self._tell = acknowledged

    def _on_puback(self, packet_id: int) -> None:
        message = self._in_flight.get(packet_id)
        super()._on_puback(packet_id)
        self._tell(message.payload)


class MeterLink(asyncio.Protocol):
    """One connection of a steady meter."""

    def __init__(self, client: MqttClient):
        self.client = client
        self.over = asyncio.get_running_loop().create_future()
        self._loop = asyncio.get_running_loop()
        self._transport = None
        self._timer = None

    def connection_made(self, transport):
        self._transport = transport
        self.client.connect(self._loop.time())
        self.flush()
        self._arm()

    def data_received(self, data):
        try:
            self.client.receive(data, self._loop.time())
        except PeerError as error:
            self.end(error)
        else:
            self.flush()
            self._timer.cancel()
            self._arm()

    def connection_lost(self, exc):
        self.end(exc or EOFError("closed"))

    def flush(self):
        if self._transport:
            data = self.client.data_to_send(self._loop.time())
            if data:
                self._transport.write(data)

    def end(self, error):
        transport, self._transport = self._transport, None
        if self._timer:
            self._timer.cancel()
        if transport:
            transport.abort()
        if not self.over.done():
            self.over.set_result(error)

    def _arm(self):
        self._timer = self._loop.call_at(max(self.client.deadline(), self._loop.time() + 0.01), self._wake)

    def _wake(self):
        now = self._loop.time()
        try:
            if now >= self.client.deadline():
                self.client.wake(now)
        except PeerError as error:
            self.end(error)
            return
        self.flush()
        self._arm()


class Meter:
    """The program of a meter's node."""

    def __init__(self, world, plan: Plan):
        self.world, self.plan = world, plan
        self.flash = Flash()
        self.boots = 0
        self.client: Remembering | None = None
        self.link: MeterLink | None = None
        self.counting = True

    async def run(self, _mount) -> None:
        plan, chance = self.plan, self.world.chance
        self.boots += 1
        settings = Settings(plan.name, plan.name, plan.token, plan.window, plan.keep_alive_s, plan.stall_s)
        self.client = Remembering(settings, self._acknowledged)
        self.link = None
        self._queue(sorted(set(self.flash.readings) - self.flash.done))
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._count())
            tasks.create_task(self._hasty() if plan.hasty else self._steady(chance))

    def _acknowledged(self, payload: bytes) -> None:
        stamps = self.world.oracle.acknowledged(self.plan.name, payload)
        self.world.note(f"{self.plan.name} acked {len(stamps)}")
        if self.world.chance.random() < 0.8:  # otherwise it forgets that when it loses power
            self.flash.done.update(stamps)

    def _queue(self, stamps: list[int]) -> None:
        chance = self.world.chance
        while stamps:
            count = chance.randint(1, self.plan.per_message_max)
            rows = [(at_ms, self.flash.readings[at_ms]) for at_ms in stamps[:count]]
            stamps = stamps[count:]
            self.client.publish("telemetry", self.world.oracle.payload(rows))

    async def _count(self) -> None:
        """An interval ends every now and then, and is in flash at once."""
        chance = self.world.chance
        waiting: list[int] = []
        while True:
            await asyncio.sleep(chance.uniform(0.2, 1.8) * self.plan.every_s)
            if not self.counting:
                self._queue(waiting)
                waiting = []
                if self.link:
                    self.link.flush()
                continue
            at_ms = FIRST_MS + len(self.flash.readings) * INTERVAL_MS
            self.flash.readings[at_ms] = energy_wh = chance.randint(0, 2_500)
            self.world.oracle.counted(self.plan.name, at_ms, energy_wh)
            waiting.append(at_ms)
            if len(waiting) >= chance.randint(1, self.plan.per_message_max):
                self._queue(waiting)
                waiting = []
                if self.link:
                    self.link.flush()

    async def _steady(self, chance) -> None:
        loop = asyncio.get_running_loop()
        pause_s = 0.2
        while True:
            if self.plan.changes_name:
                name = f"{self.plan.name}-{self.boots}-{self.client.connections}"
                self.client._settings = msgspec.structs.replace(self.client._settings, client_id=name)
            with contextlib.suppress(OSError, TimeoutError):
                async with asyncio.timeout(5):
                    _, link = await loop.create_connection(
                        lambda: MeterLink(self.client), self.plan.where, self.plan.port
                    )
                self.link = link
                before = self.client.acknowledged
                await link.over
                self.link = None
                pause_s = 0.2 if self.client.acknowledged > before else pause_s
            await asyncio.sleep(chance.uniform(0, pause_s))
            pause_s = min(4.0, pause_s * 2)

    async def _hasty(self) -> None:
        while True:
            if self.client.unacknowledged:
                with contextlib.suppress(Undelivered):
                    await deliver(
                        self.client,
                        Link(self.plan.where, self.plan.port),
                        self.world.chance,
                        seconds_max=SEND_SPAN_S_MAX,
                    )
            await asyncio.sleep(self.world.chance.uniform(0.5, 2) * self.plan.every_s)
