"""Sites and profiles over HTTP."""

import pytest
from tests.unit.apps.server.api.world import make_world

from ringmain.model.device import BUILT_IN_PROFILES


async def test_a_site_has_a_zone_that_somebody_knows():
    async with (await make_world()).client() as client:
        refused = await client.put("/api/v1/sites/main", json={"zone": "Europe/Nowhere"})
        assert (refused.status_code, "IANA" in refused.json()["hint"]) == (422, True)
        for zone in ("", "../../etc/passwd", "Europe/London\x00", "/etc/localtime"):
            assert (await client.put("/api/v1/sites/main", json={"zone": zone})).status_code == 422
        made = await client.put("/api/v1/sites/hill", json={"zone": "Asia/Kathmandu"})
        assert made.json() == {"id": "hill", "zone": "Asia/Kathmandu"}
        listed = (await client.get("/api/v1/sites")).json()
    assert listed == {"items": [{"id": "hill", "zone": "Asia/Kathmandu"}, {"id": "main", "zone": "UTC"}], "next": None}


@pytest.mark.parametrize(
    ("body", "status", "path"),
    [
        ({"expected_interval_s": 0}, 422, None),
        ({"expected_interval_s": 10**30}, 422, None),
        ({"expected_interval_s": "60"}, 400, "$.expected_interval_s"),
        ({"channels": [{"name": "a", "kind": "maybe"}]}, 400, "$.channels[0].kind"),
        ({"channels": [{"name": "a"}, {"name": "a"}]}, 422, None),
        ({"channels": [{"name": "\x00"}]}, 422, None),
        ({"name": "other"}, 400, "$"),
    ],
)
async def test_a_profile_that_is_not_sound_is_refused(body, status, path):
    async with (await make_world()).client() as client:
        response = await client.put("/api/v1/profiles/valve", json=body)
        assert (response.status_code, response.json().get("path")) == (status, path)
        assert (await client.get("/api/v1/profiles/valve")).status_code == 404


async def test_the_kind_of_a_channel_stays():
    async with (await make_world()).client() as client:
        body = {"channels": [{"name": "count", "kind": "exact"}]}
        made = await client.put("/api/v1/profiles/valve", json=body)
        assert made.json() == (await client.get("/api/v1/profiles/valve")).json()
        assert made.json()["channels"] == [{"name": "count", "unit": "", "kind": "exact", "obis": ""}]
        body["channels"][0]["kind"] = "measured"
        assert (await client.put("/api/v1/profiles/valve", json=body)).status_code == 422
        names = [profile["name"] for profile in (await client.get("/api/v1/profiles")).json()["items"]]
    assert names == sorted([*(profile.name for profile in BUILT_IN_PROFILES), "valve"])


async def test_a_profile_names_its_decoder():
    async with (await make_world()).client() as client:
        made = await client.put("/api/v1/profiles/plug", json={"decoder": "tasmota"})
        assert (made.status_code, made.json()["decoder"]) == (200, "tasmota")
        assert (await client.get("/api/v1/profiles/plug")).json() == made.json()
        assert (await client.get("/api/v1/profiles/meter")).json()["decoder"] == ""
        refused = await client.put("/api/v1/profiles/plug", json={"decoder": "../tasmota"})
        assert (refused.status_code, "decoder" in refused.json()["detail"]) == (422, True)
