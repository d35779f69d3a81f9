"""The referee over simulated stores: what the API itself promises."""

import asyncio
import threading
from collections.abc import Iterator

import pytest
import uvicorn
from tests.e2e.referee import referee
from tests.unit.apps.server.api.world import furnish, make_world

from ringmain.apps.server.api.app import api

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


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
