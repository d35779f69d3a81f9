"""Records that no peer can be refused wait for room; everything else hears that there is none."""

import asyncio
import contextlib

import pytest

from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.queue import SimulatedQueue
from ringmain.gateway import intake as module
from ringmain.gateway.intake import Intake
from ringmain.model.errors import Failed


class Disk(SimulatedQueue):
    """One that fails while it is told to."""

    failing = ""

    async def append(self, body, records=module.NO_RECORDS):
        if self.failing:
            raise Failed(self.failing, "as told")
        return await super().append(body, records)


@pytest.fixture
async def running(monkeypatch):
    monkeypatch.setattr(module, "RETRY_S", 0)
    disk, broken = Disk(), []
    intake = Intake(disk, SimulatedClock(), lambda _: None, broken.append)
    task = asyncio.create_task(intake.run())
    yield intake, disk
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def turns():
    for _ in range(50):
        await asyncio.sleep(0)


async def test_what_is_insisted_on_waits_for_room_and_is_answered_once(running):
    intake, disk = running
    insisted, recorded = [], []
    disk.failing = "storage_full"
    intake.insist({b"a": b"1"}, insisted.append)
    intake.record({b"b": b"2"}, recorded.append)
    await turns()
    assert insisted == []
    assert [failed.code for failed in recorded] == ["storage_full"]
    disk.failing = ""
    await turns()
    assert insisted == [None]
    assert await disk.records(b"") == [(b"a", b"1")]


async def test_a_sync_that_failed_is_told_and_not_tried_again(running):
    intake, disk = running
    insisted = []
    disk.failing = "storage_failed"
    intake.insist({b"a": b"1"}, insisted.append)
    await turns()
    assert [failed.code for failed in insisted] == ["storage_failed"]
    disk.failing = ""
    await turns()
    assert await disk.records(b"") == []
