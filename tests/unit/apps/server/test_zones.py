"""Zones: answered from memory at once, for devices of every tenant, and a database in trouble ends nothing."""

import asyncio

import pytest

from ringmain.adapters.simulated.credentials import Credentials
from ringmain.adapters.simulated.directory import Directory
from ringmain.adapters.simulated.registry import Registry
from ringmain.apps.server import zones as module
from ringmain.apps.server.zones import Zones
from ringmain.model.errors import Failed
from ringmain.model.site import Site
from ringmain.ports.registry import NewDevice


class Town:
    async def build(self):
        self.directory = Directory()
        self.registry = Registry(self.directory, Credentials(self.directory))
        for tenant, zone in (("acme", "Europe/London"), ("zeta", "Asia/Beirut")):
            await self.directory.add_tenant(tenant, 0)
            await self.directory.put_site(tenant, Site("main", zone))
        self.devices = {
            tenant: await self.registry.add(tenant, [NewDevice(f"m{n}", "generic") for n in range(7)], 0)
            for tenant in ("acme", "zeta")
        }
        self.zones = Zones(self.directory, self.registry, "America/New_York")
        return self


@pytest.fixture
async def town():
    return await Town().build()


async def test_a_device_nobody_knows_has_the_configured_zone(town):
    assert town.zones.of(4711) == "America/New_York"
    town.zones.note(town.devices["acme"][0])
    assert town.zones.of(town.devices["acme"][0].key) == "America/New_York"


async def test_all_pages_of_all_tenants(town, monkeypatch):
    monkeypatch.setattr(module, "PAGE", 3)
    await town.zones.load()
    for tenant, zone in (("acme", "Europe/London"), ("zeta", "Asia/Beirut")):
        assert {town.zones.of(device.key) for device in town.devices[tenant]} == {zone}


async def test_sites_of_the_same_name_are_not_the_same(town):
    await town.zones.load()
    assert town.zones.of(town.devices["acme"][0].key) != town.zones.of(town.devices["zeta"][0].key)


async def test_a_changed_site_is_noticed_though_the_directory_fails_now_and_then(town, monkeypatch, caplog):
    monkeypatch.setattr(module, "REFRESH_S", 0.01)
    await town.zones.load()
    plain, failures = town.directory.tenants, [1, 2]

    async def tenants():
        if failures:
            failures.pop()
            raise Failed("unavailable", "the database is busy")
        return await plain()

    monkeypatch.setattr(town.directory, "tenants", tenants)
    running = asyncio.ensure_future(town.zones.run())
    await town.directory.put_site("acme", Site("main", "Asia/Kathmandu"))
    async with asyncio.timeout(5):
        while town.zones.of(town.devices["acme"][0].key) != "Asia/Kathmandu":
            await asyncio.sleep(0.005)
    assert not running.done()
    running.cancel()
    assert "their zones stay as they were: the database is busy" in caplog.text
