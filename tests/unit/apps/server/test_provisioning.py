"""The desk where claims are redeemed: JSON in, JSON out, for claimants and for gateways that bring them."""

import asyncio
from types import SimpleNamespace

import msgspec
import pytest
from tests.unit.apps.server.api.world import ACME, CSR, RIVAL, make_world

from ringmain.adapters.simulated.registry import Registry
from ringmain.apps.server import provisioning
from ringmain.apps.server.provisioning import ClaimDesk
from ringmain.model.device import LifecycleState
from ringmain.model.errors import Refused
from ringmain.ports.registry import NewDevice


class Told:
    """The connections of gateways."""

    def __init__(self):
        self.notices = []

    def notify(self, device, notice, body):
        self.notices.append((device, notice, msgspec.json.decode(body)))
        return True


@pytest.fixture
async def house():
    """`acme` has the registered meter `m` and the gateway `g`; `rival` has the gateway `h`."""
    world = await make_world()
    registry: Registry = world.context.registry
    (meter, gateway) = await registry.add(
        ACME, [NewDevice("m", "meter"), NewDevice("g", "gateway", LifecycleState.ACTIVE)], 0
    )
    (other,) = await registry.add(RIVAL, [NewDevice("h", "gateway", LifecycleState.ACTIVE)], 0)
    told = Told()
    desk = ClaimDesk(world.context.claims, told, lambda: "the CA")
    claim = (await world.context.claims.open(ACME, "m")).claim
    return SimpleNamespace(
        desk=desk, claim=claim, told=told, meter=meter, gateway=gateway, other=other, registry=registry
    )


@pytest.mark.parametrize("body", [b"", b" ", b"{}"])
async def test_without_a_csr_there_is_a_token(house, body):
    answer = msgspec.json.decode(await house.desk.redeem(house.claim, body))
    assert set(answer) == {"tenant", "device", "state", "token", "ca"}
    assert (answer["tenant"], answer["device"], answer["state"], answer["ca"]) == (ACME, "m", "active", "the CA")


async def test_with_a_csr_there_is_a_certificate_too(house):
    answer = msgspec.json.decode(await house.desk.redeem(house.claim, msgspec.json.encode({"csr": CSR})))
    assert answer["certificate"].startswith("-----BEGIN CERTIFICATE-----")


@pytest.mark.parametrize(
    "body", [b"[]", b"x", b"\xff", b'{"token": "mine"}', b'{"csr": 1}', b'{"csr": ""}', b'{"nonce": "short"}']
)
async def test_what_is_not_understood_leaves_the_claim_open(house, body):
    with pytest.raises(Refused) as refused:
        await house.desk.redeem(house.claim, body)
    assert refused.value.code == "invalid_request"
    assert await house.desk.redeem(house.claim, b"{}")


async def passed_on(house, gateway, *payloads):
    async with asyncio.TaskGroup() as tasks:
        for payload in payloads:
            house.desk.passed_on(gateway.key, payload, tasks)
    return house.told.notices


def passed(id, claim, **more):
    return msgspec.json.encode({"id": id, "claim": claim, **more})


async def test_a_gateway_hears_the_answer_under_its_own_number(house):
    ((device, notice, told),) = await passed_on(house, house.gateway, passed(7, house.claim, body={"nonce": "n" * 16}))
    assert (device, notice, told["id"]) == (house.gateway.key, "claims/answers", 7)
    assert told["answer"]["device"] == "m"
    again = await passed_on(house, house.gateway, passed(8, house.claim, body={"nonce": "n" * 16}))
    assert again[-1][2] == {"id": 8, "answer": told["answer"]}


@pytest.mark.parametrize("body", [{"csr": "no csr"}, {"unheard": "of"}, []])
async def test_a_gateway_hears_of_errors_too(house, body):
    ((_, _, told),) = await passed_on(house, house.gateway, passed(1, house.claim, body=body))
    assert told["answer"]["error"] in {"unprocessable", "invalid_request"}
    assert (await house.registry.by_key(house.meter.key)).state is LifecycleState.REGISTERED


async def test_a_gateway_of_another_tenant_learns_nothing(house):
    notices = await passed_on(house, house.other, passed(1, house.claim), passed(2, "rmc_" + "a" * 43))
    assert notices[0][2]["answer"] == notices[1][2]["answer"]
    assert notices[0][2]["answer"]["error"] == "bad_credentials"
    assert (await house.registry.by_key(house.meter.key)).state is LifecycleState.REGISTERED


@pytest.mark.parametrize(
    "payload", [b"", b"{}", b"\xff", b'{"id": -1, "claim": "x"}', b'{"id": 1}', b'{"id": "1", "claim": ""}']
)
async def test_what_can_not_be_read_is_left_and_its_secret_is_not_logged(house, payload, caplog):
    secret = payload + house.claim.encode()
    assert await passed_on(house, house.gateway, payload, secret) == []
    assert house.claim not in caplog.text


async def test_too_many_at_a_time_are_told_to_come_again(house, monkeypatch):
    monkeypatch.setattr(provisioning, "UNDER_WAY_MAX", 1)
    notices = await passed_on(house, house.gateway, *(passed(n, house.claim) for n in range(3)))
    told = {notice["id"]: notice["answer"].get("error") for _, _, notice in notices}
    assert told == {0: None, 1: "unavailable", 2: "unavailable"}
    notices = await passed_on(house, house.gateway, passed(3, house.claim))
    assert notices[-1][2]["answer"]["error"] == "bad_credentials"
