"""Claims that gateways pass on: handed over, counted as messages, and kept nowhere."""

import asyncio

import pytest

from ringmain.gateway.route import Purpose
from ringmain.gateway.translate.gateway_claims import GatewayClaims
from ringmain.model.device import LifecycleState
from ringmain.ports.registry import NewDevice


@pytest.fixture
async def handed(gateway):
    """`gw` is a gateway; what is handed on."""
    found = []
    claims = GatewayClaims(lambda device, payload: found.append((device.id, payload)))
    gateway.pipeline._translators = {Purpose.CLAIMS: claims}
    new = NewDevice("gw", "gateway", state=LifecycleState.ACTIVE, token_digest=b"tok-gw")
    await gateway.registry.add("default", [new], 0)
    return found


@pytest.mark.parametrize("topic", ["claims", "devices/gw/claims"])
async def test_every_claim_is_handed_on_in_order(gateway, handed, dial, topic):
    peer = await dial(5, "gw", "tok-gw")
    peer.send(b"".join(peer.packet(b"%d" % n, n, topic) for n in (1, 2, 3)))
    await asyncio.sleep(0.01)
    assert handed == [("gw", b"1"), ("gw", b"2"), ("gw", b"3")]
    assert peer.acknowledged() == [(1, 0), (2, 0), (3, 0)]
    assert sum(news.messages for news in gateway.committed) == 3


async def test_a_claim_is_in_no_log_whatever_is_wrong_with_it(gateway, handed, dial):
    peer = await dial(5, "gw", "tok-gw")
    peer.publish(b"\xff rmc_secret", 1, "claims")
    await asyncio.sleep(0.01)
    assert len(handed) == 1
    assert gateway.dead() == []
    assert not any(b"rmc_secret" in entry.body for entry in gateway.queue._entries)


async def test_no_other_device_passes_claims_on(gateway, handed, dial):
    peer = await dial(5)
    peer.publish(b"{}", 1, "claims")
    peer.publish(b"{}", 2, "devices/gw/claims")
    await asyncio.sleep(0.01)
    assert handed == []
    assert [reason for _, reason in peer.acknowledged()] == [0x87, 0x87]


@pytest.mark.parametrize(("user", "token", "granted"), [("gw", "tok-gw", 1), ("m1", "tok1", 0x87)])
async def test_only_a_gateway_hears_answers(gateway, handed, dial, user, token, granted):
    peer = await dial(5, user, token)
    peer.subscribe("claims/answers", 1)
    assert peer.said()[-1] == granted


async def test_where_nobody_redeems_the_topic_is_unknown(gateway, handed, dial):
    gateway.pipeline._translators = {}
    peer = await dial(5, "gw", "tok-gw")
    peer.publish(b"{}", 1, "claims")
    await asyncio.sleep(0.01)
    assert peer.acknowledged() == [(1, 0x90)]
