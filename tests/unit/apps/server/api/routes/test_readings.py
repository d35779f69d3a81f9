"""Readings over HTTP: spans, pages, the newest, and windows with what late data made of them."""

from math import inf, nan

import pytest
from tests.unit.apps.server.api.world import HALF_HOUR_MS, START_MS, furnish, make_world

from ringmain.model.batch import block_of
from ringmain.model.time import DAY_MS, HOUR_MS, format_rfc3339
from ringmain.ports.timeseries import Aggregate
from ringmain.ports.windows import WindowKey

PATH = "/api/v1/devices/meter-1"
DAY = {"from": "2013-01-01T00:00:00Z", "to": "2013-01-02T00:00:00Z"}


async def test_a_span_is_half_open_and_read_with_any_offset():
    world = await make_world()
    await furnish(world)
    async with world.client() as client:
        utc = (await client.get(f"{PATH}/readings", params={**DAY, "channel": "energy_wh"})).json()
        local = {"from": "2013-01-01T05:45:00+05:45", "to": "2013-01-01T19:00:00-05:00"}
        assert (await client.get(f"{PATH}/readings", params=local)).json() == utc
    assert len(utc["items"]) == 48
    assert utc["items"][0] == {
        "channel": "energy_wh", "at": "2013-01-01T00:00:00Z", "value": 100, "stamped_on_arrival": False,
    }  # fmt: skip
    assert utc["items"][-1]["at"] == "2013-01-01T23:30:00Z"


async def test_pages_hold_every_reading_once_also_where_channels_share_a_stamp():
    world = await make_world()
    await furnish(world)
    key = await world.key_of("meter-1")
    await world.store(block_of(("a", "b"), [key] * 3, [START_MS, START_MS + 1, START_MS + 2], [0.5] * 6, exact=False))
    async with world.client() as client:
        whole = (await client.get(f"{PATH}/readings", params={"limit": 10_000})).json()["items"]
        parts, cursor = [], {}
        while cursor is not None:
            page = (await client.get(f"{PATH}/readings", params={"limit": 5, **cursor})).json()
            parts += page["items"]
            cursor = {"cursor": page["next"]} if page["next"] else None
    assert parts == whole
    assert len(whole) == 96 + 6
    assert [row["channel"] for row in whole[:4]] == ["a", "b", "energy_wh", "a"]


async def test_the_newest_of_each_channel_is_by_its_own_time():
    world = await make_world()
    await furnish(world)
    async with world.client() as client:
        latest = (await client.get(f"{PATH}/latest")).json()
    assert [(row["channel"], row["at"], row["value"]) for row in latest["items"]] == [
        ("energy_wh", "2013-01-02T23:30:00Z", 195)
    ]


@pytest.mark.parametrize(
    ("query", "status", "parameter"),
    [
        ({"from": "2013-01-02T00:00:00Z", "to": "2013-01-01T00:00:00Z"}, 422, "to"),
        ({"from": "yesterday"}, 400, "from"),
        ({"from": "1356998400000"}, 400, "from"),
        ({"from": "2013-01-01T00:00:00"}, 400, "from"),
        ({"from": "0000-01-01T00:00:00Z"}, 400, "from"),
        ({"to": "10000-01-01T00:00:00Z"}, 400, "to"),
        ({"limit": "10001"}, 400, "limit"),
        ({"limit": "-1"}, 400, "limit"),
        ({"channel": ""}, 400, "channel"),
        ({"channel": "\x00"}, 400, "channel"),
        ({"form": "2013-01-01T00:00:00Z"}, 400, None),
    ],
)
async def test_a_question_that_makes_no_sense_is_refused(query, status, parameter):
    world = await make_world()
    await furnish(world)
    async with world.client() as client:
        response = await client.get(f"{PATH}/readings", params=query)
    assert (response.status_code, response.json().get("parameter")) == (status, parameter)


async def test_windows_are_computed_when_they_are_not_kept():
    world = await make_world()
    await furnish(world)
    query = {**DAY, "channel": "energy_wh", "size": "6h"}
    async with world.client() as client:
        rows = (await client.get(f"{PATH}/windows", params=query)).json()["items"]
    assert [(row["start"], row["count"], row["sum"]) for row in rows] == [
        (f"2013-01-01T{6 * n:02}:00:00Z", 12, sum(range(100 + 12 * n, 112 + 12 * n))) for n in range(4)
    ]
    assert {(row["state"], row["revision"], row["settled_at"]) for row in rows} == {("open", None, None)}
    assert (rows[0]["min"], rows[0]["max"], rows[0]["mean"], rows[0]["median"]) == (100, 111, 105.5, 105.5)


async def settle(world, key, start_ms, size="1h", length_ms=HOUR_MS):
    return await world.context.windows.settle(
        [WindowKey(key, "energy_wh", size, start_ms, start_ms + length_ms)], world.clock.now_ms()
    )


async def test_kept_windows_have_a_state_and_all_their_revisions():
    world = await make_world()
    await furnish(world)
    key = await world.key_of("meter-1")
    await settle(world, key, START_MS)
    await settle(world, key, START_MS + HOUR_MS)
    await world.store(block_of(("energy_wh",), [key], [START_MS + 1], [1000], exact=True))
    await settle(world, key, START_MS)
    query = {**DAY, "channel": "energy_wh", "size": "1h"}
    async with world.client() as client:
        latest = (await client.get(f"{PATH}/windows", params=query)).json()["items"]
        every = (await client.get(f"{PATH}/windows", params={**query, "revisions": "all"})).json()["items"]
        first = (await client.get(f"{PATH}/windows", params={**query, "revisions": "all", "limit": 1})).json()
        second = await client.get(
            f"{PATH}/windows", params={**query, "revisions": "all", "limit": 1, "cursor": first["next"]}
        )
    assert [(row["state"], row["revision"], row["sum"]) for row in latest[:3]] == [
        ("revised", 1, 1201),
        ("closed", 0, 205),
        ("open", None, 209),
    ]
    assert len(latest) == 24
    assert [(row["revision"], row["sum"]) for row in every[:3]] == [(0, 201), (1, 1201), (0, 205)]
    assert first["items"] + second.json()["items"] == every[:2]


async def test_days_are_those_of_the_site():
    world = await make_world()
    await furnish(world)
    key = await world.key_of("meter-1")
    summer = START_MS + 180 * DAY_MS
    await world.store(block_of(("energy_wh",), [key] * 2, [summer - 1, summer - HOUR_MS - 1], [1, 2], exact=True))
    query = {"from": format_rfc3339(summer - 2 * DAY_MS), "to": format_rfc3339(summer + DAY_MS)}
    async with world.client() as client:
        rows = (await client.get(f"{PATH}/windows", params={**query, "channel": "energy_wh", "size": "day"})).json()
    assert [(row["start"], row["end"], row["sum"]) for row in rows["items"]] == [
        ("2013-06-28T23:00:00Z", "2013-06-29T23:00:00Z", 2),
        ("2013-06-29T23:00:00Z", "2013-06-30T23:00:00Z", 1),
    ]


async def test_pages_of_windows_hold_each_once_over_a_span_with_gaps():
    world = await make_world()
    await furnish(world)
    key = await world.key_of("meter-1")
    far = START_MS + 400 * DAY_MS
    await world.store(block_of(("energy_wh",), [key], [far], [7], exact=True))
    query = {"from": "2013-01-01T00:00:00Z", "to": "2014-06-01T00:00:00Z", "channel": "energy_wh", "size": "1h"}
    async with world.client() as client:
        rows, cursor = [], {}
        while cursor is not None:
            page = (await client.get(f"{PATH}/windows", params={**query, "limit": 7, **cursor})).json()
            rows += page["items"]
            cursor = {"cursor": page["next"]} if page["next"] else None
    assert [row["start"] for row in rows] == [
        *(format_rfc3339(START_MS + n * 2 * HALF_HOUR_MS) for n in range(48)),
        format_rfc3339(far),
    ]


@pytest.mark.parametrize(
    ("query", "status", "parameter"),
    [
        ({"size": "90m"}, 400, "size"),
        ({"size": ""}, 400, "size"),
        ({"revisions": "some"}, 400, "revisions"),
        ({"to": "2012-01-01T00:00:00Z"}, 422, "to"),
        ({"from": "1970-01-01T00:00:00Z", "to": "2099-01-01T00:00:00Z"}, 422, "to"),
        ({"cursor": "x"}, 422, "cursor"),
    ],
)
async def test_windows_that_cannot_be_are_refused(query, status, parameter):
    world = await make_world()
    await furnish(world)
    query = {**DAY, "channel": "energy_wh", "size": "15m", **query}
    async with world.client() as client:
        response = await client.get(f"{PATH}/windows", params=query)
    assert (response.status_code, response.json().get("parameter")) == (status, parameter)


@pytest.mark.parametrize("left_out", ["channel", "size", "from", "to"])
async def test_windows_need_to_be_told_which(left_out):
    world = await make_world()
    await furnish(world)
    query = {name: value for name, value in {**DAY, "channel": "energy_wh", "size": "1h"}.items() if name != left_out}
    async with world.client() as client:
        assert (await client.get(f"{PATH}/windows", params=query)).status_code == 400


async def test_what_no_json_number_can_be_is_null(monkeypatch):
    world = await make_world()
    await furnish(world)

    async def beyond_a_double(device, channel, spans):
        return [Aggregate(START_MS, START_MS + HOUR_MS, 2, inf, 1.7e308, 1.7e308, 1.7e308, nan)]

    monkeypatch.setattr(world.timeseries, "aggregate", beyond_a_double)
    query = {**DAY, "channel": "power_w", "size": "1h"}
    async with world.client() as client:
        row = (await client.get(f"{PATH}/windows", params=query)).json()["items"][0]
    assert (row["sum"], row["max"], row["median"]) == (None, 1.7e308, None)
