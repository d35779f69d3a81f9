"""Claims and certificates over HTTP."""

from datetime import timedelta

import pytest
from tests.unit.apps.server.api.world import CSR, make_world

from ringmain.model.time import format_rfc3339


@pytest.fixture
async def world():
    world = await make_world()
    async with world.client() as client:
        await client.post("/api/v1/devices", json={"id": "gw-1", "profile": "gateway"})
    return world


async def claim_of(world, **wanted) -> str:
    async with world.client() as client:
        response = await client.post("/api/v1/devices/gw-1/claims", json=wanted)
    assert response.status_code == 201, response.text
    return response.json()["claim"]


async def redeem(world, claim, body):
    async with world.client(claim) as client:
        return await client.post("/api/v1/claims/redeem", json=body)


async def test_a_claim_says_when_it_ends(world):
    async with world.client() as client:
        made = (await client.post("/api/v1/devices/gw-1/claims", json={"ttl_s": 60})).json()
        longest = (await client.post("/api/v1/devices/gw-1/claims", json={"ttl_s": 90 * 86_400})).json()
    assert made["expires_at"] == format_rfc3339(world.clock.now_ms() + 60_000)
    days = timedelta(days=90) // timedelta(milliseconds=1)
    assert longest["expires_at"] == format_rfc3339(world.clock.now_ms() + days)


@pytest.mark.parametrize(
    "wanted", [{"ttl_s": 59}, {"ttl_s": 90 * 86_400 + 1}, {"ttl_s": "7d"}, {"activate": 1}, {"x": 1}]
)
async def test_what_is_no_claim_to_be_made(world, wanted):
    async with world.client() as client:
        assert (await client.post("/api/v1/devices/gw-1/claims", json=wanted)).status_code == 400


async def test_redeemed_it_is_a_device_with_its_credentials(world):
    answer = await redeem(world, await claim_of(world), {"csr": CSR})
    assert answer.status_code == 200
    body = answer.json()
    assert (body["tenant"], body["device"], body["state"]) == ("acme", "gw-1", "active")
    assert body["ca"].startswith("-----BEGIN CERTIFICATE-----")
    assert answer.headers["cache-control"] == "no-store"
    async with world.client() as client:
        (held,) = (await client.get("/api/v1/devices/gw-1/certificates")).json()["items"]
        journal = (await client.get("/api/v1/devices/gw-1/journal")).json()["items"]
    assert held["certificate"] == body["certificate"]
    assert [entry["by"] for entry in journal] == ["claim", "claim"]
    tokens = world.context.tokens
    assert (await world.context.credentials.holder(tokens.of(body["token"]))).name == "gw-1"


async def test_one_that_does_not_activate(world):
    answer = await redeem(world, await claim_of(world, activate=False), {})
    assert answer.json()["state"] == "provisioned"


async def test_every_claim_that_is_not_good_is_the_same_401(world):
    used = await claim_of(world)
    assert (await redeem(world, used, {})).status_code == 200
    said = set()
    for claim in (used, "rmc_" + "a" * 43, "nonsense", "admin", "é"):
        answer = await redeem(world, claim.encode(), {}) if not claim.isascii() else await redeem(world, claim, {})
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        said.add((answer.json()["detail"], answer.json()["hint"]))
    assert len(said) == 1


async def test_a_csr_that_can_not_be_signed(world):
    claim = await claim_of(world)
    answer = await redeem(world, claim, {"csr": "no csr"})
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:ringmain:problem:unprocessable")
    assert (await redeem(world, claim, {"csr": CSR})).status_code == 200


async def test_a_claim_opens_nothing_else(world):
    claim = await claim_of(world)
    async with world.client(claim) as client:
        assert (await client.get("/api/v1/devices")).status_code == 401
        assert (await client.post("/api/v1/devices/gw-1/claims", json={})).status_code == 401


async def test_certificates_follow_each_other_and_end(world):
    await redeem(world, await claim_of(world), {"csr": CSR})
    async with world.client() as client:
        made = await client.post("/api/v1/devices/gw-1/certificates", json={"csr": CSR})
        assert made.status_code == 201
        first, second = (await client.get("/api/v1/devices/gw-1/certificates")).json()["items"]
        assert second == made.json()
        ended = await client.delete(f"/api/v1/devices/gw-1/certificates/{first['serial']}")
        assert (ended.status_code, ended.json()["state"]) == (200, "active")
        assert (await client.get("/api/v1/devices/gw-1/certificates")).json()["items"] == [second]
        assert (await client.delete(f"/api/v1/devices/gw-1/certificates/{first['serial']}")).status_code == 404
        assert (await client.delete("/api/v1/devices/gw-1/certificates/XYZ")).status_code == 400
        bad = await client.post("/api/v1/devices/gw-1/certificates", json={"csr": "no csr"})
        assert bad.status_code == 422
