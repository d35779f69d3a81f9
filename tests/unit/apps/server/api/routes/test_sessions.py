"""Whether a device is there, over HTTP."""

from tests.unit.apps.server.api.world import NOW_MS, furnish, make_world

from ringmain.model.time import format_rfc3339


async def test_a_device_that_never_spoke_has_no_times():
    world = await make_world()
    async with world.client() as client:
        await client.post("/api/v1/devices", json={"id": "m"})
        session = (await client.get("/api/v1/devices/m/session")).json()
    assert (session["state"], session["connected_at"], session["last_seen_at"], session["expected_by"]) == (
        "never_seen",
        None,
        None,
        None,
    )


async def test_a_device_that_is_there_has_them():
    world = await make_world()
    await furnish(world)
    async with world.client() as client:
        session = (await client.get("/api/v1/devices/meter-1/session")).json()
    assert session | {"epoch": 0} == {
        "state": "online", "epoch": 0, "protocol": "mqtt", "peer": "127.0.0.1:50000",
        "connected_at": format_rfc3339(NOW_MS), "last_seen_at": format_rfc3339(NOW_MS),
        "expected_by": format_rfc3339(NOW_MS + 2_700_000), "expected_interval_s": 1800,
    }  # fmt: skip
