"""Process lives of a broker over a queue that survives them, and connections that take what they are told to."""

import asyncio
import contextlib

from ringmain.gateway.broker.access import OpenAccess
from ringmain.gateway.broker.service import Broker
from ringmain.gateway.broker.subscriptions import Held
from ringmain.gateway.intake import Intake
from ringmain.model.ids import TenantId
from ringmain.protocols.mqtt.machine import Sending
from ringmain.protocols.mqtt.packets import Connect

TENANT = TenantId("t")
ACCESS = OpenAccess(TENANT, frozenset())


class Link:
    """A connection that takes `room` messages of QoS 1 and 2, and any of QoS 0."""

    client_id, choked = "", False

    def __init__(self, room=10**9):
        self.room = room
        self.heard = []
        self.sessions = []

    def deliver(self, waiting, identifier):
        if waiting.qos and len(self.heard) >= self.room:
            return Sending.NO_ROOM
        self.heard.append((waiting.topic, waiting.message.payload, identifier))
        return Sending.SENT

    def deliver_release(self, identifier): ...
    def flush(self): ...
    def taken_over(self): ...


class Life:
    """One process life over a queue that survives it."""

    def __init__(self, queue, clock, on_dropped=lambda _: None):
        self.queue, self.clock = queue, clock
        self.intake = Intake(queue, clock, lambda _: None, lambda _: None)
        self.broker = Broker(self.intake, clock, on_dropped=on_dropped)

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

    async def opened(self, client_id, will=None, expiry_s=60, room=10**9):
        link = Link(room)
        connect = Connect(5, client_id, False, 0, will, None, None)
        self.broker.open(ACCESS, client_id, connect, expiry_s, link, lambda session, *_: link.sessions.append(session))
        await self.settled()
        link.sessions[0].pump(self.clock.now_ms())
        return link

    async def subscribed(self, link, pattern):
        self.broker.subscribe(link.sessions[0], [(Held(pattern, pattern, 2), 0)], lambda _: None)
        await self.settled()
