"""A bridge and the devices behind it through the whole platform: delegated, stored under their own names, replayed."""

import asyncio
import time

import pytest

from ringmain.adapters.embedded.clock import EmbeddedClock
from ringmain.apps.config import Config, Mqtt, Storage
from ringmain.apps.config_error import ConfigError
from ringmain.apps.server.compose import House
from ringmain.apps.server.identity import load_or_create
from ringmain.apps.server.stores import open_stores
from ringmain.model.ids import DEFAULT_TENANT
from ringmain.model.time import Instant, Interval
from ringmain.ports.outcomes import StoredDeadLetter
from ringmain.ports.registry import NewDevice

pytestmark = pytest.mark.slow

SPAN = Interval(Instant(0), Instant(2_000_000_000_000))
TOPIC = b"zigbee2mqtt/plug"


async def opened(directory, **mqtt):
    identity = load_or_create(directory, time.time_ns() // 1_000_000)
    config, clock = Config(storage=Storage(dir=str(directory)), mqtt=Mqtt(**mqtt)), EmbeddedClock()
    stores = await open_stores(config, clock)
    try:
        return await House(config, identity, stores, clock).open(identity)
    except ConfigError:
        await stores.close()
        raise


async def device(house, id, profile):
    await house.lifecycle.register(DEFAULT_TENANT, NewDevice(id=id, profile=profile))
    _, token = await house.lifecycle.provision(DEFAULT_TENANT, id)
    await house.lifecycle.activate(DEFAULT_TENANT, id)
    return await house.authenticator.bearer(token)


async def readings(house, of):
    assert await house.ingestion.caught_up(5)
    found = await house.timeseries.readings(of.device.key, None, SPAN, after=None, limit=10)
    return sorted((reading.channel, reading.at_ms, reading.value) for reading in found)


async def test_what_a_bridge_says_of_a_device_is_the_devices_once_it_is_delegated(tmp_path):
    house = await opened(tmp_path)
    async with asyncio.TaskGroup() as tasks:
        house.mqtt_door(tasks)
        started = [tasks.create_task(house.intake.run()), tasks.create_task(house.ingestion.run())]
        bridge, plug = await device(house, "z2m", "zigbee2mqtt"), await device(house, "plug", "meter")
        payload = b'{"energy":12.34,"power":4.5,"last_seen":1677685136796}'

        refused = await house.telemetry.take(bridge, payload, TOPIC)
        assert (refused.accepted, refused.rejected) == (0, 2)
        assert await readings(house, plug) == []

        await house.gateways.service.delegate(bridge.device, ["plug"])
        assert (await house.telemetry.take(bridge, payload, TOPIC)).accepted == 2
        assert await readings(house, plug) == [("energy_wh", 1677685136796, 12340), ("power_w", 1677685136796, 4.5)]
        assert await readings(house, bridge) == []

        # The device itself has another profile, and no topics but ours.
        assert (await house.telemetry.take(plug, payload, TOPIC)).reason == "unknown_topic"

        # A dead letter of the bridge is replayed on its own topic, for the device.
        letter = StoredDeadLetter(
            1, 1, bridge.device.key, 0, "mqtt", TOPIC.decode(), b'{"power":7,"last_seen":5}', "undecodable_payload", ""
        )
        assert (await house.replay(letter)).accepted == 1
        assert ("power_w", 5, 7.0) in await readings(house, plug)
        house.draining = True  # or what follows an activation waits for a store that has ended
        for task in started:
            task.cancel()
    await house.close()


async def test_a_letter_of_a_form_is_replayed_in_it(tmp_path):
    house = await opened(tmp_path)
    async with asyncio.TaskGroup() as tasks:
        house.mqtt_door(tasks)
        started = [tasks.create_task(house.intake.run()), tasks.create_task(house.ingestion.run())]
        meter = await device(house, "m1", "generic")
        for topic, payload in (("telemetry/value/a", b"1"), ("devices/gw/chunks", b'[{"ts":5,"values":{"b":2}}]')):
            letter = StoredDeadLetter(1, 1, meter.device.key, 0, "mqtt", topic, payload, "undecodable_payload", "")
            assert (await house.replay(letter)).accepted == 1
        house.draining = True  # or what follows an activation waits for a store that has ended
        for task in started:
            task.cancel()
    await house.close()


async def test_with_a_decoder_that_can_not_be_used_it_does_not_start(tmp_path):
    own = tmp_path / "decoders"
    own.mkdir()
    (own / "mine.yaml").write_text("decoder: mine\nabout: x\ntopics: [{filter: a, drop: true, dorp: 1}]\n")
    with pytest.raises(ConfigError) as refused:
        await opened(tmp_path / "data", decoders_dir=str(own))
    assert "mine.yaml" in refused.value.detail
    assert "dorp" in refused.value.detail
    (own / "mine.yaml").write_text("decoder: mine\nabout: x\ntopics: [{filter: a, drop: true}]\n")
    await (await opened(tmp_path / "data", decoders_dir=str(own))).close()
