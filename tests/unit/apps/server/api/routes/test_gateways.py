"""Gateways over the API: other tenants see nothing, what does not fit changes nothing."""

import json

import msgspec
import pytest
from tests.unit.apps.server.api.world import ACME, make_world
from tests.unit.services.gateways.world import REPORT

from ringmain.model.gateway import GatewaySettings

ONE = "/api/v1/gateways/gw"
DELEGATIONS = ONE + "/delegations"


async def world_with_gateways():
    """`acme` has the gateways `gw` and `other` and the meters m1 to m3; `rival` has a gateway `theirs`."""
    world = await make_world()
    text = "id,profile\ngw,gateway\nother,gateway\nm1,meter\nm2,meter\nm3,meter\n"
    await world.context.lifecycle.import_csv(ACME, text)
    await world.context.lifecycle.import_csv("rival", "id,profile\ntheirs,gateway\nm9,meter\n")
    return world


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", ""), ("GET", "/delegations"), ("PUT", "/delegations"), ("GET", "/settings"), ("PUT", "/settings"),
     ("DELETE", "/delegations/m1"), ("GET", "/settings/versions")],
)  # fmt: skip
@pytest.mark.parametrize("id", ["nobody", "theirs", "m1"])
async def test_what_is_no_gateway_of_the_tenant_is_not_found(id, method, path):
    world = await world_with_gateways()
    body = {"/delegations": {"devices": ["m1"]}, "/settings": {}}.get(path) if method == "PUT" else None
    async with world.client() as client:
        answer = await client.request(method, f"/api/v1/gateways/{id}{path}", json=body)
    assert (answer.status_code, answer.json()["type"]) == (404, "urn:ringmain:problem:not_found")


@pytest.mark.parametrize(("method", "path"), [("PUT", DELEGATIONS), ("DELETE", DELEGATIONS + "/m1"),
                                              ("PUT", ONE + "/settings")])  # fmt: skip
async def test_a_viewer_changes_nothing(method, path):
    world = await world_with_gateways()
    async with world.client("viewer") as client:
        assert (await client.request(method, path, json={"devices": ["m1"]})).status_code == 403
        assert (await client.get(DELEGATIONS)).json() == {"items": [], "next": None}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"devices": []}, 400),
        ({"devices": ["m1", "a b"]}, 400),
        ({"devices": ["m1"], "form": None}, 400),
        ({"devices": ["m1"], "from": 5}, 400),
        ({"devices": ["m1", "m9"]}, 404),
        ({"devices": ["m1", "other"]}, 422),
        ({"devices": ["m1"], "from": "2026-01-02T00:00:00Z", "to": "2026-01-02T00:00:00Z"}, 422),
    ],
)
async def test_a_delegation_that_can_not_be_changes_nothing(body, status):
    world = await world_with_gateways()
    async with world.client() as client:
        assert (await client.put(DELEGATIONS, json=body)).status_code == status
        assert (await client.get(DELEGATIONS)).json()["items"] == []


async def test_delegations_are_put_listed_in_pages_and_ended():
    world = await world_with_gateways()
    async with world.client() as client:
        put = await client.put(DELEGATIONS, json={"devices": ["m2", "m1", "m2"]})
        assert (put.status_code, put.json()) == (200, {"put": 2, "delegated": 2})
        body = {"devices": ["m3"], "from": "2026-01-01T00:00:00Z", "to": "2026-02-01T00:00:00+01:00"}
        assert (await client.put(DELEGATIONS, json=body)).json() == {"put": 1, "delegated": 3}
        first = (await client.get(DELEGATIONS, params={"limit": 2})).json()
        spans = [(it["device"], it["from"], it["to"]) for it in first["items"]]
        assert spans == [("m1", None, None), ("m2", None, None)]
        rest = (await client.get(DELEGATIONS, params={"limit": 2, "cursor": first["next"]})).json()
        assert rest == {
            "items": [
                {"device": "m3", "state": "active", "from": "2026-01-01T00:00:00Z", "to": "2026-01-31T23:00:00Z"}
            ],
            "next": None,
        }
        ended = (await client.delete(DELEGATIONS + "/m1")).json()["items"]
        assert ended == [{"device": "m1", "state": "active", "from": None, "to": "2014-06-01T00:00:00Z"}]
        assert (await client.delete(DELEGATIONS + "/m1")).status_code == 404
        never = await client.delete(DELEGATIONS + "/m2", params={"at": "1970-01-01T00:00:00Z"})
        assert never.json() == {"items": [], "next": None}
        assert (await client.get(ONE)).json()["delegated"] == 1
    async with world.client("rival") as client:
        assert (await client.get("/api/v1/gateways/theirs/delegations")).json()["items"] == []


@pytest.mark.parametrize(
    "body",
    [{"keep_alive": 30}, {"keep_alive_s": 4}, {"keep_alive_s": "30"}, {"policy": "hope"}, {"windows": ["1y"]},
     {"windows": ["1m"] * 5}, {"free_bytes_min": -1}, []],
)  # fmt: skip
async def test_settings_that_do_not_fit_are_a_clear_422_and_change_nothing(body):
    world = await world_with_gateways()
    async with world.client() as client:
        answer = await client.put(ONE + "/settings", json=body)
        assert (answer.status_code, answer.json()["type"]) == (422, "urn:ringmain:problem:unprocessable")
        assert answer.json()["path"].startswith("$")
        assert (await client.get(ONE + "/settings")).json()["version"] == 0
        assert (await client.put(ONE + "/settings", content=b"{", headers={"content-type": "application/json"})
                ).status_code == 400  # fmt: skip


async def test_settings_are_versioned_whole_documents():
    world = await world_with_gateways()
    async with world.client() as client:
        first = await client.get(ONE + "/settings")
        assert first.json() == {
            "version": 0,
            "settings": json.loads(msgspec.json.encode(GatewaySettings())),
            "in_force": None,
            "in_force_state": None,
            "detail": "",
        }
        for status, version, body in ((201, 1, {"keep_alive_s": 30}), (200, 1, {"keep_alive_s": 30}), (201, 2, {})):
            answer = await client.put(ONE + "/settings", json=body)
            assert (answer.status_code, answer.json()["version"]) == (status, version)
        assert (await client.get(ONE + "/settings")).json()["settings"]["keep_alive_s"] == 20
        newest = (await client.get(ONE + "/settings/versions", params={"limit": 1})).json()
        assert newest["items"][0]["version"] == 2
        older = (await client.get(ONE + "/settings/versions", params={"cursor": newest["next"]})).json()
        assert [(it["version"], it["settings"]["keep_alive_s"]) for it in older["items"]] == [(1, 30)]
        assert older["next"] is None
        assert (await client.get("/api/v1/gateways/other/settings")).json()["version"] == 0


async def test_what_a_gateway_says_is_told():
    world = await world_with_gateways()
    gateway = await world.context.registry.device(ACME, "gw")
    async with world.client() as client:
        assert (await client.get(ONE)).json()["report"] is None
        world.context.gateways.reported(gateway, REPORT)
        shown = (await client.get(ONE)).json()
        assert (shown["id"], shown["state"], shown["session"]) == ("gw", "active", "never_seen")
        assert shown["report"]["received_at"] == "2014-06-01T00:00:00Z"
        assert shown["report"]["at"] == "2023-11-14T22:13:20Z"
        assert shown["report"]["books"] == [{"outcome": "forwarded", "reason": "", "count": 9}]
        settings = (await client.get(ONE + "/settings")).json()
        assert (settings["in_force"], settings["in_force_state"]) == (3, "confirmed")
        first = (await client.get("/api/v1/gateways", params={"limit": 1})).json()
        assert [(it["id"], it["report"]["buffered_readings"]) for it in first["items"]] == [("gw", 5)]
        rest = (await client.get("/api/v1/gateways", params={"cursor": first["next"]})).json()
        assert [(it["id"], it["report"]) for it in rest["items"]] == [("other", None)]
    async with world.client("rival") as client:
        assert [it["id"] for it in (await client.get("/api/v1/gateways")).json()["items"]] == ["theirs"]
