"""Bills over HTTP: the same again is the same bill, byte for byte."""

import hashlib

import pytest
from tests.unit.apps.server.api.world import furnish, make_world

ACCOUNT = "/api/v1/accounts/smith/bills"
DAYS = {"from": "2013-01-01", "to": "2013-01-03"}


async def test_a_bill_is_issued_once_and_served_as_it_was():
    world = await make_world()
    await furnish(world)
    async with world.client() as client:
        preview = await client.post(f"{ACCOUNT}/preview", json=DAYS)
        assert (await client.get("/api/v1/bills")).json()["items"] == []
        made = await client.post(ACCOUNT, json=DAYS)
        again = await client.post(ACCOUNT, json=DAYS)
        assert (made.status_code, again.status_code) == (201, 200)
        assert made.json() == again.json()
        assert made.headers["location"] == again.headers["location"] == "/api/v1/bills/1"
        bill = await client.get("/api/v1/bills/1")
        assert bill.content == preview.content
        assert hashlib.sha256(bill.content).hexdigest() == bill.headers["x-bill-sha256"] == made.json()["sha256"]
        assert (await client.get("/api/v1/bills")).json()["items"] == [made.json()]
    energy = sum(range(100, 196))
    assert bill.json()["energy_kwh"] == f"{energy / 1000:.3f}"
    assert bill.json()["total"] == "2.01"
    assert (made.json()["from"], made.json()["to"]) == ("2013-01-01T00:00:00Z", "2013-01-03T00:00:00Z")


async def test_a_day_is_not_billed_twice():
    world = await make_world()
    await furnish(world)
    async with world.client() as client:
        await client.post(ACCOUNT, json=DAYS)
        other = await client.post(ACCOUNT, json={"from": "2013-01-02", "to": "2013-01-04"})
        assert other.status_code == 409
        after = await client.post(ACCOUNT, json={"from": "2013-01-03", "to": "2013-01-04"})
        assert (after.status_code, after.json()["number"]) == (201, 2)
        first = (await client.get("/api/v1/bills", params={"limit": 1, "account": "smith"})).json()
        second = (await client.get("/api/v1/bills", params={"limit": 1, "cursor": first["next"]})).json()
        assert [page["items"][0]["number"] for page in (first, second)] == [1, 2]
        assert (await client.get("/api/v1/bills", params={"account": "jones"})).json()["items"] == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"from": "2013-01-03", "to": "2013-01-01"}, 422),
        ({"from": "2013-01-01", "to": "2013-01-01"}, 422),
        ({"from": "2010-01-01", "to": "2014-01-01"}, 422),
        ({"from": "2012-01-01", "to": "2012-02-01"}, 422),
        ({"from": "2014-05-01", "to": "2014-07-01"}, 422),
        ({"from": "0001-01-01", "to": "0001-02-01"}, 422),
        ({"from": "9999-12-30", "to": "9999-12-31"}, 422),
        ({"from": "2013-01-01T00:00:00Z", "to": "2013-01-03"}, 400),
        ({"from": "0000-01-01", "to": "2013-01-03"}, 400),
        ({"from": 20130101, "to": "2013-01-03"}, 400),
        ({"from": "2013-01-01"}, 400),
    ],
)
async def test_a_period_that_cannot_be_billed_is_refused(body, status):
    world = await make_world()
    await furnish(world)
    async with world.client() as client:
        assert (await client.post(ACCOUNT, json=body)).status_code == status
        assert (await client.get("/api/v1/bills")).json()["items"] == []


@pytest.mark.parametrize(("number", "status"), [("1", 404), ("0", 400), ("-1", 400), (str(2**63), 400), ("x", 400)])
async def test_a_bill_that_is_not_there(number, status):
    async with (await make_world()).client() as client:
        assert (await client.get(f"/api/v1/bills/{number}")).status_code == status


async def test_an_account_that_is_not_there_has_no_bill():
    async with (await make_world()).client() as client:
        for path in ("/api/v1/accounts/x/bills", "/api/v1/accounts/x/bills/preview"):
            assert (await client.post(path, json=DAYS)).status_code == 404
