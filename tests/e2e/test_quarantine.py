"""A PROVISIONED device is heard but not believed: what it says waits until it is active, and none of it is lost."""

import asyncio
import time

import pytest

from ringmain.adapters.embedded.clock import EmbeddedClock
from ringmain.apps.config import Config, Storage
from ringmain.apps.server.compose import House
from ringmain.apps.server.identity import load_or_create
from ringmain.apps.server.stores import open_stores
from ringmain.model.device import LifecycleState
from ringmain.model.ids import DEFAULT_TENANT
from ringmain.model.time import Instant, Interval
from ringmain.ports.registry import NewDevice

pytestmark = pytest.mark.slow

SPAN = Interval(Instant(0), Instant(10_000))


async def opened(directory):
    identity = load_or_create(directory, time.time_ns() // 1_000_000)
    config, clock = Config(storage=Storage(dir=str(directory))), EmbeddedClock()
    return await House(config, identity, await open_stores(config, clock), clock).open(identity)


async def provisioned(house):
    """A device with two readings in quarantine."""
    await house.lifecycle.register(DEFAULT_TENANT, NewDevice(id="new", profile="generic"))
    _, token = await house.lifecycle.provision(DEFAULT_TENANT, "new")
    principal = await house.authenticator.bearer(token)
    await house.telemetry.take(principal, b'{"ts": 1000, "values": {"a": 1, "b": 2}}')
    assert await house.ingestion.caught_up(5)
    assert [tally.outcome for tally in await house.timeseries.outcomes.tally(None)].count("quarantined") == 1
    return principal.device


async def stored(house, device):
    """Wait for the readings of the device."""
    async with asyncio.timeout(5):
        while not (found := await house.timeseries.readings(device.key, None, SPAN, after=None, limit=10)):
            await asyncio.sleep(0.01)
    return [(reading.channel, reading.at_ms, reading.value) for reading in found]


async def running(house, tasks):
    house.mqtt_door(tasks)
    return [tasks.create_task(house.intake.run()), tasks.create_task(house.ingestion.run())]


async def test_an_activation_releases_what_waited(tmp_path):
    house = await opened(tmp_path)
    async with asyncio.TaskGroup() as tasks:
        started = await running(house, tasks)
        device = await provisioned(house)
        assert not await house.timeseries.readings(device.key, None, SPAN, after=None, limit=10)
        await house.lifecycle.activate(DEFAULT_TENANT, "new")
        assert await stored(house, device) == [("a", 1000, 1.0), ("b", 1000, 2.0)]
        house.draining = True  # or what follows an activation waits for a store that has ended
        for task in started:
            task.cancel()
    await house.close()


async def test_a_crash_between_activation_and_release_leaves_nothing_behind(tmp_path):
    house = await opened(tmp_path)
    async with asyncio.TaskGroup() as tasks:
        started = await running(house, tasks)
        device = await provisioned(house)
        house.draining = True  # or what follows an activation waits for a store that has ended
        for task in started:
            task.cancel()
    await house.registry.move(device.key, LifecycleState.PROVISIONED, LifecycleState.ACTIVE, 1, "a test")
    await house.close()

    house = await opened(tmp_path)
    async with asyncio.TaskGroup() as tasks:
        started = await running(house, tasks)
        await house.quarantine.release_left_behind()
        assert await stored(house, device) == [("a", 1000, 1.0), ("b", 1000, 2.0)]
        assert list(await house.timeseries.quarantined()) == []
        house.draining = True  # or what follows an activation waits for a store that has ended
        for task in started:
            task.cancel()
    await house.close()
