"""Nothing that waits for a session is without a limit."""

import pytest
from tests.unit.gateway.broker.lives import TENANT, Life

from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.queue import SimulatedQueue
from ringmain.gateway.broker import service
from ringmain.gateway.broker.delivery import PROGRAM_QUEUE_MAX as QUEUE_MAX
from ringmain.gateway.broker.message import Message
from ringmain.gateway.broker.subscriptions import Held


@pytest.mark.slow
async def test_messages_of_qos_0_that_wait_behind_others_are_limited_too():
    dropped = []
    async with Life(SimulatedQueue(), SimulatedClock(), dropped.append) as life:
        slow = await life.opened("slow", room=1)
        await life.subscribed(slow, "t")
        for payload in (b"first", b"second"):
            life.broker.publish(TENANT, Message("t", payload, 1))
            await life.settled()
        for _ in range(2 * QUEUE_MAX):
            life.broker.publish(TENANT, Message("t", b"", 0))
        assert [payload for _, payload, _ in slow.heard] == [b"first"]
        assert slow.sessions[0].size == QUEUE_MAX
        assert dropped == ["queue_full"] * (QUEUE_MAX + 2)


async def test_one_subscribe_brings_so_many_retained_messages_and_no_more(monkeypatch):
    monkeypatch.setattr(service, "RETAINED_MAX", 5)
    dropped = []
    async with Life(SimulatedQueue(), SimulatedClock(), dropped.append) as life:
        for name in "abc":
            life.broker.keep(TENANT, Message(f"t/{name}", b"x", 0, retain=True))
        client = await life.opened("c", room=100)
        both = [(Held("#", "#", 0), 0), (Held("t/+", "t/+", 0), 0), (Held("+/a", "+/a", 0), 0)]
        life.broker.subscribe(client.sessions[0], both, lambda failed: None)
        await life.settled()
        assert len(client.heard) == 5
        assert dropped == ["queue_full"]
