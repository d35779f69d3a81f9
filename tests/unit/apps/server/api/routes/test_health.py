"""Health and the front page: for whoever comes, without a token."""

from tests.unit.apps.server.api.world import make_world


async def test_alive_is_not_ready():
    world = await make_world()
    async with world.client(None) as client:
        assert (await client.get("/livez")).json() == {"status": "ok"}
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()) == (200, {"ready": True, "reasons": []})
        world.not_ready.append("the log is full")
        assert (await client.get("/livez")).status_code == 200
        ready = await client.get("/readyz")
        assert (ready.status_code, ready.json()) == (503, {"ready": False, "reasons": ["the log is full"]})
        assert (await client.head("/readyz")).status_code == 503


async def test_metrics_are_as_prometheus_reads_them():
    async with (await make_world()).client(None) as client:
        response = await client.get("/metrics")
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert response.text.endswith("up 1.0\n")


async def test_the_front_page_names_the_addresses_and_runs_nothing():
    world = await make_world(addresses=(("MQTT", "mqtt://<host>:1883"),), version="1<2")
    world.not_ready.append("<b>full</b>")
    async with world.client(None) as client:
        response = await client.get("/")
    assert response.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in response.headers["content-security-policy"]
    assert "mqtt://&lt;host&gt;:1883" in response.text
    assert "&lt;b&gt;full" in response.text
    assert "<script" not in response.text
    for address in ("/openapi.json", "/readyz", "/livez", "/metrics"):
        assert f'href="{address}"' in response.text
