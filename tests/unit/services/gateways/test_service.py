"""The service: refusals, changes that hold at once, and what goes down to whom, how often."""

import asyncio

import msgspec
import pytest
from tests.unit.services.gateways.world import REPORT, World

from ringmain.model.device import METER_PROFILE, LifecycleState
from ringmain.model.errors import Refused
from ringmain.model.gateway import GatewaySettings, token_sha256, verifier
from ringmain.services.gateways import outbox, service


@pytest.fixture(autouse=True)
def _quick(monkeypatch):
    monkeypatch.setattr(outbox, "COALESCE_S", 0.02)
    monkeypatch.setattr(outbox, "RETRY_S", 0.01)
    monkeypatch.setattr(service, "PROFILES_EVERY_S", 0.01)
    monkeypatch.setattr(service, "REPORTS_EVERY_S", 0.01)


@pytest.fixture
async def world():
    return await World.made()


async def quiet():
    """Longer than changes gather."""
    await asyncio.sleep(0.08)


# -- who is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("gateway", "ids", "code"),
    [("gw", ["m1", "nobody"], "not_found"), ("gw", ["m1", "other"], "unprocessable"), ("m2", ["m1"], "unprocessable")],
)
async def test_a_refusal_delegates_nothing(world, gateway, ids, code):
    gateways = await world.service()
    device = next(it for it in world.devices if it.id == gateway)
    with pytest.raises(Refused) as refused:
        await gateways.delegate(device, ids)
    assert refused.value.code == code
    assert await world.delegations.all() == []
    assert dict(gateways.standings.of(device.key)) == {}


async def test_too_many_at_once_are_refused_before_anything_is_looked_up(world, monkeypatch):
    monkeypatch.setattr(service, "DELEGATIONS_MAX", 2)
    gateways = await world.service()
    with pytest.raises(Refused):
        await gateways.delegate(world.gw, ["m1", "m2", "m3"])


async def test_a_name_means_the_device_of_the_gateways_own_tenant(world):
    gateways = await world.service()
    await gateways.delegate(world.rival_gw, ["m1"])
    assert gateways.standings.of(world.rival_gw.key)["m1"].device == world.rival_m1
    with pytest.raises(Refused):
        await gateways.delegate(world.rival_gw, ["m2"])


async def test_what_was_not_delegated_can_not_be_ended(world):
    gateways = await world.service()
    await gateways.delegate(world.gw, ["m1"], 0, 50)
    for device, at_ms in ((world.m2, None), (world.m1, None), (world.m1, 50)):
        with pytest.raises(Refused) as refused:
            await gateways.undelegate(world.gw, device, at_ms)
        assert refused.value.code == "not_found"
    assert gateways.standings.of(world.gw.key)["m1"].spans == ((0, 50),)


# -- what holds at once ---------------------------------------------------------------------------------------------


async def test_delegations_hold_in_memory_and_survive_a_restart(world):
    gateways = await world.service()
    await gateways.delegate(world.gw, ["m1", "m2", "m1"], 10)
    await gateways.undelegate(world.gw, world.m2, 20)
    for made in (gateways, await world.service()):
        known = made.standings.of(world.gw.key)
        assert {id: it.spans[0][0] for id, it in known.items()} == {"m1": 10, "m2": 10}
        assert known["m1"].covers(10**12)
        assert not known["m2"].covers(20)
        assert made.standings.of(world.other.key) == {}


async def test_a_delegation_that_never_was_is_gone(world):
    gateways = await world.service()
    await gateways.delegate(world.gw, ["m1"])
    await gateways.undelegate(world.gw, world.m1, 0)
    assert gateways.standings.of(world.gw.key) == {}


async def test_a_transition_holds_before_anything_is_awaited(world):
    gateways = await world.service()
    await gateways.delegate(world.gw, ["m1"])
    moved = await world.registry.move(world.m1.key, world.m1.state, LifecycleState.SUSPENDED, 99, "test")
    gateways.device_changed(moved, world.m1.state)
    assert gateways.standings.of(world.gw.key)["m1"].device == moved


async def test_a_transition_while_delegations_are_read_is_not_lost(world, monkeypatch):
    gateways = await world.service()

    class Overtaken:
        async def devices(self, tenant, ids):
            return await world.registry.devices(tenant, ids)

        async def by_key(self, key):
            device = await world.registry.by_key(key)
            if device == world.m1:
                await world.move(gateways, world.m1, LifecycleState.SUSPENDED)
            return device

    monkeypatch.setattr(gateways, "_registry", Overtaken())
    await gateways.delegate(world.gw, ["m1"])
    assert gateways.standings.of(world.gw.key)["m1"].device.state is LifecycleState.SUSPENDED


async def test_a_meter_that_comes_in_through_a_gateway_is_delegated_to_it_once(world):
    gateways = await world.service()
    await gateways.redeemed(world.m1, None)
    await gateways.redeemed(world.m1, world.m2.key)
    assert await world.delegations.all() == []
    await gateways.redeemed(world.m1, world.gw.key)
    assert set(gateways.standings.of(world.gw.key)) == {"m1"}
    await gateways.undelegate(world.gw, world.m1, 5)
    await gateways.redeemed(world.m1, world.gw.key)
    assert not gateways.standings.of(world.gw.key)["m1"].covers(5), "told again: what was decided meanwhile stands"
    await gateways.redeemed(world.m2, world.rival_gw.key)
    assert gateways.standings.of(world.rival_gw.key) == {}, "a gateway of another tenant speaks for nobody here"


# -- what goes down -------------------------------------------------------------------------------------------------


@pytest.mark.slow
async def test_who_subscribes_gets_what_there_is_and_only_that(world):
    async with world.running() as gateways:
        await gateways.delegate(world.gw, ["m1"])
        await quiet()
        sent = len(world.sent)
        gateways.listening(world.gw, ["errors", "roster", "settings"])
        await world.wait_for(sent + 1)
        await quiet()
        assert [it[:2] for it in world.sent[sent:]] == [(world.gw.key, "roster")], "no settings were given"
        await gateways.put_settings(world.gw, GatewaySettings(keep_alive_s=30))
        await world.wait_for(sent + 2)
        gateways.listening(world.gw, ["settings"])
        await world.wait_for(sent + 3)
        assert [(it[1], it[2].version) for it in world.sent[sent + 1 :]] == [("settings", 1), ("settings", 1)]
        gateways.listening(world.m1, ["settings", "roster"])
        await quiet()
        assert len(world.sent) == sent + 3


async def test_every_change_of_a_delegated_device_makes_a_roster_and_nothing_else_does(world):
    async with world.running() as gateways:
        gateways.listening(world.gw, ["roster"])
        (_, _, empty), *_ = await world.wait_for(1)
        assert (empty.version, empty.entries) == (1, ())
        await gateways.delegate(world.gw, ["m1", "m2"])
        roster = (await world.wait_for(2))[-1][2]
        assert [it.id for it in roster.entries] == ["m1", "m2"]
        salt = bytes((world.gw.key,)) * 32
        assert roster.entries[0].verifiers == (verifier(salt, token_sha256("token of m1")),)
        await world.move(gateways, world.m1, LifecycleState.SUSPENDED)
        assert (await world.wait_for(3))[-1][2].entries[0].state is LifecycleState.SUSPENDED
        world.tokens[world.m2.key] = "another"
        gateways.device_changed(world.m2, world.m2.state)
        assert (await world.wait_for(4))[-1][2].entries[1].verifiers == (verifier(salt, token_sha256("another")),)
        await world.directory.put_profile("acme", msgspec.structs.replace(METER_PROFILE, expected_interval_s=5))
        assert (await world.wait_for(5))[-1][2].profiles[0].expected_interval_s == 5
        await gateways.undelegate(world.gw, world.m2)
        assert [it.id for it in (await world.wait_for(6))[-1][2].entries] == ["m1"]
        await world.move(gateways, world.m3, LifecycleState.SUSPENDED)
        gateways.device_changed(world.m2, world.m2.state)
        await gateways.delegate(world.gw, ["m1"])
        await quiet()
        assert len(world.sent) == 6, "nothing new is not sent"
        assert [it[2].version for it in world.sent] == [1, 2, 3, 4, 5, 6]


async def test_a_street_that_changes_at_once_is_one_roster(world):
    async with world.running() as gateways:
        gateways.listening(world.gw, ["roster"])
        await world.wait_for(1)
        for id in ("m1", "m2", "m3"):
            await gateways.delegate(world.gw, [id])
        await world.wait_for(2)
        await quiet()
        assert [len(it[2].entries) for it in world.sent] == [0, 3]


@pytest.mark.slow
async def test_who_does_not_read_is_tried_again_and_who_is_away_is_not(world):
    async with world.running() as gateways:
        world.choked = True
        gateways.listening(world.gw, ["roster"])
        await quiet()
        assert world.sent == []
        world.choked = False
        await world.wait_for(1)
        world.there.discard(world.gw.key)
        await gateways.delegate(world.gw, ["m1"])
        await quiet()
        assert len(world.sent) == 1
        assert gateways.documents.roster_version(world.gw.key) == 1, "nor is anything made of it"
        world.there.add(world.gw.key)
        gateways.listening(world.gw, ["roster"])
        assert [it.id for it in (await world.wait_for(2))[-1][2].entries] == ["m1"]


async def test_versions_go_on_after_a_restart_and_the_same_roster_keeps_its_own(world):
    for expected in (1, 1):
        async with world.running() as gateways:
            gateways.listening(world.gw, ["roster"])
            await world.wait_for(1)
        assert world.sent.pop()[2].version == expected
    async with world.running() as gateways:
        await gateways.delegate(world.gw, ["m1"])
        assert (await world.wait_for(1))[-1][2].version == 2


async def test_reports_are_written_while_it_runs(world):
    async with world.running() as gateways:
        gateways.reported(world.gw, REPORT)
        async with asyncio.timeout(5):
            while not (held := await world.port.newest("report")):
                await asyncio.sleep(0.005)
    assert msgspec.json.decode(held[world.gw.key].body, type=type(REPORT)) == REPORT
    assert (await world.service()).documents.report(world.gw.key).report == REPORT


async def test_gateways_are_listed_by_tenant_as_they_now_are(world):
    gateways = await world.service()
    assert [it.id for it in gateways.of_tenant("acme")] == ["gw", "other"]
    moved = await world.move(gateways, world.gw, LifecycleState.SUSPENDED)
    assert gateways.of_tenant("acme") == [moved, world.other]
    assert gateways.of_tenant("nobody") == []
