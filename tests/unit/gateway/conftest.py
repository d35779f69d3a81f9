"""A gateway without a network: simulated queue, registry and credentials, and a transport that remembers."""

import asyncio

import pytest

from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.credentials import Credentials
from ringmain.adapters.simulated.directory import Directory
from ringmain.adapters.simulated.queue import SimulatedQueue
from ringmain.adapters.simulated.registry import Registry
from ringmain.gateway.authenticate import Authenticator
from ringmain.gateway.broker.service import Broker
from ringmain.gateway.connections import Connections
from ringmain.gateway.http import HttpTelemetry
from ringmain.gateway.intake import Intake
from ringmain.gateway.mqtt import DeviceWills, MqttDoor
from ringmain.gateway.pipeline import Pipeline
from ringmain.gateway.translate.telemetry import TelemetryTranslator
from ringmain.model.batch import decode_batch
from ringmain.model.device import LifecycleState, Principal
from ringmain.model.ids import DEFAULT_TENANT
from ringmain.ports.queue import NO_RECORDS
from ringmain.ports.registry import NewDevice
from ringmain.protocols.mqtt import wire
from ringmain.protocols.mqtt.events import Limits


class GatedQueue(SimulatedQueue):
    """A log whose syncs take until they are let through, or fail."""

    def __init__(self):
        super().__init__()
        self.open = asyncio.Event()
        self.open.set()
        self.failing = None
        self.appends = 0

    async def append(self, body, records=NO_RECORDS):
        self.appends += 1
        await self.open.wait()
        if self.failing:
            raise self.failing
        return await super().append(body, records)

    def batches(self):
        return [decode_batch(entry.body) for entry in self._entries]


class Watch:
    """The session service's ear."""

    def __init__(self):
        self.heard = []
        self.epoch = 0

    def connected(self, device, expected_interval_s, protocol, peer):
        self.epoch += 1
        self.heard.append(("connected", device, self.epoch))
        return self.epoch

    def active(self, device, at_ms, expected_interval_s=None):
        self.heard.append(("active", device))

    def sleeping(self, device, until_ms):
        self.heard.append(("sleeping", device, until_ms))

    def disconnected(self, device, epoch):
        self.heard.append(("disconnected", device, epoch))


class FakeTransport(asyncio.Transport):
    """What is written stays here; closing takes a turn of the loop, as it does with real ones."""

    def __init__(self, protocol, peer=("192.0.2.1", 4711)):
        super().__init__({"peername": peer})
        self.protocol = protocol
        self.written = bytearray()
        self.reading = True
        self.closing = False
        self.aborted = False
        self.deaf = False
        protocol.connection_made(self)

    def write(self, data):
        assert not self.gone, "written to a transport that is gone"
        if not self.closing:
            self.written += data

    gone = False

    def set_write_buffer_limits(self, high=None, low=None):
        self.high = high

    def is_reading(self):
        return self.reading and not self.closing

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def is_closing(self):
        return self.closing

    def can_write_eof(self):
        return False

    def close(self):
        if not self.closing:
            self.closing = True
            if not self.deaf:
                asyncio.get_running_loop().call_soon(self.lose)

    def abort(self):
        self.aborted = self.closing = True
        asyncio.get_running_loop().call_soon(self.lose)

    def lose(self):
        if not self.gone:
            self.gone = True
            self.protocol.connection_lost(None)

    def said(self):
        """What was written since the last question."""
        data = bytes(self.written)
        self.written.clear()
        return data


class Peer:
    """A device at the other end of one connection."""

    def __init__(self, gateway, level=4):
        self.gateway = gateway
        self.level = level
        self.driver = gateway.door.protocol()
        self.transport = FakeTransport(self.driver)

    def send(self, data):
        if self.transport.reading and not self.transport.closing:
            self.driver.data_received(data)
            return True
        return False

    def connect(self, user, token, client_id="c", will=None, clean=True, behind=b""):
        five = self.level == 5
        flags = 0xC0 | (2 if clean else 0) | (0x04 if will else 0)
        body = (
            wire.text("MQTT") + bytes((self.level, flags)) + b"\0\x3c" + (b"\0" if five else b"") + wire.text(client_id)
        )
        if will:
            body += (b"\0" if five else b"") + wire.text(will[0]) + wire.binary(will[1])
        body += wire.text(user) + wire.binary(token.encode() if isinstance(token, str) else token)
        self.send(wire.packet(0x10, body) + behind)

    def packet(self, payload, identifier=0, topic="telemetry"):
        body = wire.text(topic) + (identifier.to_bytes(2, "big") if identifier else b"")
        return wire.packet(0x32 if identifier else 0x30, body + (b"\0" if self.level == 5 else b"") + payload)

    def publish(self, payload, identifier=0, topic="telemetry"):
        return self.send(self.packet(payload, identifier, topic))

    def subscribe(self, pattern, qos=0):
        five = b"\0" if self.level == 5 else b""
        self.send(wire.packet(0x82, b"\0\1" + five + wire.text(pattern) + bytes((qos,))))

    def said(self):
        return self.transport.said()

    def acknowledged(self):
        """Identifiers of PUBACKs, with their reason; every other packet is an error."""
        found, data = [], self.said()
        while data:
            assert data[0] == 0x40, data.hex()
            size = data[1]
            found.append((int.from_bytes(data[2:4], "big"), data[4] if size > 2 else 0))
            data = data[2 + size :]
        return found


class Gateway:
    """All of it, composed as `apps.server.compose` does."""

    def __init__(self):
        self.queue = GatedQueue()
        self.clock = SimulatedClock()
        self.directory = Directory()
        self.credentials = Credentials(self.directory)
        self.registry = Registry(self.directory, self.credentials)
        self.committed, self.broken, self.refused = [], [], []
        self.closed, self.dropped, self.received, self.statuses = [], [], [], []
        self.watch = Watch()
        self.connections = Connections()
        self.intake = Intake(self.queue, self.clock, self.committed.append, self.broken.append)
        self.undelivered = []
        self.broker = Broker(self.intake, self.clock, on_dropped=self.undelivered.append)
        self.authenticator = Authenticator(self.credentials, self.registry, self.directory, self, self.clock)
        self.pipeline = Pipeline(
            self.intake,
            TelemetryTranslator(),
            self.connections,
            on_admitted=lambda _: None,
            on_status=lambda device, payload: self.statuses.append((device, payload)),
            on_received=lambda door, count: self.received.append((door, count)),
        )
        self.telemetry = HttpTelemetry(
            authenticator=self.authenticator,
            pipeline=self.pipeline,
            sessions=self.watch,
            clock=self.clock,
            body_bytes_max=10_000,
            on_refused=self.refused.append,
        )

    @staticmethod
    def of(token):
        """`Digests`: what a test writes is what is stored."""
        return token.encode()

    @staticmethod
    def of_certificate(der):
        return b"certificate " + der

    provisioner = None

    async def _principal_of(self, key):
        device = await self.registry.by_key(key)
        profile = await self.directory.profile(device.tenant, device.profile) if device else None
        return Principal(device, profile) if device and profile else None

    def open_door(self, tasks, connections_max=100, **limits):
        self.broker.on_will = DeviceWills(self.pipeline, self.broker, self._principal_of, tasks).take
        self.door = MqttDoor(
            authenticator=self.authenticator,
            provisioner=self.provisioner,
            pipeline=self.pipeline,
            broker=self.broker,
            connections=self.connections,
            sessions=self.watch,
            clock=self.clock,
            tasks=tasks,
            limits=Limits(**limits),
            connections_max=connections_max,
            on_closed=self.closed.append,
            on_refused=self.refused.append,
            on_dropped=self.dropped.append,
        )

    async def add(self, name, token, state=LifecycleState.ACTIVE, tenant=DEFAULT_TENANT):
        if tenant not in await self.directory.tenants():
            await self.directory.add_tenant(tenant, 0)
        new = NewDevice(name, "generic", state=state, token_digest=token.encode())
        (device,) = await self.registry.add(tenant, [new], 0)
        return device

    async def move(self, device, to):
        """What a transition does: first the registry, then the news of it."""
        seen = (await self.registry.by_key(device.key)).state
        moved = await self.registry.move(device.key, seen, to, 1, "test")
        self.connections.changed(device.key)
        return moved

    def stored(self):
        """Every reading of the log as (device, channel, at, value)."""
        found = []
        for batch in self.queue.batches():
            for block in batch.blocks:
                stamps, devices = block.stamps.cast("q").tolist(), block.devices.cast("q").tolist()
                values = block.values.cast("q" if block.exact else "d").tolist()
                for row, (device, at_ms) in enumerate(zip(devices, stamps, strict=True)):
                    for place, channel in enumerate(block.channels):
                        found.append((device, channel, at_ms, values[row * len(block.channels) + place]))
        return found

    def rejected(self):
        return [(it.device, it.reason, it.count) for batch in self.queue.batches() for it in batch.rejections]

    def dead(self):
        return [(it.device, it.payload) for batch in self.queue.batches() for it in batch.dead_letters]

    def quarantined(self):
        return [block.quarantined for batch in self.queue.batches() for block in batch.blocks]


async def settle(turns=30):
    """Let everything that can happen now happen."""
    for _ in range(turns):
        await asyncio.sleep(0)


@pytest.fixture
def turns():
    return settle


@pytest.fixture
async def gateway():
    """A gateway whose intake runs, with an MQTT door and a device `m1` with token `tok1`."""
    made = Gateway()
    made.m1 = await made.add("m1", "tok1")
    async with asyncio.TaskGroup() as tasks:
        made.open_door(tasks)
        made.tasks = tasks
        running = tasks.create_task(made.intake.run())
        yield made
        running.cancel()


@pytest.fixture
def dial(gateway):
    """A peer that is signed in as `m1`, unless told otherwise."""

    async def make(level=4, user="m1", token="tok1", accepted=True, **more):
        peer = Peer(gateway, level)
        peer.connect(user, token, **more)
        await settle()
        if accepted:
            said = peer.said()
            assert (said[0], said[2:4]) == (0x20, b"\x00\x00"), said.hex()
        return peer

    return make


@pytest.fixture
def visit(gateway):
    """A peer that has said nothing yet."""
    return lambda level=4: Peer(gateway, level)
