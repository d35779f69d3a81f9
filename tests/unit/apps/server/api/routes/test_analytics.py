"""The load of a meter over HTTP."""

import pytest
from tests.unit.apps.server.api.world import furnish, make_world

PATH = "/api/v1/devices/meter-1/analytics"
DAYS = {"channel": "energy_wh", "from": "2013-01-01", "to": "2013-01-03"}


async def test_a_load_and_how_complete_it_is():
    world = await make_world()
    await furnish(world)
    async with world.client() as client:
        answer = (await client.get(PATH, params={**DAYS, "to": "2013-01-04"})).json()
    load, complete = answer["load"], answer["completeness"]
    assert (answer["zone"], answer["interval_s"], load["intervals"]) == ("Europe/London", 1800, 96)
    assert load["energy_wh"] == sum(range(100, 196))
    assert load["peak"] == {
        "from": "2013-01-02T23:30:00Z", "to": "2013-01-03T00:00:00Z", "energy_wh": 195, "power_w": 390.0,
    }  # fmt: skip
    assert load["load_factor"] == pytest.approx(147.5 / 195)
    assert (complete["expected"], complete["present"], complete["missing"]) == (144, 96, 48)
    assert complete["missing_spans"] == [{"from": "2013-01-03T00:00:00Z", "to": "2013-01-04T00:00:00Z"}]
    assert (len(answer["profile"]), answer["profile"][0]["day_type"]) == (48, "workday")


async def test_no_interval_is_no_load():
    world = await make_world()
    await furnish(world)
    async with world.client() as client:
        answer = (await client.get(PATH, params={**DAYS, "from": "2013-02-01", "to": "2013-02-02"})).json()
    assert (answer["load"], answer["profile"], answer["completeness"]["missing"]) == (None, [], 48)


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ({"from": "2013-01-03", "to": "2013-01-01"}, 422),
        ({"from": "0001-01-01", "to": "9999-12-31"}, 422),
        ({"channel": "power_w"}, 422),
        ({"interval_s": "7"}, 422),
        ({"interval_s": "0"}, 400),
        ({"interval_s": "86401"}, 400),
        ({"from": "2013-01-01T00:00:00Z"}, 400),
        ({"from": "1356998400"}, 400),
    ],
)
async def test_a_load_that_cannot_be_is_refused(query, status):
    world = await make_world()
    await furnish(world)
    async with world.client() as client:
        assert (await client.get(PATH, params={**DAYS, **query})).status_code == status
