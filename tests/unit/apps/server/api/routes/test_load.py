"""Load curves over HTTP: of a meter and of the street, in columns."""

import pytest
from tests.unit.apps.server.api.world import furnish, make_world

from ringmain.apps.report.load import Day, Figures, LoadCurve, Peak
from ringmain.apps.server.api.routes.analytics import PeakAnswer
from ringmain.apps.server.api.routes.load import LoadCurveAnswer, LoadDayAnswer, LoadFiguresAnswer

DEVICE, STREET = "/api/v1/devices/meter-1/load", "/api/v1/street/load"
DAYS = {"from": "2013-01-01", "to": "2013-01-04"}


async def get(path, token="admin", **params):
    world = await make_world()
    await furnish(world)
    async with world.client(token) as client:
        return await client.get(path, params=params)


@pytest.mark.parametrize("path", [DEVICE, STREET])
async def test_a_curve_with_a_day_that_is_missing(path):
    answer = (await get(path, **DAYS)).json()
    load = answer["load"]
    assert (answer["zone"], answer["interval_s"], answer["homes"]) == ("Europe/London", 1800, 1)
    assert (answer["start"], answer["from"], answer["to"]) == ("2013-01-01T00:00:00Z", "2013-01-01", "2013-01-04")
    assert (answer["readings_from"], answer["readings_to"]) == ("2013-01-01T00:00:00Z", "2013-01-02T23:30:00Z")
    assert answer["energy_wh"] == [*range(100, 196), *[None] * 48]
    assert answer["present"] == [1] * 96 + [0] * 48
    assert answer["expected"] == [1] * 144
    assert [(day["date"], day["energy_wh"], day["expected"], day["present"]) for day in answer["days"]] == [
        ("2013-01-01", sum(range(100, 148)), 48, 48),
        ("2013-01-02", sum(range(148, 196)), 48, 48),
        ("2013-01-03", None, 48, 0),
    ]
    assert [day["revised"] for day in answer["days"]] == [0, 0, 0]
    assert (answer["days"][2]["start"], answer["days"][2]["end"]) == ("2013-01-03T00:00:00Z", "2013-01-04T00:00:00Z")
    assert (load["energy_wh"], load["intervals"], load["complete"]) == (sum(range(100, 196)), 96, 96)
    assert load["peak"] == {
        "from": "2013-01-02T23:30:00Z", "to": "2013-01-03T00:00:00Z", "energy_wh": 195, "power_w": 390.0,
    }  # fmt: skip
    assert load["load_factor"] == pytest.approx(147.5 / 195)


@pytest.mark.parametrize("path", [DEVICE, STREET])
async def test_without_days_it_is_what_there_is(path):
    answer = (await get(path)).json()
    assert (answer["from"], answer["to"], len(answer["energy_wh"])) == ("2013-01-01", "2013-01-03", 96)


@pytest.mark.parametrize("path", [DEVICE, STREET])
async def test_no_value_is_no_load(path):
    answer = (await get(path, **{"from": "2013-02-01", "to": "2013-02-02"})).json()
    assert (answer["load"], set(answer["energy_wh"]), answer["homes"]) == (None, {None}, 1)


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        ("/api/v1/devices/nobody/load", {}, 404),
        (DEVICE, {"channel": "power_w"}, 422),
        (DEVICE, {"channel": "export_wh"}, 422),
        (DEVICE, {"from": "2013-01-03", "to": "2013-01-01"}, 422),
        (DEVICE, {"from": "0001-01-01", "to": "9999-12-31"}, 422),
        (STREET, {"to": "0001-01-01"}, 422),
        (STREET, {"from": "9999-12-31"}, 422),
        (STREET, {"interval_s": "7"}, 422),
        (STREET, {"interval_s": "900"}, 422),
        (STREET, {"interval_s": "0"}, 400),
        (STREET, {"from": "2013-01-01T00:00:00Z"}, 400),
        (STREET, {"site": "nowhere"}, 404),
        (DEVICE, {"site": "main"}, 400),
    ],
)
async def test_a_curve_that_cannot_be_is_refused(path, query, status):
    answer = await get(path, **query)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")


async def test_the_street_of_a_tenant_without_homes_is_not_found():
    assert (await get(STREET, "rival")).status_code == 404
    assert (await get(STREET, "rival", **DAYS)).json()["homes"] == 0


@pytest.mark.parametrize(
    ("drawn", "answered"),
    [(LoadCurve, LoadCurveAnswer), (Day, LoadDayAnswer), (Figures, LoadFiguresAnswer), (Peak, PeakAnswer)],
)
def test_what_is_drawn_is_what_is_answered(drawn, answered):
    assert drawn.__struct_encode_fields__ == answered.__struct_encode_fields__
