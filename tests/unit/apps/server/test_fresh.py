"""Who was acknowledged reads what he wrote, and a bill never rests on less."""

import asyncio

import pytest

from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.queue import SimulatedQueue
from ringmain.apps.server.fresh import FreshLoad, Freshness, FreshOutcomes, FreshTimeSeries, FreshWindows
from ringmain.model.errors import Failed
from ringmain.ports.load import Load
from ringmain.ports.outcomes import Outcomes
from ringmain.ports.timeseries import Appended, TimeSeries
from ringmain.ports.windows import Windows
from ringmain.services.ingestion.service import Ingestion


class Store:
    """Takes entries when it may."""

    def __init__(self):
        self.may = asyncio.Event()
        self.taken = 0

    async def offset(self):
        return self.taken

    async def checkpoint(self):
        return self.taken

    async def append(self, entries):
        await self.may.wait()
        self.taken = entries[-1].offset
        return Appended(self.taken, 0, 0, 0, 0, 0, 0, 0)

    async def latest(self, device):
        return [self.taken]


@pytest.fixture
async def world():
    queue, store = SimulatedQueue(), Store()
    ingestion = Ingestion(queue, store, SimulatedClock(), retain_bytes=0, on_appended=lambda *_: None)
    await ingestion.start()
    task = asyncio.create_task(ingestion.run())
    yield queue, store, ingestion
    task.cancel()


async def test_a_query_waits_for_what_was_acknowledged_before_it(world):
    queue, store, ingestion = world
    await queue.append(b"x")
    asyncio.get_running_loop().call_later(0.05, store.may.set)
    assert await FreshTimeSeries(store, Freshness(ingestion, 5, strict=False)).latest(1) == [1]


async def test_a_query_that_waited_too_long_answers_with_what_there_is(world):
    queue, store, ingestion = world
    await queue.append(b"x")
    assert await FreshTimeSeries(store, Freshness(ingestion, 0.02, strict=False)).latest(1) == [0]


async def test_a_bill_is_refused_rather_than_made_of_less(world):
    queue, store, ingestion = world
    await queue.append(b"x")
    with pytest.raises(Failed, match="nothing was issued"):
        await FreshTimeSeries(store, Freshness(ingestion, 0.02, strict=True)).latest(1)


async def test_nothing_waits_when_the_store_has_everything(world):
    _, store, ingestion = world
    assert await FreshTimeSeries(store, Freshness(ingestion, 0, strict=True)).latest(1) == [0]


@pytest.mark.parametrize(
    ("wrapper", "port"),
    [(FreshTimeSeries, TimeSeries), (FreshOutcomes, Outcomes), (FreshWindows, Windows), (FreshLoad, Load)],
)
def test_a_wrapper_has_the_whole_port(wrapper, port):
    def names(kind):
        return {name for name in vars(kind) if not name.startswith("_")}

    assert names(wrapper) == names(port)
