"""What the broker reads back after a kill, in which order, and what follows from it."""

import pytest
from tests.unit.gateway.broker.lives import TENANT, Life

from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.queue import SimulatedQueue
from ringmain.gateway.broker.message import Message
from ringmain.protocols.mqtt.packets import Will


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
