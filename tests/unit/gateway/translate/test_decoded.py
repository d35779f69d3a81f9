"""Decoded telemetry: a device's own, and that of devices for which a bridge speaks, or may not."""

import pytest

from ringmain.gateway.columns import Lane, Lanes, OpenBatch
from ringmain.gateway.translate.decoded import DecodedTelemetry
from ringmain.gateway.translate.decoder_files import Decoders
from ringmain.gateway.translate.placing import Arrivals
from ringmain.model.device import GENERIC_PROFILE, METER_PROFILE, Device, LifecycleState
from ringmain.model.standing import Standing

NOW = 1_700_000_000_000
BRIDGE = Device(1, "acme", "z2m", "zigbee2mqtt", LifecycleState.ACTIVE, "main", 0, 0)
STATE = LifecycleState
DECODERS = Decoders()


def standing(key, id, state=STATE.ACTIVE, profile=METER_PROFILE, **more):
    return Standing(Device(key, "acme", id, profile.name, state, "main", 0, NOW - 1000), profile, **more)


class Known:
    def __init__(self):
        self.standings = {it.device.id: it for it in (standing(7, "plug"), standing(8, "Living_room"))}

    def of(self, gateway):
        return self.standings if gateway == BRIDGE.key else {}

    def key_of(self, tenant, id):
        return {("acme", "other"): 9}.get((tenant, id))


class Desk:
    def __init__(self):
        self.known, self.seen = Known(), []
        self.decoded = DecodedTelemetry(
            Arrivals(), Lanes(), self.known, lambda gateway, those: self.seen.append((gateway.id, those))
        )
        self.lane = Lane(GENERIC_PROFILE, quarantined=False)

    def __call__(self, topic, *payloads, decoder="zigbee2mqtt", device=BRIDGE):
        self.batch = OpenBatch(NOW)
        dead = self.decoded.translate(self.batch, self.lane, device, payloads, "mqtt", topic, DECODERS.named(decoder))
        assert self.batch.dead_letters == dead
        assert self.batch.messages == len(payloads)
        assert self.batch.payload_bytes == sum(map(len, payloads))
        return [
            (device, name, at_ms, value)
            for block in self.batch.seal().blocks
            for row, (device, at_ms) in enumerate(zip(block.devices.cast("q"), block.stamps.cast("q"), strict=True))
            for name, value in zip(
                block.channels,
                block.values.cast("q" if block.exact else "d")[row * len(block.channels) :],
                strict=False,
            )
        ]


@pytest.fixture
def desk():
    return Desk()


def test_ones_own(desk):
    m = Device(5, "acme", "m", "tasmota", STATE.ACTIVE, "main", 0, 0)
    assert desk("tele/x/LWT", b"Online", decoder="tasmota", device=m) == [(5, "online", NOW, 1.0)]
    assert desk("tele/x/SENSOR", b'{"ENERGY":{"Total":1.5}}', decoder="tasmota", device=m) == [
        (5, "energy_wh", NOW + 1, 1500)
    ]
    assert desk("stat/x/POWER", b"ON", decoder="tasmota", device=m) == []
    assert (desk.batch.rejections, desk.seen) == ({}, [])


def test_of_a_device_behind_the_bridge(desk):
    payload = b'{"energy":12.34,"last_seen":1677685136796,"power":4.5}'
    assert sorted(desk("zigbee2mqtt/plug", payload, payload)) == sorted(
        [(7, "energy_wh", 1677685136796, 12340), (7, "power_w", 1677685136796, 4.5)] * 2
    )
    ((gateway, those),) = desk.seen
    assert (gateway, [it.device.id for it in those]) == ("z2m", ["plug"])
    assert desk("zigbee2mqtt/Living room", b'{"temperature":20}') == [(8, "temperature_cel", NOW, 20.0)]


@pytest.mark.parametrize(
    ("name", "key"), [("nobody", 1), ("other", 9), ("PLUG", 1), ("z2m", 1)]
)  # whom the tenant has not, whom it has, another spelling, the bridge itself
def test_whom_it_may_not_speak_for(desk, name, key):
    assert desk(f"zigbee2mqtt/{name}", b'{"power":1,"voltage":2}') == []
    assert desk.batch.rejections == {(key, "not_delegated"): 2}
    assert (desk.batch.dead_letters, desk.seen) == ([], [])


def test_nobody_speaks_for_anybody_unless_somebody_says_who(desk):
    decoded = DecodedTelemetry(Arrivals(), Lanes())
    batch = OpenBatch(NOW)
    decoder = DECODERS.named("zigbee2mqtt")
    assert decoded.translate(batch, desk.lane, BRIDGE, [b'{"power":1}'], "mqtt", "zigbee2mqtt/plug", decoder) == []
    assert batch.rejections == {(1, "not_delegated"): 1}
    assert batch.readings() == 0


@pytest.mark.parametrize(
    ("state", "at_ms", "reason"),
    [
        (STATE.SUSPENDED, NOW, "device_suspended"),
        (STATE.SUSPENDED, NOW - 1001, ""),
        (STATE.REGISTERED, NOW, "device_not_active"),
        (STATE.DECOMMISSIONED, 0, "device_not_active"),
        (STATE.PROVISIONED, NOW, ""),
    ],
)
def test_the_devices_own_lifecycle_decides(desk, state, at_ms, reason):
    desk.known.standings["plug"] = standing(7, "plug", state)
    found = desk("zigbee2mqtt/plug", b'{"power":1,"last_seen":%d}' % at_ms)
    assert (found == []) is bool(reason)
    assert desk.batch.rejections == ({(7, reason): 1} if reason else {})
    assert [block.quarantined for block in desk.batch.seal().blocks] == [state is STATE.PROVISIONED] * len(found)


def test_a_delegation_holds_for_its_span_alone(desk):
    desk.known.standings["plug"] = standing(7, "plug", spans=((100, 200),))
    assert desk("zigbee2mqtt/plug", b'{"power":1,"last_seen":150}') == [(7, "power_w", 150, 1.0)]
    assert desk("zigbee2mqtt/plug", b'{"power":1,"last_seen":200}', b'{"power":1}') == []
    assert desk.batch.rejections == {(7, "not_delegated"): 2}


@pytest.mark.parametrize(
    ("topic", "payload", "words"),
    [
        ("zigbee2mqtt/plug", b"{", "Input data was truncated"),
        ("zigbee2mqtt/plug", b'{"power":"high"}', "no word"),
        ("zigbee2mqtt/plug", b'{"power":1,"last_seen":"yesterday"}', "ISO 8601"),
        ("zigbee2mqtt/ plug", b'{"power":1}', "can not be the id"),
        ("zigbee2mqtt/plug", b'{"import_wh":0.5}', "whole units"),
        ("zigbee2mqtt/plug", b"[" * 50_000, "depth"),
    ],
)
def test_what_can_not_be_read_is_a_dead_letter_of_who_said_it(desk, topic, payload, words):
    good = b'{"power":1}'
    found = desk(topic, good, payload) if topic == "zigbee2mqtt/plug" else desk(topic, payload)
    (letter,) = desk.batch.dead_letters
    assert (letter.device, letter.topic, letter.payload) == (BRIDGE.key, topic, payload)
    assert words in letter.detail
    assert len(found) == (topic == "zigbee2mqtt/plug")


def test_what_says_nothing_is_no_reading_and_no_refusal(desk):
    assert desk("zigbee2mqtt/plug", b'{"action":"single"}') == []
    assert desk("zigbee2mqtt/nobody", b'{"action":"single"}') == []
    assert desk("zigbee2mqtt/bridge/state", b'{"state":"online"}') == []
    assert (desk.batch.rejections, desk.batch.dead_letters) == ({}, [])
