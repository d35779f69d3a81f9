"""What the broker reads back after a kill, in which order, and what follows from it."""

import asyncio
import contextlib

import pytest

from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.queue import SimulatedQueue
from ringmain.gateway.broker.access import OpenAccess
from ringmain.gateway.broker.message import Message
from ringmain.gateway.broker.service import Broker
from ringmain.gateway.broker.subscriptions import Held
from ringmain.gateway.intake import Intake
from ringmain.model.ids import TenantId
from ringmain.protocols.mqtt.machine import Sending
from ringmain.protocols.mqtt.packets import Connect, Will

TENANT = TenantId("t")
ACCESS = OpenAccess(TENANT, frozenset())


class Link:
    """A connection that takes everything."""

    client_id, choked = "", False

    def __init__(self):
        self.heard = []
        self.sessions = []

    def deliver(self, waiting, identifier):
        self.heard.append((waiting.topic, waiting.message.payload, identifier))
        return Sending.SENT

    def deliver_release(self, identifier): ...
    def flush(self): ...
    def taken_over(self): ...


class Life:
    """One process life over a queue that survives it."""

    def __init__(self, queue, clock):
        self.queue, self.clock = queue, clock
        self.intake = Intake(queue, clock, lambda _: None, lambda _: None)
        self.broker = Broker(self.intake, clock)

    async def __aenter__(self):
        await self.broker.load(self.queue)
        self._running = asyncio.create_task(self.intake.run())
        return self

    async def __aexit__(self, *_):
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._running

    async def settled(self):
        for _ in range(20):
            await asyncio.sleep(0)

    async def opened(self, client_id, will=None, expiry_s=60):
        link = Link()
        connect = Connect(5, client_id, False, 0, will, None, None)
        self.broker.open(ACCESS, client_id, connect, expiry_s, link, lambda session, *_: link.sessions.append(session))
        await self.settled()
        link.sessions[0].pump(self.clock.now_ms())
        return link

    async def subscribed(self, link, pattern):
        self.broker.subscribe(link.sessions[0], [(Held(pattern, pattern, 2), 0)], lambda _: None)
        await self.settled()


@pytest.fixture
def disk():
    return SimulatedQueue(), SimulatedClock()


async def test_a_will_reaches_sessions_that_are_read_back_after_it(disk):
    async with Life(*disk) as life:
        await life.opened("dying", Will("w/x", b"gone", 1, retain=True))
        await life.subscribed(await life.opened("ear"), "w/#")
        life.broker.publish(TENANT, Message("w/x", b"old", 1, retain=True))
        await life.settled()
    async with Life(*disk) as life:
        life.broker.tick()
        await life.settled()
        again = await life.opened("ear")
        assert [(payload, identifier) for _, payload, identifier in again.heard] == [(b"old", 1), (b"gone", 2)]
        late = await life.opened("late")
        await life.subscribed(late, "w/#")
        assert [payload for _, payload, _ in late.heard] == [b"gone"], "a retained will stands in place of what was"


async def test_the_delay_of_a_will_runs_from_the_end_of_its_connection(disk):
    async with Life(*disk) as life:
        await life.subscribed(await life.opened("ear"), "w/#")
        dying = await life.opened("dying", Will("w/x", b"gone", 1, retain=False, delay_s=10))
        life.broker.close(dying.sessions[0], dying, with_will=True)
        await life.settled()
    disk[1].advance(6)
    async with Life(*disk) as life:
        ear = await life.opened("ear")
        for seconds, heard in ((0, []), (3, []), (2, [b"gone"])):
            disk[1].advance(seconds)
            life.broker.tick()
            await life.settled()
            assert [payload for _, payload, _ in ear.heard] == heard
