"""Provisioning over MQTT: a claim opens one topic, once heard, for half a minute, and nothing else."""

import asyncio

import msgspec
import pytest

from ringmain.gateway import provisioning
from ringmain.gateway.provisioning import answer_of, claim_of
from ringmain.model.errors import Failed, Refused
from ringmain.protocols.mqtt import wire

CLAIM = "rmc_" + "a" * 43


class Desk:
    """A provisioner that answers when it is let through."""

    def __init__(self):
        self.asked = []
        self.open = asyncio.Event()
        self.open.set()
        self.error = None

    async def redeem(self, claim, body):
        self.asked.append((claim, body))
        await self.open.wait()
        if self.error:
            raise self.error
        return b'{"token": "t"}'


@pytest.fixture
def desk(gateway):
    desk = gateway.door.provisioner = Desk()
    return desk


@pytest.fixture
async def claimant(gateway, desk, visit, turns):
    """Makes a peer that signed in with a claim and, unless told otherwise, listens."""

    async def make(level=5, *, listens=True, **more):
        peer = visit(level)
        peer.connect("claim", CLAIM, **more)
        await turns()
        assert peer.said()[0] == 0x20
        if listens:
            peer.subscribe("provision/answer", 1)
            assert peer.said()[-1] == 1
        return peer

    return make


def answer(data, level):
    """The body of a PUBLISH of QoS 1 to `provision/answer` at the end of `data`, and what stood before it."""
    topic = wire.text("provision/answer")
    at = data.index(topic)
    start = data.rindex(b"\x32", 0, at)
    body = at + len(topic) + 2 + (1 if level == 5 else 0)
    return data[:start], data[body:]


@pytest.mark.parametrize("level", [4, 5])
async def test_a_claim_is_redeemed_acknowledged_and_answered(gateway, desk, claimant, turns, level):
    peer = await claimant(level)
    peer.publish(b'{"csr": "x"}', 7, "provision")
    await turns()
    before, body = answer(peer.said(), level)
    assert (desk.asked, body) == ([(CLAIM, b'{"csr": "x"}')], b'{"token": "t"}')
    assert before[:4] == b"\x40\x02\x00\x07"
    assert not peer.transport.closing


async def test_it_may_ask_again_and_at_qos_0(desk, claimant, turns):
    peer = await claimant()
    for identifier in (0, 2):
        peer.publish(b"{}", identifier, "provision")
        await turns()
        assert answer(peer.said(), 5)[1] == b'{"token": "t"}'
    assert len(desk.asked) == 2


async def test_it_is_no_device(gateway, desk, claimant, turns):
    peer = await claimant(will=("telemetry", b'{"v": 1}'))
    peer.publish(b"{}", 1, "provision")
    await turns()
    (connection,) = gateway.door._open
    peer.transport.lose()
    await asyncio.sleep(0.01)
    assert connection._claimant._timer.cancelled()
    assert (gateway.watch.heard, gateway.connections.count, gateway.received) == ([], 0, [])
    assert gateway.queue.appends == 0
    assert gateway.door.claimants == 0
    assert not gateway.door._open


@pytest.mark.parametrize("topic", ["telemetry", "devices/m1/telemetry", "status", "provision/answer", "provision/x"])
@pytest.mark.parametrize("level", [4, 5])
async def test_anything_else_ends_it(gateway, desk, claimant, turns, topic, level):
    peer = await claimant(level)
    peer.publish(b'{"v": 1}', 1, topic)
    await turns()
    said = peer.said()
    assert said[:3] == (b"\xe0" + said[1:2] + b"\x87" if level == 5 else b"")
    assert peer.transport.gone
    assert (desk.asked, gateway.received, gateway.queue.appends) == ([], [], 0)


async def test_one_word_out_of_place_and_none_is_taken(gateway, desk, claimant, turns):
    peer = await claimant()
    peer.send(peer.packet(b"{}", 1, "provision") + peer.packet(b'{"v": 1}', 2))
    await turns()
    assert peer.said()[2] == 0x87
    assert peer.transport.gone
    assert desk.asked == []


@pytest.mark.parametrize(
    "pattern", ["#", "provision/#", "provision/+", "provision", "errors", "devices/m1/#", "+/answer"]
)
async def test_nothing_else_is_granted(claimant, pattern):
    peer = await claimant(listens=False)
    peer.subscribe(pattern, 1)
    assert peer.said()[-1] == 0x87


async def test_who_does_not_listen_keeps_the_claim(desk, claimant, turns):
    peer = await claimant(listens=False)
    peer.publish(b"{}", 1, "provision")
    await turns()
    assert b"the claim is still good" in peer.said()
    assert peer.transport.gone
    assert desk.asked == []


async def test_one_request_at_a_time(gateway, desk, claimant, turns):
    desk.open.clear()
    peer = await claimant()
    peer.publish(b"{}", 1, "provision")
    await turns()
    peer.publish(b"{}", 2, "provision")
    await turns()
    assert peer.transport.gone
    desk.open.set()
    await turns()
    assert len(desk.asked) == 1


async def test_a_request_that_is_too_large(desk, claimant, turns):
    peer = await claimant()
    peer.publish(b"x" * (provisioning.REQUEST_BYTES_MAX + 1), 1, "provision")
    await turns()
    assert peer.said()[2] == 0x95
    assert desk.asked == []


async def test_it_ends_when_its_time_is_over(gateway, desk, visit, turns, monkeypatch):
    monkeypatch.setattr(provisioning, "CLAIMANT_S_MAX", 0.05)
    peer = visit(5)
    peer.connect("claim", CLAIM)
    await turns()
    assert peer.said()[:1] == b"\x20"
    await asyncio.sleep(0.1)
    assert peer.transport.gone
    assert peer.said()[2] == 0x98
    assert gateway.door.claimants == 0


async def test_strangers_do_not_take_the_places_of_devices(gateway, desk, dial, visit, turns, monkeypatch):
    monkeypatch.setattr("ringmain.gateway.mqtt_connection.CLAIMANTS_MAX", 2)
    for _ in range(2):
        visit(5).connect("claim", CLAIM)
    await turns()
    peer = visit(5)
    peer.connect("claim", CLAIM)
    await turns()
    assert peer.said().hex() == "2003008800"
    await dial()
    assert gateway.connections.count == 1


async def test_a_door_without_a_provisioner_knows_no_claims(gateway, visit, turns):
    gateway.door.provisioner = None
    peer = visit(5)
    peer.connect("claim", CLAIM)
    await turns()
    assert peer.said().hex() == "2003008600"


async def test_a_device_may_be_called_claim(gateway, desk, dial):
    await gateway.add("claim", "its token")
    await dial(5, "claim", "its token")
    assert gateway.connections.count == 1


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("bad_credentials", "d", "h"), "bad_credentials"),
        (Failed("storage_failed", "a path of ours", "h"), "storage_failed"),
        (RuntimeError("a secret of ours"), "internal"),
    ],
)
async def test_errors_are_answers(gateway, desk, claimant, turns, error, code):
    desk.error = error
    peer = await claimant()
    peer.publish(b"{}", 1, "provision")
    await turns()
    told = msgspec.json.decode(answer(peer.said(), 5)[1])
    assert (set(told), told["error"]) == ({"error", "detail", "hint"}, code)
    assert "ours" not in str(told)
    assert not peer.transport.closing


async def test_the_answer_of_whoever_answers():
    async def redeeming():
        return b"{}"

    assert await answer_of(redeeming()) == b"{}"


@pytest.mark.parametrize(
    ("user", "password"),
    [(None, None), ("claim", None), ("claim", b""), ("claim", b"tok"), ("Claim", CLAIM.encode()),
     ("m1", CLAIM.encode()), ("", CLAIM.encode())],
)  # fmt: skip
def test_what_is_no_claim(user, password):
    assert claim_of(user, password) is None


def test_what_is_one():
    assert claim_of("claim", CLAIM.encode()) == CLAIM
    assert claim_of("claim", b"rmc_\xff") == "rmc_\ufffd"
