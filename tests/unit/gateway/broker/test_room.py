"""What waits for all sessions together has a bound, and what is over gives its room back."""

import pytest
from tests.unit.gateway.broker.lives import TENANT, Life

from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.queue import SimulatedQueue
from ringmain.gateway.broker.message import Message, Waiting
from ringmain.gateway.broker.room import WAITING_OVERHEAD, Room


def waiting(size: int) -> Waiting:
    return Waiting(Message("t", bytes(size)), 1, "t")


def test_it_is_full_at_its_bound_and_not_before():
    room = Room(2 * WAITING_OVERHEAD + 10 + 2 * len("t"))
    room.take(waiting(5))
    room.take(waiting(4))
    assert not room.is_full
    room.take(waiting(0))
    assert room.is_full
    room.give(waiting(4))
    room.give(waiting(5))
    room.give(waiting(0))
    assert (room.is_full, room.bytes) == (False, 0)


@pytest.mark.parametrize("qos", [0, 1, 2])
async def test_every_way_out_of_a_session_gives_the_room_back(qos):
    dropped = []
    async with Life(SimulatedQueue(), SimulatedClock(), dropped.append) as life:
        slow = await life.opened("slow", room=1)
        await life.subscribed(slow, "t")
        for payload in (b"1", b"2", b"3"):
            life.broker.publish(TENANT, Message("t", payload, 1))
            life.broker.publish(TENANT, Message("t", payload, qos))
            await life.settled()
        assert life.broker._delivery.room.bytes > 0
        life.broker.forget(TENANT, slow.sessions[0].key[1])
        await life.settled()
        assert life.broker._delivery.room.bytes == 0


async def test_beyond_it_messages_are_dropped_and_counted_and_later_ones_taken_again():
    dropped = []
    async with Life(SimulatedQueue(), SimulatedClock(), dropped.append) as life:
        slow = await life.opened("slow", room=1)
        await life.subscribed(slow, "t")
        life.broker._delivery.room._bytes_max = 2 * WAITING_OVERHEAD
        for _ in range(3):
            life.broker.publish(TENANT, Message("t", b"", 1))
            await life.settled()
        assert dropped == ["no_room"]
        slow.sessions[0].delivered(1, 0)
        life.broker.publish(TENANT, Message("t", b"", 1))
        await life.settled()
        assert dropped == ["no_room"]
