"""The outbox: what must not be sent twice, what must not be forgotten."""

import asyncio
from contextlib import asynccontextmanager

import pytest

from ringmain.model.errors import Failed
from ringmain.services.gateways import outbox as module
from ringmain.services.gateways.outbox import Outbox

pytestmark = pytest.mark.slow  # seconds together; the fast tier has its neighbours


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(module, "COALESCE_S", 0.02)


@asynccontextmanager
async def running(deliver):
    box = Outbox(deliver)
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(box.run())
        yield box
        task.cancel()


class Deliveries:
    """What was delivered, and what is answered: True unless something else waits to be."""

    def __init__(self, *answers):
        self.seen = []
        self.answers = list(answers)
        self.came = asyncio.Event()

    async def __call__(self, gateway, name, forced):
        self.seen.append((gateway, name, forced))
        self.came.set()
        answer = self.answers.pop(0) if self.answers else True
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def wait_for(self, count):
        async with asyncio.timeout(5):
            while len(self.seen) < count:
                self.came.clear()
                await self.came.wait()


async def quiet():
    """Longer than changes gather, and than a retry takes here."""
    await asyncio.sleep(0.08)


async def test_changes_that_come_together_are_one_sending():
    deliver = Deliveries()
    async with running(deliver) as box:
        for _ in range(50):
            box.ask(1, "roster")
            await asyncio.sleep(0)
        assert deliver.seen == [], "it waits for more"
        box.ask(2, "roster")
        await deliver.wait_for(2)
        await quiet()
    assert sorted(deliver.seen) == [(1, "roster", False), (2, "roster", False)]


async def test_who_begins_to_listen_does_not_wait(monkeypatch):
    monkeypatch.setattr(module, "COALESCE_S", 3600.0)
    deliver = Deliveries()
    async with running(deliver) as box:
        box.ask(1, "roster")
        await quiet()
        box.ask(1, "roster", now=True)
        box.ask(1, "settings", now=True)
        await deliver.wait_for(2)
    assert deliver.seen == [(1, "roster", True), (1, "settings", True)]


async def test_a_change_during_a_sending_is_another_one():
    deliver = Deliveries()

    async def slow(gateway, name, forced):
        if not deliver.seen:
            box.ask(1, "roster")
        return await deliver(gateway, name, forced)

    async with running(slow) as box:
        box.ask(1, "roster", now=True)
        await deliver.wait_for(2)
        await quiet()
    assert deliver.seen == [(1, "roster", True), (1, "roster", False)]


@pytest.mark.parametrize("trouble", [False, Failed("storage_failed", "no disk")])
async def test_what_could_not_be_sent_is_tried_again_and_stays_forced(monkeypatch, trouble):
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    deliver = Deliveries(trouble, trouble)
    async with running(deliver) as box:
        box.ask(1, "roster", now=True)
        await deliver.wait_for(3)
        await quiet()
    assert deliver.seen == [(1, "roster", True)] * 3


async def test_one_gateway_in_trouble_holds_up_no_other():
    deliver = Deliveries(False)
    async with running(deliver) as box:
        box.ask(1, "roster", now=True)
        await deliver.wait_for(1)
        box.ask(2, "roster", now=True)
        await deliver.wait_for(2)
    assert deliver.seen[1] == (2, "roster", True)
