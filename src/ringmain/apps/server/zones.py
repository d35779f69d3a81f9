"""Zones: in which local time each device's days begin, answered from memory because every batch asks.

A device is known from the moment it signs in, before its first reading can reach the store, and those of earlier
runs are loaded at the start. A changed site is noticed within `REFRESH_S`.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from ringmain.model.device import Device
from ringmain.model.errors import Failed
from ringmain.model.ids import DeviceId, DeviceKey, TenantId
from ringmain.ports.directory import Directory
from ringmain.ports.registry import Registry

log = logging.getLogger(__name__)

REFRESH_S = 10.0
PAGE = 5_000


class Zones:
    """`device → IANA zone`; the configured zone for a device that nobody knows."""

    def __init__(self, directory: Directory, registry: Registry, default: str) -> None:
        self._directory = directory
        self._registry = registry
        self._default = default
        self._sites: dict[tuple[TenantId, str], str] = {}
        self._devices: dict[DeviceKey, tuple[TenantId, str]] = {}

    def of(self, device: DeviceKey) -> str:
        """The zone of a device. Called from the store's thread too: it only reads."""
        site = self._devices.get(device)
        return self._default if site is None else self._sites.get(site, self._default)

    def note(self, device: Device) -> None:
        """A device signed in."""
        self._devices[device.key] = (device.tenant, device.site)

    async def load(self, also: Callable[[Sequence[Device]], None] = lambda _: None) -> None:
        """All sites and all devices; `also` is told of the devices, since they are read anyhow."""
        await self._load_sites()
        for tenant in await self._directory.tenants():
            after: DeviceId | None = None
            while devices := await self._registry.page(tenant, after=after, limit=PAGE):
                for device in devices:
                    self.note(device)
                also(devices)
                after = devices[-1].id

    async def run(self) -> None:
        """Look at the sites again and again, until cancelled."""
        while True:
            await asyncio.sleep(REFRESH_S)
            try:
                await self._load_sites()
            except Failed as failed:
                log.warning("the sites were not looked at, their zones stay as they were: %s", failed.detail)

    async def _load_sites(self) -> None:
        for tenant in await self._directory.tenants():
            for site in await self._directory.sites(tenant):
                self._sites[tenant, site.id] = site.zone
