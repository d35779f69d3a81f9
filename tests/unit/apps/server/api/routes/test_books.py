"""The books over HTTP: what became of everything, and what nobody could decode."""

from tests.unit.apps.server.api.world import NOW_MS, RIVAL, furnish, make_world

from ringmain.apps.server.api.context import Intake
from ringmain.model.batch import DeadLetter
from ringmain.model.errors import Refused
from ringmain.model.time import format_rfc3339
from ringmain.ports.registry import NewDevice

AT = format_rfc3339(NOW_MS)


async def test_the_books_balance_per_device_and_for_the_tenant():
    world = await make_world()
    await furnish(world)
    async with world.client() as client:
        one = (await client.get("/api/v1/devices/meter-1/tally")).json()
        assert (await client.get("/api/v1/tally")).json() == one
    assert one["received"] == one["accounted"] == 96 + 2 + 1 + 3
    assert {(item["outcome"], item["reason"]): item["count"] for item in one["items"]} == {
        ("stored", ""): 96,
        ("duplicate", ""): 1,
        ("conflict", ""): 1,
        ("rejected", "device_suspended"): 3,
        ("dead_letter", "undecodable_payload"): 1,
    }


async def test_a_conflict_shows_both_values():
    world = await make_world()
    await furnish(world)
    async with world.client() as client:
        page = (await client.get("/api/v1/conflicts", params={"device": "meter-1"})).json()
    assert page == {
        "items": [
            {
                "id": page["items"][0]["id"], "device": "meter-1", "channel": "energy_wh", "at": "2013-01-01T00:30:00Z",
                "stored": 101, "received": 999, "received_at": AT,
            }
        ],
        "next": None,
    }  # fmt: skip


async def test_a_dead_letter_is_whole_and_text_only_where_it_is_text():
    world = await make_world()
    await furnish(world)
    key = await world.key_of("meter-1")
    text = DeadLetter(key, NOW_MS, "http", "", '{"a":"\x00ä"'.encode(), "undecodable_payload", "not JSON")
    await world.store(dead_letters=(text,))
    async with world.client() as client:
        first = (await client.get("/api/v1/dead-letters", params={"limit": 1})).json()
        second = (await client.get("/api/v1/dead-letters", params={"cursor": first["next"]})).json()
    assert first["items"][0] | {"id": 1} == {
        "id": 1, "device": "meter-1", "received_at": AT, "door": "mqtt", "topic": "telemetry",
        "reason": "undecodable_payload", "detail": "not JSON", "payload": "/3s=", "text": None,
    }  # fmt: skip
    assert (second["items"][0]["text"], second["next"]) == ('{"a":"\x00ä"', None)


async def test_a_device_that_is_not_there_has_no_books():
    async with (await make_world()).client() as client:
        for path in ("conflicts?device=x", "dead-letters?device=x", "devices/x/tally"):
            assert (await client.get(f"/api/v1/{path}")).status_code == 404


async def test_a_replay_is_of_that_letter_and_no_other():
    world = await make_world()
    await furnish(world)
    await world.context.registry.add(RIVAL, [NewDevice("theirs", "meter")], NOW_MS)
    theirs = await world.key_of("theirs", RIVAL)
    await world.store(dead_letters=(DeadLetter(theirs, NOW_MS, "mqtt", "telemetry", b"x", "r", "d"),))
    later = DeadLetter(await world.key_of("meter-1"), NOW_MS, "mqtt", "telemetry", b"later", "r", "d")
    await world.store(dead_letters=(later,))
    async with world.client() as client:
        ours = (await client.get("/api/v1/dead-letters")).json()["items"]
        replayed = await client.post(f"/api/v1/dead-letters/{ours[0]['id']}/replay")
        assert replayed.json() == {"received": 1, "accepted": 1, "rejected": 0, "dead_lettered": 0}
        for id in (ours[0]["id"] + 1, 999, 2**63 - 1):
            assert (await client.post(f"/api/v1/dead-letters/{id}/replay")).status_code == 404
        for id in ("0", "-1", "x", str(2**63), "1.5"):
            assert (await client.post(f"/api/v1/dead-letters/{id}/replay")).status_code == 400
    assert [letter.payload for letter in world.replayed] == [b"\xff{"]


async def test_a_replay_that_the_intake_refuses_says_so():
    async def refuse(letter: object) -> Intake:
        raise Refused("not_found", "The device is gone.", "It stays where it is.")

    world = await make_world(replay=refuse)
    await furnish(world)
    async with world.client() as client:
        letter = (await client.get("/api/v1/dead-letters")).json()["items"][0]
        response = await client.post(f"/api/v1/dead-letters/{letter['id']}/replay")
    assert (response.status_code, response.json()["hint"]) == (404, "It stays where it is.")
