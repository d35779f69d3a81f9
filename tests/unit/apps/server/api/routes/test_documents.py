"""Tariffs, accounts, usage points and installations over HTTP: versions, and errors that name the place."""

import pytest
from tests.unit.apps.server.api.world import TARIFF, furnish, make_world

PATH = "/api/v1/tariffs/flat"


async def test_the_same_again_is_no_new_version_and_a_change_is():
    async with (await make_world()).client() as client:
        first = await client.put(PATH, json=TARIFF)
        again = await client.put(PATH, json=TARIFF)
        changed = await client.put(PATH, json={**TARIFF, "name": "Flatter"})
        back = await client.put(PATH, json=TARIFF)
        assert [(one.status_code, one.json()["version"]) for one in (first, again, changed, back)] == [
            (201, 1),
            (200, 1),
            (201, 2),
            (201, 3),
        ]
        assert first.json() == {"id": "flat", "version": 1, "document": TARIFF}
        assert (await client.get(f"{PATH}?version=2")).json()["document"]["name"] == "Flatter"
        assert (await client.get(PATH)).json()["version"] == 3
        for version, status in ((4, 404), (0, 400), (2**63, 400), ("null", 400)):
            assert (await client.get(f"{PATH}?version={version}")).status_code == status


async def test_prices_written_as_numbers_are_read_digit_by_digit():
    async with (await make_world()).client() as client:
        body = '{"id":"flat","name":"F","currency":"GBP","versions":[{"valid_from":"2013-01-01","price":0.14228000}]}'
        made = await client.put(PATH, content=body, headers={"content-type": "application/json"})
    assert made.json()["document"]["versions"][0]["price"] == "0.14228000"


def with_version(**changes) -> dict:
    return {**TARIFF, "versions": [{**TARIFF["versions"][0], **changes}]}


@pytest.mark.parametrize(
    ("body", "status", "place"),
    [
        ({**TARIFF, "id": "other"}, 422, "$.id"),
        ({**TARIFF, "currency": "pounds"}, 422, "$.currency"),
        ({**TARIFF, "versions": []}, 422, "$.versions"),
        (with_version(price="cheap"), 400, "$.versions[0].price"),
        (with_version(price=[1]), 400, "$.versions[0].price"),
        (with_version(price="NaN"), 422, "$.versions[0].price"),
        (with_version(price="1e400"), 422, "$.versions[0].price"),
        (with_version(price="-1"), 422, "$.versions[0].price"),
        (with_version(valid_from="2013-02-30"), 400, "$.versions[0].valid_from"),
        (with_version(valid_from="10000-01-01"), 400, "$.versions[0].valid_from"),
        (with_version(periods=[{"name": "x", "price": "1", "from": "25:00", "to": "26:00"}]), 422, "$.versions[0]"),
    ],
)
async def test_a_tariff_with_an_error_is_refused_with_its_place(body, status, place):
    async with (await make_world()).client() as client:
        response = await client.put(PATH, json=body)
        problem = response.json()
        assert response.status_code == status, problem
        assert place in problem.get("path", "") + problem["detail"]
        assert (await client.get(PATH)).status_code == 404


async def test_what_does_not_exist_cannot_be_referred_to():
    async with (await make_world()).client() as client:
        account = {"id": "smith", "usage_point": "home", "tariff": "flat"}
        assert (await client.put("/api/v1/accounts/smith", json=account)).status_code == 422
        point = {"id": "home", "site": "nowhere"}
        assert (await client.put("/api/v1/usage-points/home", json=point)).status_code == 422


async def test_installations_go_by_their_usage_point():
    world = await make_world()
    await furnish(world)
    async with world.client() as client:
        found = (await client.get("/api/v1/installations/home")).json()
        assert (found["id"], found["document"]["usage_point"]) == ("home", "home")
        wrong = await client.put("/api/v1/installations/other", json=found["document"])
        assert (wrong.status_code, wrong.json()["path"]) == (422, "$.usage_point")


async def test_pages_hold_the_newest_version_of_each():
    async with (await make_world()).client() as client:
        for id in ("c", "a", "b"):
            await client.put(f"/api/v1/usage-points/{id}", json={"id": id})
        await client.put("/api/v1/usage-points/a", json={"id": "a", "description": "changed"})
        first = (await client.get("/api/v1/usage-points", params={"limit": 2})).json()
        second = (await client.get("/api/v1/usage-points", params={"limit": 2, "cursor": first["next"]})).json()
    assert [(one["id"], one["version"]) for one in first["items"] + second["items"]] == [("a", 2), ("b", 1), ("c", 1)]
