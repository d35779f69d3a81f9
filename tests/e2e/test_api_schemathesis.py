"""The referee over a real platform with a household in it."""

import asyncio

import httpx
import pytest
from tests.e2e.platform_process import PlatformProcess
from tests.e2e.referee import referee
from tests.unit.apps.server.api.world import STAMPS, provision

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def test_the_platform_keeps_its_contract(tmp_path):
    with PlatformProcess(tmp_path / "data") as platform:
        url = f"http://127.0.0.1:{platform.ports.http}"
        asyncio.run(household(url, platform.admin_token))
        referee(tmp_path, url, platform.admin_token)
        assert platform.ready(), platform.log_tail()


async def household(url: str, token: str) -> None:
    """A meter that sent two days, one payload that nobody can decode, and a contradiction."""
    async with httpx.AsyncClient(base_url=url, headers={"authorization": f"Bearer {token}"}) as client:
        device = {"authorization": f"Bearer {await provision(client)}"}
        days = [{"ts": at_ms, "values": {"energy_wh": 100}} for at_ms in STAMPS]
        for payload in (days, [{**days[0], "values": {"energy_wh": 999}}], "what?"):
            sent = await client.post("/api/v1/telemetry", json=payload, headers=device)
            assert sent.is_success, sent.text
        for _ in range(200):
            received = (await client.get("/api/v1/tally")).json()["received"]
            if received == len(days) + 2:
                return
            await asyncio.sleep(0.05)
        raise AssertionError(f"the store has read {received} records of {len(days) + 2}")
