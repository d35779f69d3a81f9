"""The referee: schemathesis reads /openapi.json and tries to prove it wrong, over a real socket.

400 means that the schema forbids a request, so one that the schema allows may never get it; 422 says what no schema
can (a span that ends before it starts), so it is allowed for both.
"""

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from tests.e2e.platform_process import PlatformProcess
from tests.unit.apps.server.api.world import STAMPS, furnish, make_world, provision

from ringmain.apps.server.api.app import api

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

EXAMPLES = 12
"""Of each operation and kind of fuzzing; coverage comes on top. A longer look: RINGMAIN_FUZZ_EXAMPLES=500."""

SETTINGS = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", "401", "403", "404", "409", "422"]
[parameters]
"path.id" = { dictionary = "names", probability = 0.5 }
"path.number" = { dictionary = "numbers", probability = 0.5 }
"query.channel" = { dictionary = "channels", probability = 0.7 }
"query.from" = { dictionary = "times", probability = 0.5 }
"query.to" = { dictionary = "times", probability = 0.5 }
"body.device" = { dictionary = "names", probability = 0.5 }
"body.usage_point" = { dictionary = "names", probability = 0.5 }
"body.tariff" = { dictionary = "names", probability = 0.5 }
[dictionaries.names]
values = ["meter-1", "home", "smith", "flat", "main", "gw-1"]
[dictionaries.numbers]
values = [1, 2]
[dictionaries.channels]
values = ["energy_wh"]
[dictionaries.times]
values = ["2013-01-01T00:00:00Z", "2013-01-02T12:00:00+01:00", "2013-01-03T00:00:00Z"]
[checks.negative_data_rejection]
expected-statuses = ["400", "401", "403", "404", "405", "409", "413", "415", "422"]
"""


def referee(directory: Path, url: str, token: str) -> None:
    """One run; its report is the message of the failure."""
    (directory / "schemathesis.toml").write_text(SETTINGS)
    found = subprocess.run(
        [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"{url}/openapi.json"),
            *("--checks", "all", "--phases", "examples,coverage,fuzzing", "--mode", "all"),
            *("--max-examples", os.environ.get("RINGMAIN_FUZZ_EXAMPLES", str(EXAMPLES))),
            *("--seed", "1", "--workers", "1", "--continue-on-failure", "--generation-database", "none"),
            *("--header", f"Authorization: Bearer {token}", "--request-timeout", "30"),
        ],
        cwd=directory,
        capture_output=True,
        text=True,
        check=False,
    )
    assert found.returncode == 0, found.stdout[-20_000:] + found.stderr[-4_000:]


@pytest.fixture
def simulated() -> Iterator[str]:
    """The API over simulated homes of the ports, served by uvicorn in a thread; its address."""
    ready = threading.Event()
    server: list[uvicorn.Server] = []

    async def serve() -> None:
        world = await make_world()
        await furnish(world)
        server.append(uvicorn.Server(uvicorn.Config(api(world.context), port=0, log_config=None, lifespan="off")))
        serving = asyncio.ensure_future(server[0].serve())
        while not server[0].started:
            await asyncio.sleep(0.01)
        ready.set()
        await serving

    thread = threading.Thread(target=lambda: asyncio.run(serve()), name="api")
    thread.start()
    assert ready.wait(10)
    port = server[0].servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}"
    server[0].should_exit = True
    thread.join(10)


def test_the_api_over_simulated_stores_keeps_its_contract(simulated, tmp_path):
    referee(tmp_path, simulated, "root")


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
