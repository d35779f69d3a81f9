"""The platform over HTTP: for operators, and the making of tenants."""

import msgspec
from tests.unit.apps.server.api.world import TLS, furnish, make_world

from ringmain.model.errors import Refused


async def test_an_operator_sees_how_the_platform_is():
    world = await make_world()
    await furnish(world)
    world.clock.advance(90.5)
    world.not_ready.append("the log is full")
    async with world.client("operator") as client:
        answer = (await client.get("/api/v1/platform")).json()
    assert (answer["version"], answer["uptime_s"], answer["not_ready"]) == ("1.2.3", 90.5, ["the log is full"])
    assert (answer["queue"]["first"], answer["queue"]["last"]) == (1, 2)
    assert answer["sessions"]["online"] == 1


async def test_a_new_tenant_has_a_site_and_an_admin_who_sees_nothing_of_others():
    world = await make_world()
    await furnish(world)
    async with world.client("operator") as operator:
        made = await operator.post("/api/v1/tenants", json={"id": "third"})
        assert (made.status_code, made.json()["tenant"]) == (201, "third")
        assert (await operator.post("/api/v1/tenants", json={"id": "third"})).status_code == 409
        assert {"id": "third"} in (await operator.get("/api/v1/tenants")).json()["items"]
        more = await operator.post("/api/v1/tenants/third/tokens")
        assert (await operator.post("/api/v1/tenants/nobody/tokens")).status_code == 404
    tokens = {made.json()["token"], more.json()["token"]}
    assert len(tokens) == 2
    for token in tokens:
        async with world.client(token) as admin:
            assert (await admin.get("/api/v1/devices")).json()["items"] == []
            assert [site["id"] for site in (await admin.get("/api/v1/sites")).json()["items"]] == ["main"]
            assert (await admin.post("/api/v1/devices", json={"id": "meter-1"})).status_code == 201
            await admin.post("/api/v1/devices/meter-1/decommission")
            assert (await admin.post("/api/v1/tenants", json={"id": "fourth"})).status_code == 403
            break


async def test_a_tenant_needs_a_name():
    async with (await make_world()).client("operator") as client:
        for body in ({}, {"id": ""}, {"id": "a/b"}, {"id": "a\n"}, {"id": "a", "role": "operator"}):
            assert (await client.post("/api/v1/tenants", json=body)).status_code == 400


async def test_the_tls_files_are_taken_anew_by_an_operator_alone():
    world = await make_world()
    async with world.client("operator") as client:
        answer = await client.post("/api/v1/platform/tls/reload")
    assert answer.json() == {
        "certificate": "CN=front",
        "expires": "2014-06-01T00:00:00Z",
        "revoked": 0,
        "lists_until": None,
    }
    async with world.client("admin") as client:
        assert (await client.post("/api/v1/platform/tls/reload")).status_code == 403


async def test_tls_files_of_no_use_are_422_with_the_reason():
    def refuse():
        raise Refused("unprocessable", "tls.pem is of no use: it can not be read", "put a sound file there")

    world = await make_world(tls_reload=refuse)
    async with world.client("operator") as client:
        answer = await client.post("/api/v1/platform/tls/reload")
    assert answer.status_code == 422
    assert "tls.pem is of no use" in answer.json()["detail"]


async def test_a_list_that_is_to_be_renewed():
    until = msgspec.structs.replace(TLS, lists_until_ms=TLS.expires_ms + 1000)
    world = await make_world(tls_reload=lambda: until)
    async with world.client("operator") as client:
        answer = await client.post("/api/v1/platform/tls/reload")
    assert answer.json()["lists_until"] == "2014-06-01T00:00:01Z"


async def test_without_a_listener_of_its_own_there_is_nothing_to_take():
    world = await make_world(tls_reload=None)
    async with world.client("operator") as client:
        assert (await client.post("/api/v1/platform/tls/reload")).status_code == 404
