"""A broker without doors: a simulated log whose commits happen when a test says so, and connections that remember."""

import pytest

from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.queue import SimulatedQueue
from ringmain.gateway.broker.access import OpenAccess
from ringmain.gateway.broker.message import Message, with_expiry
from ringmain.gateway.broker.service import Broker
from ringmain.gateway.broker.subscriptions import Held
from ringmain.gateway.intake import Intake
from ringmain.model.errors import Failed
from ringmain.ports.queue import NO_RECORDS
from ringmain.protocols.mqtt.outgoing import Sending
from ringmain.protocols.mqtt.packets import Connect, Will
from ringmain.protocols.mqtt.topics import shared_filter

FULL = Failed("storage_full", "the ingest log is at its limit; nothing was taken")


class Killed(Exception):
    """The process ended here."""


class Log(SimulatedQueue):
    """Commits that succeed, find no room, or are the last thing that happens."""

    def __init__(self):
        super().__init__()
        self.failing = None
        self.dies = False

    async def append(self, body, records=NO_RECORDS):
        if self.failing:
            raise self.failing
        offset = await super().append(body, records)
        if self.dies:
            raise Killed
        return offset

    def keys(self, kind):
        return [key for key in sorted(self._records) if key[:1] == kind]


class Wire:
    """Link: what was delivered, as (payload, qos, identifier, dup); whole in `messages`."""

    def __init__(self, client, room=65_535, bytes_max=1 << 20):
        self.client = client
        self.room = room
        self.bytes_max = bytes_max
        self.choked = False
        self.messages = []
        self.identifiers = []
        self.released = []
        self.flight = set()
        self.was_taken_over = False

    def deliver(self, waiting, identifier):
        assert bool(identifier) is bool(waiting.qos)
        assert identifier not in self.flight
        if waiting.qos and len(self.flight) >= self.room:
            return Sending.NO_ROOM
        if len(waiting.message.payload) > self.bytes_max:
            return Sending.TOO_LARGE
        if waiting.qos:
            self.flight.add(identifier)
        self.messages.append((waiting, waiting.dup))
        self.identifiers.append(identifier)
        return Sending.SENT

    def deliver_release(self, identifier):
        self.flight.add(identifier)
        self.released.append(identifier)

    def flush(self):
        pass

    def taken_over(self):
        self.was_taken_over = True
        self.client.lose(with_will=True)

    @property
    def got(self):
        return [
            (waiting.message.payload, waiting.qos, identifier, dup)
            for (waiting, dup), identifier in zip(self.messages, self.identifiers, strict=True)
        ]

    @property
    def payloads(self):
        return [waiting.message.payload for waiting, _ in self.messages]


class Client:
    """One connection after another with the same client id."""

    def __init__(self, world, name, access):
        self.world, self.name, self.access = world, name, access
        self.session = self.link = self.present = self.failed = None

    def connect(self, *, clean=False, expiry_s=100, will=None, **more):
        self.link = Wire(self, **more)
        connect = Connect(5, self.name, clean, 60, will, None, None)
        self.present = self.failed = None
        self.world.broker.open(self.access, self.name, connect, expiry_s, self.link, self._opened)
        return self

    def _opened(self, session, is_present, failed):
        self.session, self.present, self.failed = session, is_present, failed
        if failed:
            self.world.broker.close(session, self.link, with_will=False)
        else:
            session.pump(self.world.clock.now_ms())

    def lose(self, *, with_will=True, expiry_s=None):
        if self.session:
            self.world.broker.close(self.session, self.link, with_will=with_will, expiry_s=expiry_s)

    def subscribe(self, pattern, qos=2, handling=0, **more):
        group, plain = shared_filter(pattern)
        answers = []
        self.world.broker.subscribe(
            self.session, [(Held(pattern, plain, qos, group=group, **more), handling)], answers.append
        )
        return answers

    def unsubscribe(self, pattern):
        answers = []
        return self.world.broker.unsubscribe(self.session, [pattern], answers.append), answers

    def publish(self, topic, payload=b"x", qos=1, *, retain=False, found=None):
        expires_ms = with_expiry(found or {}, self.world.clock.now_ms())
        message = Message(topic, payload, qos, retain, found or {}, expires_ms)
        return self.world.broker.publish(self.access.tenant, message, self.session)

    def acknowledge(self, identifier):
        self.link.flight.discard(identifier)
        self.session.delivered(identifier, self.world.clock.now_ms())

    def receive(self, identifier):
        """PUBREC."""
        link = self.link
        self.session.received(identifier, lambda: link.deliver_release(identifier))


class World:
    def __init__(self, queue=None, clock=None, **more):
        self.queue = queue or Log()
        self.clock = clock or SimulatedClock()
        self.dropped, self.broken = [], []
        self.intake = Intake(self.queue, self.clock, lambda _: None, self.broken.append)
        self.broker = Broker(self.intake, self.clock, on_dropped=self.dropped.append, **more)

    def client(self, name="c", tenant="t", access=None):
        return Client(self, name, access or OpenAccess(tenant, frozenset()))

    async def commit(self):
        """Commit until nothing is left that waits for it; with a log that fails: once."""
        await self.intake._commit()
        while not self.queue.failing and self.pending:
            await self.intake._commit()

    @property
    def pending(self):
        intake = self.intake
        return bool(intake._records or intake._tidy or intake._then or intake._waiting)

    async def restarted(self, **more):
        """Another process over the same records; what was not committed is gone."""
        again = World(self.queue, self.clock, **more)
        await again.broker.load(self.queue)
        return again

    def wait(self, seconds):
        self.clock.advance(seconds)
        self.broker.tick()


@pytest.fixture
async def world():
    return World()


@pytest.fixture
def will():
    def make(topic="gone", payload=b"bye", qos=1, *, retain=False, delay_s=0, found=None):
        return Will(topic, payload, qos, retain, delay_s, found or {})

    return make
