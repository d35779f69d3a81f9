"""Standings: who speaks for whom, in memory. Pure; every change holds for the very next question.

It also knows the key of every device there is, so that what a gateway says of one that it may not speak for can be
counted where it belongs without a look into the registry: some 150 bytes each.
"""

from collections.abc import Iterable, Mapping

import msgspec

from ringmain.model.device import Device, Profile
from ringmain.model.gateway import SPEAKING_PROFILES, Delegation
from ringmain.model.ids import DeviceId, DeviceKey, ProfileName, TenantId
from ringmain.model.standing import ALWAYS, Standing

_NOBODY: Mapping[DeviceId, Standing] = {}


class Standings:
    """Of all gateways."""

    def __init__(self) -> None:
        self._keys: dict[TenantId, dict[DeviceId, DeviceKey]] = {}
        self._of: dict[DeviceKey, dict[DeviceId, Standing]] = {}
        self._speakers: dict[DeviceKey, set[DeviceKey]] = {}
        self._profiles: dict[tuple[TenantId, ProfileName], Profile] = {}
        self.gateways: dict[DeviceKey, Device] = {}
        """Every device of the gateway profile, as it now is."""

    def of(self, gateway: DeviceKey) -> Mapping[DeviceId, Standing]:
        """Every device that is or was delegated to the gateway, by its id."""
        return self._of.get(gateway, _NOBODY)

    def key_of(self, tenant: TenantId, id: DeviceId) -> DeviceKey | None:
        """The key of a device, delegated or not."""
        return self._keys.get(tenant, {}).get(id)

    def know(self, device: Device) -> set[DeviceKey]:
        """A device as it now is; the gateways that speak for it."""
        self._keys.setdefault(device.tenant, {})[device.id] = device.key
        if device.profile in SPEAKING_PROFILES:
            self.gateways[device.key] = device
        speakers = self._speakers.get(device.key, set())
        for gateway in speakers:
            known = self._of[gateway]
            known[device.id] = msgspec.structs.replace(known[device.id], device=device)
        return set(speakers)

    def profiles(self) -> list[tuple[TenantId, ProfileName]]:
        """Those that delegated devices have."""
        return list(self._profiles)

    def use(self, tenant: TenantId, profile: Profile) -> set[DeviceKey]:
        """A profile as it now is; the gateways that speak for a device of it, where it is another one than before."""
        key = (tenant, profile.name)
        if self._profiles.get(key) == profile:
            return set()
        self._profiles[key] = profile
        touched = set()
        for gateway, known in self._of.items():
            for id, standing in known.items():
                if (standing.device.tenant, standing.device.profile) == key:
                    known[id] = msgspec.structs.replace(standing, profile=profile)
                    touched.add(gateway)
        return touched

    def delegate(
        self, gateway: DeviceKey, delegations: Iterable[Delegation], devices: Mapping[DeviceKey, Device]
    ) -> None:
        """All that a gateway has from now on. `devices` has every device of them, and `use` was told of its profile."""
        spans: dict[DeviceKey, list[tuple[int, int]]] = {}
        for each in delegations:
            spans.setdefault(each.device, []).append((each.from_ms, ALWAYS[1] if each.to_ms is None else each.to_ms))
        for standing in self._of.pop(gateway, {}).values():
            self._speakers[standing.device.key].discard(gateway)
        known = self._of[gateway] = {}
        for key, held in spans.items():
            device = devices[key]
            profile = self._profiles[device.tenant, device.profile]
            known[device.id] = Standing(device, profile, tuple(sorted(held)))
            self._speakers.setdefault(key, set()).add(gateway)
