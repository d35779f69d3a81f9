"""Registry: tenants, sites, profiles and devices, with their states. Small relational data; every write is synced."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ringmain.model.device import Device, LifecycleState, Profile
from ringmain.model.ids import DeviceId, DeviceKey, ProfileName, TenantId
from ringmain.model.site import Site


class NewDevice(msgspec.Struct, frozen=True):
    """A device to be registered. `token_digest` makes a credential in the same transaction (see `credentials`)."""

    id: DeviceId
    profile: ProfileName
    state: LifecycleState = LifecycleState.REGISTERED
    site: str = "main"
    token_digest: bytes | None = None


class Registry(Protocol):
    """Devices of all tenants. Refusals are `Refused("already_exists" | "not_found" | "invalid_transition")`."""

    async def add(self, tenant: TenantId, devices: Sequence[NewDevice], at_ms: int) -> Sequence[Device]:
        """Register all of them in one transaction, or none. An id that was ever used is `already_exists`."""
        ...

    async def device(self, tenant: TenantId, id: DeviceId) -> Device | None:
        """The device of that id."""
        ...

    async def by_key(self, key: DeviceKey) -> Device | None:
        """The device of that key."""
        ...

    async def page(
        self, tenant: TenantId, *, after: DeviceId | None, limit: int, state: LifecycleState | None = None
    ) -> Sequence[Device]:
        """Devices in order of their id, behind `after`."""
        ...

    async def move(self, key: DeviceKey, seen: LifecycleState, to: LifecycleState, at_ms: int, by: str) -> Device:
        """Write a transition and its entry in the journal. `invalid_transition` where the state is no longer
        `seen` (compare and set).
        """
        ...

    async def journal(self, key: DeviceKey) -> Sequence[tuple[int, LifecycleState, LifecycleState, str]]:
        """All transitions of a device: (at_ms, from, to, by)."""
        ...


class Directory(Protocol):
    """Tenants, sites and profiles."""

    async def add_tenant(self, tenant: TenantId, at_ms: int) -> None:
        """Make a tenant with a site `main`."""
        ...

    async def tenants(self) -> Sequence[TenantId]:
        """All tenants."""
        ...

    async def put_site(self, tenant: TenantId, site: Site) -> None:
        """Create or change a site."""
        ...

    async def sites(self, tenant: TenantId) -> Sequence[Site]:
        """All sites of a tenant."""
        ...

    async def put_profile(self, tenant: TenantId, profile: Profile) -> None:
        """Create or change a profile. A channel's kind can not be changed once it is set."""
        ...

    async def profile(self, tenant: TenantId, name: ProfileName) -> Profile | None:
        """A profile of the tenant, or a built-in one."""
        ...

    async def profiles(self, tenant: TenantId) -> Sequence[Profile]:
        """All profiles a tenant can use."""
        ...
