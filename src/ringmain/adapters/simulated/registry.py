"""Registry, simulated: devices in plain dicts. Devices are never removed, so their number is the next key."""

from collections.abc import Sequence

import msgspec

from ringmain.adapters.simulated.credentials import Credentials
from ringmain.adapters.simulated.directory import Directory
from ringmain.model.device import Device, LifecycleState
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceId, DeviceKey, TenantId
from ringmain.ports.credentials import Holder
from ringmain.ports.registry import NewDevice

Transition = tuple[int, LifecycleState, LifecycleState, str]


class Registry:
    """Home of `ports.registry.Registry`. Tokens of new devices go to `credentials`, as they share a database."""

    def __init__(self, directory: Directory, credentials: Credentials) -> None:
        self._directory = directory
        self._credentials = credentials
        self._devices: dict[DeviceKey, Device] = {}
        self._keys: dict[tuple[TenantId, DeviceId], DeviceKey] = {}
        self._journal: dict[DeviceKey, list[Transition]] = {}

    async def add(self, tenant: TenantId, devices: Sequence[NewDevice], at_ms: int) -> Sequence[Device]:
        if devices:
            await self._check(tenant, devices)
        made: list[Device] = []
        for it in devices:
            key = DeviceKey(len(self._devices) + 1)
            device = Device(key, tenant, it.id, it.profile, it.state, it.site, at_ms, at_ms)
            self._devices[key] = device
            self._keys[tenant, it.id] = key
            if it.token_digest is not None:
                holder = Holder(tenant, it.id, device=key)
                await self._credentials.grant(it.token_digest, holder, at_ms, sealed=it.token_sealed)
            made.append(device)
        return made

    async def device(self, tenant: TenantId, id: DeviceId) -> Device | None:
        key = self._keys.get((tenant, id))
        return None if key is None else self._devices[key]

    async def devices(self, tenant: TenantId, ids: Sequence[DeviceId]) -> Sequence[Device]:
        return [self._devices[self._keys[tenant, id]] for id in set(ids) if (tenant, id) in self._keys]

    async def by_key(self, key: DeviceKey) -> Device | None:
        return self._devices.get(key)

    async def page(
        self, tenant: TenantId, *, after: DeviceId | None, limit: int, state: LifecycleState | None = None
    ) -> Sequence[Device]:
        ids = sorted(id for owner, id in self._keys if owner == tenant and (after is None or id > after))
        found = [self._devices[self._keys[tenant, id]] for id in ids]
        return [device for device in found if state is None or device.state is state][:limit]

    async def move(self, key: DeviceKey, seen: LifecycleState, to: LifecycleState, at_ms: int, by: str) -> Device:
        device = self._devices.get(key)
        if device is None:
            raise Refused("not_found", f"There is no device with the key {key}.", "Register it first.")
        if device.state is not seen:
            raise Refused(
                "invalid_transition",
                f"The device is {device.state.value} by now, not {seen.value}. Its state is unchanged.",
                "Look at it again, then decide anew.",
            )
        self._devices[key] = msgspec.structs.replace(device, state=to, state_since_ms=at_ms)
        self._journal.setdefault(key, []).append((at_ms, seen, to, by))
        return self._devices[key]

    async def journal(self, key: DeviceKey) -> Sequence[Transition]:
        return list(self._journal.get(key, ()))

    async def _check(self, tenant: TenantId, devices: Sequence[NewDevice]) -> None:
        self._directory.require(tenant)
        profiles = {profile.name for profile in await self._directory.profiles(tenant)}
        sites = {site.id for site in await self._directory.sites(tenant)}
        ids: set[DeviceId] = set()
        tokens: set[bytes] = set()
        for it in devices:
            if it.profile not in profiles or it.site not in sites:
                missing = f"profile {it.profile!r}" if it.profile not in profiles else f"site {it.site!r}"
                raise Refused("not_found", f"There is no {missing}. No device was made.", "Make it first.")
            if (tenant, it.id) in self._keys or it.id in ids:
                raise Refused(
                    "already_exists", f"The id {it.id} was given before. No device was made.", "Choose another id."
                )
            ids.add(it.id)
            if it.token_digest is not None:
                if it.token_digest in tokens or await self._credentials.holder(it.token_digest) is not None:
                    raise Refused("already_exists", "A token is in use by another device. No device was made.")
                tokens.add(it.token_digest)
