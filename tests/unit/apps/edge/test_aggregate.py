"""Windows of an edge go the way of any reading: into the open batch, durable before they go up."""

import asyncio
import contextlib

import pytest

from ringmain.adapters.simulated.buffer import SimulatedBuffer
from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.apps.edge import aggregate
from ringmain.apps.edge.aggregate import EdgeAggregation
from ringmain.gateway import intake as intake_module
from ringmain.gateway.connections import Connections
from ringmain.gateway.delegated import Delegates
from ringmain.gateway.intake import Intake, Unrecorded
from ringmain.gateway.pipeline import Pipeline
from ringmain.gateway.translate.telemetry import TelemetryTranslator
from ringmain.model.batch import FORMAT, Batch, block_of, decode_batch
from ringmain.model.device import METER_PROFILE, LifecycleState
from ringmain.model.gateway import Roster, RosterEntry
from ringmain.model.ids import DeviceId, DeviceKey, Offset, TenantId

QUARTER_MS = 900_000


@pytest.fixture
def world(monkeypatch):
    monkeypatch.setattr(aggregate, "LOOK_EVERY_S", 0.005)
    clock, buffer = SimulatedClock(10 * QUARTER_MS), SimulatedBuffer()
    delegates = Delegates(clock.now_ms)
    entry = RosterEntry(DeviceKey(7), DeviceId("m7"), METER_PROFILE.name, LifecycleState.ACTIVE, 0)
    delegates.take(Roster(1, TenantId("t"), DeviceId("gw"), b"s" * 32, (METER_PROFILE,), (entry,)))
    found = {}
    intake = Intake(Unrecorded(buffer), clock, lambda news: found["aggregation"].committed(news.batch), lambda _: None)
    pipeline = Pipeline(
        intake,
        TelemetryTranslator(),
        Connections(),
        on_admitted=lambda _: None,
        on_status=lambda *_: None,
        on_received=lambda *_: None,
    )
    found["aggregation"] = EdgeAggregation(pipeline, delegates, clock)
    return found["aggregation"], intake, buffer


def said(device: int) -> Batch:
    stamps = [0, 60_000, 2 * QUARTER_MS]
    return Batch(FORMAT, 0, (block_of(("energy_wh",), [device] * 3, stamps, [3, 4, 5], exact=True),))


@contextlib.asynccontextmanager
async def running(aggregation, intake):
    tasks = [asyncio.ensure_future(work) for work in (aggregation.run(), intake.run())]
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_a_closed_window_becomes_durable_readings_of_its_device(world):
    aggregation, intake, buffer = world
    aggregation.use(["15m"])
    aggregation.committed(said(7))
    async with running(aggregation, intake):
        async with asyncio.timeout(5):
            await buffer.wait(Offset(0))
    (row,) = await buffer.read(Offset(0), 1 << 20)
    blocks = {block.channels: block for block in decode_batch(row.body).blocks}
    exact = blocks["energy_wh/15m/sum_wh", "energy_wh/15m/min_wh", "energy_wh/15m/max_wh"]
    assert exact.exact
    assert list(exact.values.cast("q")) == [7, 3, 4]
    assert list(exact.stamps.cast("q")) == [0]
    assert list(exact.devices.cast("q")) == [7]
    measured = blocks["energy_wh/15m/mean", "energy_wh/15m/median", "energy_wh/15m/count"]
    assert list(measured.values.cast("d")) == [3.5, 3.5, 2.0]


async def test_windows_that_found_no_room_go_again(world, monkeypatch):
    monkeypatch.setattr(intake_module, "RETRY_S", 0.005)
    aggregation, intake, buffer = world
    buffer.bytes_max = 0
    aggregation.use(["15m"])
    aggregation.committed(said(7))
    async with running(aggregation, intake):
        async with asyncio.timeout(5):
            while not intake.trouble:
                await asyncio.sleep(0.005)
        assert aggregation.windows.closed == 1
        buffer.bytes_max = 1 << 30
        async with asyncio.timeout(5):
            await buffer.wait(Offset(0))
        await asyncio.sleep(0.03)
    rows = await buffer.read(Offset(0), 1 << 20)
    assert [list(block.stamps.cast("q")) for row in rows for block in decode_batch(row.body).blocks] == [[0], [0]]
    assert aggregation._given == {}


async def test_windows_do_not_wait_without_end(world, monkeypatch):
    monkeypatch.setattr(aggregate, "WAITING_MAX", 3)
    aggregation, intake, _ = world
    aggregation.use(["15m"])
    aggregation.hold()
    stamps = range(0, 6 * QUARTER_MS, QUARTER_MS)
    aggregation.committed(Batch(FORMAT, 0, (block_of(("e_wh",), [7] * 6, stamps, [1] * 6, exact=True),)))
    async with running(aggregation, intake):
        await asyncio.sleep(0.03)
        assert [each.at_ms for each in aggregation._waiting] == [QUARTER_MS, 2 * QUARTER_MS, 3 * QUARTER_MS]
        assert aggregation.windows.cut == 1
        aggregation.resume()
        await asyncio.sleep(0.03)
        assert not aggregation._waiting


async def test_a_device_that_is_no_longer_ours_sends_no_window(world):
    aggregation, intake, buffer = world
    aggregation.use(["15m"])
    aggregation.committed(said(8))
    async with running(aggregation, intake):
        await asyncio.sleep(0.03)
    assert aggregation.windows.closed == 1
    assert buffer.status().readings == 0


async def test_without_sizes_nothing_is_aggregated_and_the_same_sizes_keep_what_is_open(world):
    aggregation, _, _ = world
    aggregation.committed(said(7))
    assert aggregation.windows.close(1 << 50) == []
    aggregation.use(["15m"])
    held = aggregation.windows
    aggregation.use(("15m",))
    assert aggregation.windows is held
    aggregation.use(["1h"])
    assert aggregation.windows is not held
