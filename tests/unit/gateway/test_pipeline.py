"""The recipe where it goes beyond plain telemetry: gateways, who hears of them, and what comes back."""

import msgspec
import pytest

from ringmain.gateway.columns import Lanes
from ringmain.gateway.pipeline import BEYOND, Authenticated
from ringmain.gateway.route import Purpose
from ringmain.gateway.translate.decoded import DecodedTelemetry
from ringmain.gateway.translate.decoder_files import Decoders
from ringmain.gateway.translate.placing import Arrivals
from ringmain.model.batch import DeadLetter
from ringmain.model.device import EDGE_PROFILE, LifecycleState, Principal
from ringmain.ports.registry import NewDevice


class Fake:
    """A translator that takes what begins with `+`, refuses what begins with `-`, and sets the rest aside."""

    def __init__(self):
        self.taken = []

    def translate(self, batch, device, payloads, door, topic):
        batch.messages += len(payloads)
        self.taken.append((device.id, list(payloads), door, topic))
        for payload in payloads:
            if payload[:1] == b"-":
                batch.reject(device.key, "not_delegated", 3)
        dead = [
            DeadLetter(device.key, batch.received_ms, door, topic, payload, "undecodable_payload", "no chunk")
            for payload in payloads
            if payload[:1] not in b"+-"
        ]
        batch.dead_letters.extend(dead)
        return dead


@pytest.fixture
async def edge(gateway):
    """A device with the profile of gateways, `gw` with the token `tok`, and the translator of its chunks."""
    (device,) = await gateway.registry.add(
        "default", [NewDevice("gw", "gateway", LifecycleState.ACTIVE, token_digest=b"tok")], 0
    )
    fake = Fake()
    gateway.pipeline._translators = {Purpose.CHUNKS: fake}
    gateway.listening = []
    gateway.door.on_listening = lambda device, notices: gateway.listening.append((device.id, list(notices)))
    return device, fake


@pytest.fixture
def dial_edge(edge, dial):
    return lambda level=5, **more: dial(level, user="gw", token="tok", **more)


@pytest.mark.parametrize("topic", ["attributes", "v1/devices/me/rpc/response/1", "devices/m1/attributes/request/1"])
async def test_what_only_programs_hear_is_unknown_where_there_are_none(gateway, dial, turns, topic):
    """An edge has nobody who could hear it, and forwards readings alone."""
    peer = await dial(5)
    peer.publish(b"{}", 1, topic)
    await turns()
    gateway.pipeline._tree = False
    other = await dial(5, client_id="d")
    other.publish(b"{}", 1, topic)
    await turns()
    told = [each.transport.said() for each in (peer, other)]
    assert b"\x40\x02\x00\x01" in told[0], told
    assert b"\x40\x03\x00\x01\x90" in told[1], told


class TestForms:
    async def test_topics_that_say_the_form(self, gateway, dial, turns):
        peer = await dial()
        peer.publish(b"12.5", 1, "telemetry/value/power_w")
        peer.publish(b'[{"bn":"m1:","bt":1700000000,"n":"a","v":1}]', 2, "devices/m1/telemetry/senml")
        peer.publish(b"\x82\xa2ts\x05\xa1a\x02", 3, "telemetry/msgpack")
        peer.publish(b'{"ts":7,"values":{"a":true}}', 4, "v1/devices/me/telemetry")
        peer.publish(b'{"ts":7,"values":{"a":"on"}}', 5, "v1/devices/me/telemetry")
        await turns()
        assert [identifier for identifier, _ in peer.acknowledged()] == [1, 2, 3, 4, 5]
        assert {reading[1:] for reading in gateway.stored() if reading[1] == "a"} == {
            ("a", 1_700_000_000_000, 1),
            ("a", 5, 2),
            ("a", 7, 1),
        }
        assert [value for _, channel, _, value in gateway.stored() if channel == "power_w"] == [12.5]
        assert [payload for _, payload in gateway.dead()] == [b'{"ts":7,"values":{"a":"on"}}']

    async def test_content_types_follow_their_payloads(self, gateway, turns):
        class Quiet:
            settle = refuse = hold = resume = lambda *_: None

        principal = await gateway.authenticator.sign_in("m1", b"tok1")
        who = gateway.pipeline.admit(principal)
        packed = msgspec.msgpack.encode({"ts": 1, "a": 1})
        done = gateway.pipeline.uplink(
            Authenticated(
                who, "mqtt", [b"telemetry", b"telemetry", b"telemetry/value/a"], [packed, b'{"ts":2,"a":2}', b"[]"],
                [b"1", b"2", b"3"], ["application/msgpack", "application/senml+json", "application/senml+json"],
            ),
            Quiet(),
        )  # fmt: skip
        assert [len(each.dead_letters) for each in done] == [1, 1]
        assert gateway.intake.batch().readings() == 1


class TestDecoders:
    @pytest.fixture
    async def tasmota(self, gateway):
        (device,) = await gateway.registry.add(
            "default", [NewDevice("plug", "tasmota", LifecycleState.ACTIVE, token_digest=b"tok")], 0
        )
        gateway.pipeline._decoders = Decoders()
        gateway.pipeline._decoded = DecodedTelemetry(Arrivals(), Lanes())
        return device

    async def test_what_a_device_says_in_its_own_topics(self, gateway, tasmota, dial, turns):
        peer = await dial(5, user="plug", token="tok")
        peer.publish(b'{"ENERGY":{"Total":1.5,"Power":60}}', 1, "tele/plug/SENSOR")
        peer.publish(b"Sometimes", 2, "tele/plug/LWT")
        peer.publish(b'{"ts":5,"a":1}', 3, "telemetry")
        peer.publish(b"1", 4, "shellies/x/relay/0/power")
        await turns()
        assert peer.acknowledged() == [(1, 0), (2, 0), (3, 0), (4, 0x90)]
        found = {(channel, value) for device, channel, _, value in gateway.stored() if device == tasmota.key}
        assert found == {("energy_wh", 1500), ("power_w", 60.0), ("a", 1.0)}
        assert gateway.dead() == [(tasmota.key, b"Sometimes")]
        assert gateway.rejected() == [(tasmota.key, "unknown_topic", 1)]

    async def test_a_composition_without_decoders_knows_no_such_topic(self, gateway, tasmota, dial, turns):
        gateway.pipeline._decoders = None
        peer = await dial(5, user="plug", token="tok")
        peer.publish(b"Online", 1, "tele/plug/LWT")
        await turns()
        assert peer.acknowledged() == [(1, 0x90)]


class TestPurposes:
    async def test_what_this_composition_does_not_take_is_unknown(self, gateway, edge, dial_edge, turns):
        gateway.pipeline._translators = {}
        peer = await dial_edge()
        for identifier, topic in enumerate(("chunks", "devices/gw/report"), 1):
            peer.publish(b"+", identifier, topic)
        await turns()
        assert peer.acknowledged() == [(1, 0x90), (2, 0x90)]
        assert gateway.rejected() == [(edge[0].key, "unknown_topic", 2)]

    async def test_a_gateways_messages_go_to_the_translator_of_their_purpose(self, gateway, edge, dial_edge, turns):
        peer = await dial_edge()
        peer.publish(b"+1", 1, "chunks")
        peer.publish(b"+2", 2, "devices/gw/chunks")
        peer.publish(b'{"ts":5,"v":1}', 3)
        await turns()
        assert peer.acknowledged() == [(1, 0), (2, 0), (3, 0)]
        assert edge[1].taken == [("gw", [b"+1"], "mqtt", "chunks"), ("gw", [b"+2"], "mqtt", "devices/gw/chunks")]
        assert gateway.stored() == [(edge[0].key, "v", 5, 1.0)], "and it may speak for itself too"

    async def test_any_other_device_is_refused(self, gateway, edge, dial, turns):
        peer = await dial(5)
        peer.publish(b"+", 1, "chunks")
        await turns()
        assert peer.acknowledged() == [(1, 0x87)]
        assert edge[1].taken == []
        assert gateway.rejected() == [(gateway.m1.key, "not_authorized", 1)]

    async def test_a_dead_letter_is_durable_acknowledged_and_told(self, gateway, edge, dial_edge, turns):
        peer = await dial_edge()
        peer.subscribe("errors")
        peer.said()
        peer.publish(b"?", 7, "chunks")
        await turns()
        said = peer.said()
        assert b'"detail":"no chunk"' in said
        assert said.endswith(b"\x40\x02\x00\x07")
        assert gateway.dead() == [(edge[0].key, b"?")]

    def test_everything_beyond_is_a_purpose_of_gateways(self):
        assert {Purpose.CHUNKS, Purpose.REPORT} <= BEYOND
        assert not BEYOND & {Purpose.TELEMETRY, Purpose.STATUS, Purpose.REJECT}


class TestListening:
    async def test_who_subscribes_is_told_of_behind_the_answer(self, gateway, edge, dial_edge):
        peer = await dial_edge()
        gateway.door.on_listening = lambda device, notices: gateway.connections.notify(device.key, notices[0], b"now")
        peer.subscribe("devices/gw/roster", 1)
        said = peer.said()
        assert said.startswith(b"\x90"), "SUBACK comes first"
        assert b"devices/gw/roster" in said
        assert said.endswith(b"now")

    async def test_all_that_a_filter_covers_is_told_and_what_is_refused_is_not(self, gateway, edge, dial, dial_edge):
        peer = await dial_edge()
        peer.subscribe("devices/gw/#")
        assert len(gateway.listening) == 1
        assert {"errors", "settings", "roster"} <= set(gateway.listening[0][1])
        peer.subscribe("devices/m1/#")
        meter = await dial(5)
        meter.subscribe("devices/m1/roster")
        assert len(gateway.listening) == 1

    async def test_whether_there_was_room_is_told(self, gateway, edge, dial_edge, turns):
        peer = await dial_edge()
        key = edge[0].key
        assert gateway.connections.notify(key, "roster", b"x"), "nobody listens, so nothing is missed"
        peer.subscribe("roster", 1)
        for _ in range(32):
            assert gateway.connections.notify(key, "roster", b"x")
        assert not gateway.connections.notify(key, "roster", b"x"), "32 are under way unacknowledged"
        assert gateway.connections.notify(key, "errors", b"x")
        assert gateway.connections.notify(99, "roster", b"x")


class TestReplay:
    async def test_what_became_of_a_chunk_that_came_again(self, gateway, edge):
        principal = Principal(edge[0], EDGE_PROFILE)
        for payload, expected in ((b"+", (0, 0, 0, 0)), (b"-", (3, 0, 3, 0)), (b"?", (1, 0, 0, 1))):
            answer = await gateway.telemetry.take(principal, payload, b"chunks")
            assert (answer.received, answer.accepted, answer.rejected, answer.dead_lettered) == expected
        assert (answer.reason, answer.detail) == ("undecodable_payload", "no chunk")
        refused = await gateway.telemetry.take(Principal(gateway.m1, EDGE_PROFILE), b"+", b"chunks")
        assert (refused.received, refused.rejected, refused.reason) == (1, 1, "not_authorized")
