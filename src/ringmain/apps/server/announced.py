"""Announced: a registry that tells of every device that is made, whoever makes it, before its maker knows it is there.

What is answered from memory for the hot path (zones, gateways) has to know a device before its first reading comes,
and a device behind a gateway never signs in.
"""

from collections.abc import Callable, Sequence

from ringmain.model.device import Device, LifecycleState
from ringmain.model.ids import DeviceId, DeviceKey, TenantId
from ringmain.ports.registry import NewDevice, Registry


class AnnouncedRegistry:
    """`ports.registry.Registry` over another one."""

    def __init__(self, inner: Registry, on_added: Callable[[Sequence[Device]], None]) -> None:
        self._inner = inner
        self._on_added = on_added

    async def add(self, tenant: TenantId, devices: Sequence[NewDevice], at_ms: int) -> Sequence[Device]:
        """See the port."""
        made = await self._inner.add(tenant, devices, at_ms)
        self._on_added(made)
        return made

    async def device(self, tenant: TenantId, id: DeviceId) -> Device | None:
        """See the port."""
        return await self._inner.device(tenant, id)

    async def devices(self, tenant: TenantId, ids: Sequence[DeviceId]) -> Sequence[Device]:
        """See the port."""
        return await self._inner.devices(tenant, ids)

    async def by_key(self, key: DeviceKey) -> Device | None:
        """See the port."""
        return await self._inner.by_key(key)

    async def page(
        self, tenant: TenantId, *, after: DeviceId | None, limit: int, state: LifecycleState | None = None
    ) -> Sequence[Device]:
        """See the port."""
        return await self._inner.page(tenant, after=after, limit=limit, state=state)

    async def move(self, key: DeviceKey, seen: LifecycleState, to: LifecycleState, at_ms: int, by: str) -> Device:
        """See the port."""
        return await self._inner.move(key, seen, to, at_ms, by)

    async def journal(self, key: DeviceKey) -> Sequence[tuple[int, LifecycleState, LifecycleState, str]]:
        """See the port."""
        return await self._inner.journal(key)
