"""Devices over HTTP: from the registration to the end, and whole lists of them."""

import pytest
from tests.unit.apps.server.api.world import NOW_MS, furnish, make_world

from ringmain.model.time import format_rfc3339

PATH = "/api/v1/devices"


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({}, 400, "$"),
        ({"id": ""}, 400, "$.id"),
        ({"id": "a/b"}, 400, "$.id"),
        ({"id": "a\n"}, 400, "$.id"),
        ({"id": "a\x00"}, 400, "$.id"),
        ({"id": 1}, 400, "$.id"),
        ({"id": "a", "tenant": "rival"}, 400, "$"),
        ({"id": "a", "state": "active"}, 400, "$"),
        ({"id": "a", "profile": "unheard-of"}, 404, ""),
        ({"id": "a", "site": "nowhere"}, 404, ""),
    ],
)
async def test_a_device_that_cannot_be_is_not_registered(body, status, path):
    async with (await make_world()).client() as client:
        response = await client.post(PATH, json=body)
        assert (response.status_code, response.json().get("path", "")) == (status, path)
        assert (await client.get(PATH)).json() == {"items": [], "next": None}


async def test_an_id_is_given_once():
    async with (await make_world()).client() as client:
        made = await client.post(PATH, json={"id": "m"})
        assert (made.status_code, made.headers["location"]) == (201, "/api/v1/devices/m")
        assert (await client.post(PATH, json={"id": "m"})).status_code == 409


async def test_a_device_goes_through_its_life_and_the_journal_says_by_whom():
    world = await make_world()
    async with world.client() as client:
        device = (await client.post(PATH, json={"id": "m", "profile": "meter"})).json()
        at = format_rfc3339(NOW_MS)
        assert device == {
            "id": "m", "profile": "meter", "state": "registered", "site": "main", "created_at": at, "state_since": at,
        }  # fmt: skip
        assert (await client.post(f"{PATH}/m/activate")).status_code == 409
        first = (await client.post(f"{PATH}/m/provision")).json()
        assert first["device"]["state"] == "provisioned"
        assert (await world.context.credentials.holder(world.context.tokens.of(first["token"]))).name == "m"
        second = (await client.post(f"{PATH}/m/token")).json()
        assert second["token"] != first["token"]
        assert await world.context.credentials.holder(world.context.tokens.of(first["token"])) is None
        for verb, state in (("activate", "active"), ("suspend", "suspended"), ("activate", "active")):
            assert (await client.post(f"{PATH}/m/{verb}")).json()["state"] == state
        assert (await client.post(f"{PATH}/m/decommission")).json()["state"] == "decommissioned"
        assert (await client.post(f"{PATH}/m/activate")).status_code == 409
        assert (await client.post(f"{PATH}/m/token")).status_code == 409
        journal = (await client.get(f"{PATH}/m/journal")).json()["items"]
    assert [(entry["from"], entry["to"]) for entry in journal][:2] == [
        ("registered", "provisioned"),
        ("provisioned", "active"),
    ]
    assert journal[-1] == {"at": at, "from": "active", "to": "decommissioned", "by": "admin"}


async def test_pages_hold_every_device_once_and_in_order():
    world = await make_world()
    text = "id,profile,token\n" + "".join(f"m-{n:03},meter,t{n}\n" for n in range(25))
    async with world.client() as client:
        made = await client.post(f"{PATH}/import", content=text, headers={"content-type": "text/csv; charset=utf-8"})
        assert (made.status_code, made.json()["created"]) == (200, 25)
        await client.post(f"{PATH}/m-003/suspend")
        seen, cursor, pages = [], {}, 0
        while cursor is not None:
            page = (await client.get(PATH, params={"limit": 10, **cursor})).json()
            seen += [device["id"] for device in page["items"]]
            cursor, pages = ({"cursor": page["next"]} if page["next"] else None), pages + 1
        suspended = (await client.get(PATH, params={"state": "suspended"})).json()["items"]
    assert (seen, pages) == ([f"m-{n:03}" for n in range(25)], 3)
    assert [device["id"] for device in suspended] == ["m-003"]


async def test_a_cursor_of_another_route_is_refused():
    world = await make_world()
    await furnish(world)
    async with world.client() as client:
        readings = (await client.get(f"{PATH}/meter-1/readings", params={"limit": 1})).json()
        response = await client.get(PATH, params={"cursor": readings["next"]})
    assert (response.status_code, response.json()["parameter"]) == (422, "cursor")


async def test_a_file_with_errors_makes_no_device_and_names_each_line():
    async with (await make_world()).client() as client:
        response = await client.post(
            f"{PATH}/import",
            content="id,profile\nm-1,meter\n/,meter\nm-1,meter\n",
            headers={"content-type": "text/csv"},
        )
        assert response.status_code == 422
        assert [(error["line"], error["field"]) for error in response.json()["errors"]] == [(3, "id"), (4, "id")]
        assert (await client.get(PATH)).json()["items"] == []


async def test_a_file_that_is_not_utf_8_is_refused_with_its_line():
    async with (await make_world()).client() as client:
        response = await client.post(
            f"{PATH}/import", content=b"id,profile\nm\xe4,meter\n", headers={"content-type": "text/csv"}
        )
    assert response.status_code == 422
    assert "Line 2" in response.json()["detail"]


async def test_a_device_named_import_can_be_seen():
    async with (await make_world()).client() as client:
        await client.post(PATH, json={"id": "import"})
        assert (await client.get(f"{PATH}/import")).json()["id"] == "import"


@pytest.mark.parametrize("id", ["%00", "a%0A", "%ff", "a%20b", "a" * 65, "%F0%9F%98%80", "..."])
async def test_an_id_that_cannot_be_is_400_however_it_is_written(id):
    async with (await make_world()).client() as client:
        response = await client.get(f"{PATH}/{id}")
    assert (response.status_code, response.json()["parameter"]) == (400, "id")
