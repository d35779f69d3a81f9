"""A name is parted with when nothing in the buffer goes by it that was taken under it."""

import asyncio

from tests.unit.services.forwarding.conftest import Gateway, readings_of

from ringmain.apps.edge import parting
from ringmain.model.ids import Offset


class Rooms:
    """The intake and the aggregation, as far as they are asked."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.trouble = None

    def begin_anew(self) -> None:
        self.done.append("windows")

    async def drain(self) -> None:
        self.done.append("drained")


async def test_what_came_before_is_sealed_or_settled_and_what_comes_after_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(parting, "LOOK_EVERY_S", 0)
    gateway, rooms = Gateway(), Rooms()
    async with gateway.running():
        gateway.uplink.held = True
        gateway.connect()
        await gateway.until(gateway.forwarding._is_connected)
        await gateway.append(1)
        await gateway.until(lambda: gateway.uplink.waiting)
        work = asyncio.ensure_future(parting.part_with_names(rooms, gateway.buffer, gateway.keeper, rooms))
        for _ in range(50):
            await asyncio.sleep(0)
        assert not work.done(), "it is on its way, and may have to go again"
        await gateway.append(2)
        gateway.cut()
        await asyncio.wait_for(work, 5)
        rows = await gateway.buffer.read(Offset(0), 1 << 30, sealed=True)
        assert ("m1", 1) in [each for row in rows for each in readings_of(row.body)]
    assert rooms.done == ["drained", "windows"]


async def test_a_row_that_can_not_be_sealed_does_not_keep_the_roster_waiting(monkeypatch):
    """A roster may revoke a token: nothing may hold it up for ever."""
    monkeypatch.setattr(parting, "LOOK_EVERY_S", 0)
    gateway, rooms = Gateway(), Rooms()
    await gateway.append(1, device=9)
    await gateway.append(2)
    await asyncio.wait_for(parting.part_with_names(rooms, gateway.buffer, gateway.keeper, rooms), 5)
    status = gateway.buffer.status()
    assert (status.rows, status.sealed_readings) == (2, 1)
