"""Registry: devices of all tenants with their states. Small relational data; every write is synced."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ringmain.model.device import Device, LifecycleState
from ringmain.model.ids import DeviceId, DeviceKey, ProfileName, TenantId


class NewDevice(msgspec.Struct, frozen=True):
    """A device to be registered. `token_digest` makes a credential in the same transaction (see `credentials`), and
    `token_sealed` is what it seals.
    """

    id: DeviceId
    profile: ProfileName
    state: LifecycleState = LifecycleState.REGISTERED
    site: str = "main"
    token_digest: bytes | None = None
    token_sealed: bytes | None = None


class Registry(Protocol):
    """Devices of all tenants. Refusals are `Refused("already_exists" | "not_found" | "invalid_transition")`."""

    async def add(self, tenant: TenantId, devices: Sequence[NewDevice], at_ms: int) -> Sequence[Device]:
        """Register all of them in one transaction, or none; answers in the order given. An id that was ever used,
        or a token that is in use, is `already_exists`; an unknown tenant, site or profile is `not_found`.
        """
        ...

    async def device(self, tenant: TenantId, id: DeviceId) -> Device | None:
        """The device of that id."""
        ...

    async def devices(self, tenant: TenantId, ids: Sequence[DeviceId]) -> Sequence[Device]:
        """Those of these ids that exist, in no particular order: `device` for a whole file at once."""
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
