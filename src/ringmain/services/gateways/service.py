"""Gateways: delegations and documents in the database first, then in memory, then to whoever has to hear of them.

The hot path asks `standings`, which changes within the same turn of the loop in which a change is committed: what was
withdrawn or suspended is refused in the next chunk. Rosters and settings follow over the outbox.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

import msgspec

from ringmain.model.device import Device, LifecycleState, Profile
from ringmain.model.errors import Failed, Refused
from ringmain.model.gateway import (
    DELEGATIONS_MAX,
    GATEWAY_PROFILE,
    Delegation,
    GatewayReport,
    GatewaySettings,
    RosterEntry,
    VersionedSettings,
)
from ringmain.model.ids import DeviceId, DeviceKey, TenantId
from ringmain.ports.clock import Clock
from ringmain.ports.delegations import Delegations
from ringmain.ports.directory import Directory
from ringmain.ports.gateway_documents import GatewayDocuments
from ringmain.ports.registry import Registry
from ringmain.services.gateways.documents import ROSTER, SETTINGS, Documents
from ringmain.services.gateways.outbox import Outbox
from ringmain.services.gateways.roster import content_of, entries_of, listed, roster_of
from ringmain.services.gateways.standings import Standings

log = logging.getLogger(__name__)

REPORTS_EVERY_S = 5.0
"""Reports are written behind: a crash loses the last one of a gateway, which says it anew within `report_every_s`."""

PROFILES_EVERY_S = 10.0
"""How soon a changed profile is noticed, as a changed site is."""

ENTRIES_AT_ONCE = 500
"""Of a roster, between two looks at the event loop: some 5 ms of HMAC, less than a chunk takes."""

Secrets = Callable[[Sequence[DeviceKey]], Awaitable[Mapping[DeviceKey, Sequence[bytes]]]]
"""The SHA-256 of the tokens of these devices that are in force; devices without one may be left out."""

Send = Callable[[DeviceKey, str, bytes], bool]
"""Deliver a document to a gateway if it listens; False where it does and there is no room."""


class Gateways:
    """All gateways of the platform."""

    def __init__(
        self,
        delegations: Delegations,
        documents: GatewayDocuments,
        registry: Registry,
        directory: Directory,
        clock: Clock,
        *,
        secrets: Secrets,
        salt: Callable[[DeviceKey], bytes],
        send: Send,
        is_there: Callable[[DeviceKey], bool],
    ) -> None:
        """`salt` is a gateway's own for its verifiers, the same each time; `is_there`: it has a connection."""
        self._delegations = delegations
        self._registry = registry
        self._directory = directory
        self._clock = clock
        self._secrets = secrets
        self._salt = salt
        self._send = send
        self._is_there = is_there
        self._one_at_a_time = asyncio.Lock()
        self._changed: dict[DeviceKey, Device] | None = None
        """Devices that changed while delegations are being read: what was read of them may be older."""
        self._sent: dict[tuple[DeviceKey, str], int] = {}
        self.documents = Documents(documents, clock)
        self.standings = Standings()
        self.outbox = Outbox(self._deliver)

    async def start(self) -> None:
        """Read who speaks for whom, and the documents. Call once, after `know` was told of all devices."""
        await self.documents.load()
        held: dict[DeviceKey, list[Delegation]] = {}
        for each in await self._delegations.all():
            held.setdefault(each.gateway, []).append(each)
        for gateway, those in held.items():
            await self._stand(gateway, those)

    async def run(self) -> None:
        """Send what is due, write reports and look after profiles, until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.outbox.run())
            tasks.create_task(self._again_and_again(REPORTS_EVERY_S, self.documents.flush))
            tasks.create_task(self._again_and_again(PROFILES_EVERY_S, self._look_at_profiles))

    # -- delegations ------------------------------------------------------------------------------------------------

    async def delegate(
        self, gateway: Device, ids: Sequence[DeviceId], from_ms: int = 0, to_ms: int | None = None
    ) -> None:
        """Let a gateway speak for devices of its tenant, all of them or none; see `ports.delegations` for refusals."""
        if len(ids) > DELEGATIONS_MAX:
            detail = f"{len(ids)} devices at once, at most {DELEGATIONS_MAX}. Nothing was delegated."
            raise Refused("unprocessable", detail, "A gateway has no room for more.")
        known = {device.id: device for device in await self._registry.devices(gateway.tenant, ids)}
        if missing := set(ids) - known.keys():
            raise Refused(
                "not_found",
                f"There is no device {min(missing)[:64]!r}. Nothing was delegated.",
                "Register or import it first, in the gateway's tenant.",
            )
        new = [Delegation(gateway.key, known[id].key, from_ms, to_ms) for id in dict.fromkeys(ids)]
        async with self._one_at_a_time:
            await self._delegations.put(new, self._clock.now_ms())
            await self._stand(gateway.key, await self._delegations.of_gateway(gateway.key))
        self.outbox.ask(gateway.key, ROSTER)

    async def undelegate(self, gateway: Device, device: Device, at_ms: int | None = None) -> None:
        """End what they have, now or at another event time. `Refused("not_found")` where nothing lasts until then."""
        at_ms = self._clock.now_ms() if at_ms is None else at_ms
        async with self._one_at_a_time:
            ended = await self._delegations.end(gateway.key, device.key, at_ms)
            await self._stand(gateway.key, await self._delegations.of_gateway(gateway.key))
        if not ended:
            raise Refused(
                "not_found",
                f"{gateway.id} has no delegation of {device.id} that lasts until then. Nothing was changed.",
                "GET the gateway's delegations to see those there are.",
            )
        self.outbox.ask(gateway.key, ROSTER)

    async def redeemed(self, device: Device, via: DeviceKey | None) -> None:
        """A device came in with its claim, through that gateway: from now on the gateway speaks for it, unless that
        was ever decided before.
        """
        gateway = None if via is None else self.standings.gateways.get(via)
        if gateway is None or device.id in self.standings.of(gateway.key):
            return
        try:
            await self.delegate(gateway, [device.id])
        except Refused as refused:
            log.warning("%s came in through %s, which can not speak for it: %s", device.id, gateway.id, refused.detail)

    async def _stand(self, gateway: DeviceKey, delegations: Sequence[Delegation]) -> None:
        """Bring memory up to date with what is in the database, in one turn of the loop at the end."""
        changed = self._changed = {}
        devices: dict[DeviceKey, Device] = {}
        for key in {each.device for each in delegations}:
            device = await self._registry.by_key(key)
            assert device is not None, "a delegation refers to a device, and devices are never removed"
            devices[key] = device
        for tenant, name in {(device.tenant, device.profile) for device in devices.values()}:
            self.standings.use(tenant, await self._directory.profile(tenant, name) or Profile(name))
        self.standings.delegate(gateway, delegations, devices | changed)
        self._changed = None

    # -- documents --------------------------------------------------------------------------------------------------

    async def put_settings(self, gateway: Device, settings: GatewaySettings) -> VersionedSettings:
        """Give a gateway other settings; the version they have. The same as before are no new version."""
        versioned = await self.documents.put_settings(gateway.key, settings)
        self.outbox.ask(gateway.key, SETTINGS)
        return versioned

    async def _deliver(self, gateway: DeviceKey, name: str, forced: bool) -> bool:  # noqa: FBT001 - as the outbox asks
        device = self.standings.gateways.get(gateway)
        if device is None or not self._is_there(gateway):
            return True
        version, body = await (self._roster(device) if name == ROSTER else self._settings(device))
        if not version or (not forced and self._sent.get((gateway, name), 0) >= version):
            return True
        done = self._send(gateway, name, body)
        if done:
            self._sent[gateway, name] = version
        return done

    async def _settings(self, gateway: Device) -> tuple[int, bytes]:
        held = self.documents.settings(gateway.key)
        return (0, b"") if held is None else (held.version, msgspec.json.encode(held))

    async def _roster(self, gateway: Device) -> tuple[int, bytes]:
        those = listed(self.standings.of(gateway.key).values(), self._clock.now_ms())
        salt, entries = self._salt(gateway.key), list[RosterEntry]()
        for start in range(0, len(those), ENTRIES_AT_ONCE):
            some = those[start : start + ENTRIES_AT_ONCE]
            entries += entries_of(salt, some, await self._secrets([standing.device.key for standing, _ in some]))
        roster = roster_of(gateway, salt, those, entries)
        version = await self.documents.new_roster(gateway.key, content_of(roster))
        return version, msgspec.json.encode(msgspec.structs.replace(roster, version=version))

    # -- news -------------------------------------------------------------------------------------------------------

    def know(self, devices: Iterable[Device]) -> None:
        """Devices that are there, or were made."""
        for device in devices:
            self.standings.know(device)

    def device_changed(self, device: Device, _before: LifecycleState) -> None:
        """A committed transition, or other credentials: it holds for the next chunk, and rosters follow."""
        if self._changed is not None:
            self._changed[device.key] = device
        for gateway in self.standings.know(device):
            self.outbox.ask(gateway, ROSTER)

    def listening(self, gateway: Device, names: Iterable[str]) -> None:
        """A gateway subscribed: it gets what there is, whatever it was sent on other connections."""
        if gateway.profile == GATEWAY_PROFILE:
            self.standings.know(gateway)
            for name in (SETTINGS, ROSTER):
                if name in names:
                    self.outbox.ask(gateway.key, name, now=True)

    def reported(self, gateway: Device, report: GatewayReport) -> None:
        """A gateway said how it is."""
        self.documents.reported(gateway.key, report)

    def of_tenant(self, tenant: TenantId) -> list[Device]:
        """All gateways of a tenant, in the order of their ids."""
        mine = [device for device in self.standings.gateways.values() if device.tenant == tenant]
        return sorted(mine, key=lambda device: device.id)

    async def _look_at_profiles(self) -> None:
        for tenant, name in self.standings.profiles():
            profile = await self._directory.profile(tenant, name)
            if profile is not None:
                for gateway in self.standings.use(tenant, profile):
                    self.outbox.ask(gateway, ROSTER)

    async def _again_and_again(self, every_s: float, step: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(every_s)
            try:
                await step()
            except Failed as failed:
                log.warning("%s; it is tried again in %.0f s", failed.detail, every_s)
