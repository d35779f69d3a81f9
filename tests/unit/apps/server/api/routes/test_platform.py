"""The platform over HTTP: for operators, and the making of tenants."""

from tests.unit.apps.server.api.world import furnish, make_world


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
