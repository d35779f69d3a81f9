"""docs/api.md is a tour of the very routes that are served."""

import re
from pathlib import Path

import pytest
from tests.unit.apps.server.api.world import make_world

from ringmain.apps.server.api.app import api

ROOT = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())


@pytest.fixture
def page() -> str:
    return (ROOT / "docs" / "api.md").read_text(encoding="utf-8")


async def test_every_route_is_on_the_page(page):
    async def app(scope, receive, send): ...

    routes = api((await make_world(telemetry=app)).context).routes
    kinds = re.compile("tariffs|accounts|usage-points|installations")
    for path in {route.path for route in routes}:
        written = re.sub(r"/(activate|suspend|decommission)$", "/activate", path)
        written = written if "bills" in path else kinds.sub("<kind>", written)
        assert f"{written}`" in page or f"{written}?" in page, path


async def test_every_address_on_the_page_is_served(page):
    async def app(scope, receive, send): ...

    routes = {route.path for route in api((await make_world(telemetry=app)).context).routes}
    for path in set(re.findall(r"/api/v1/[\w/{}-]+", page)):
        assert path in routes, path
