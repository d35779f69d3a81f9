"""Homes: who lives on a street, and which meters measure each of them since when."""

from collections.abc import Mapping, Sequence

import msgspec

from ringmain.metering.documents import PAGE_MAX, Documents
from ringmain.metering.installation import Installation, Installations, UsagePoint
from ringmain.model.device import Device, LifecycleState, Profile
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceId, DeviceKey, ProfileName, TenantId
from ringmain.model.time import Instant, Interval, utc
from ringmain.ports.directory import Directory
from ringmain.ports.registry import Registry

DEVICES_PAGE = 10_000
"""Devices read at a time, some 10 ms of SQLite each."""

UNITS = ("kWh", "Wh")


class Home(msgspec.Struct, frozen=True):
    """A home with its links, and the keys of their meters. `spans` are when readings of it are expected. `linked`
    where a usage point describes it.
    """

    id: str
    zone: str
    links: tuple[Installation, ...]
    keys: dict[str, DeviceKey]
    spans: tuple[Interval, ...]
    linked: bool

    @property
    def series(self) -> tuple[tuple[DeviceKey, str], ...]:
        """Its series, in order of its links."""
        return tuple((self.keys[link.device], link.channel) for link in self.links)

    def doubted(self, *, told: bool) -> bool:
        """Whether only its readings say how long their intervals are: no usage point does, or it is not `told`. A
        register is no matter: its steps are shared out over the time they took.
        """
        return self.links[0].reading == "interval" and not (told and self.linked)

    def from_(self, start: Instant) -> "Home":
        """The same home, expected from an instant on."""
        return msgspec.structs.replace(self, spans=(Interval(start, self.spans[-1].end),))


class Homes:
    """Finds homes in what the tenant has documented and registered."""

    def __init__(self, registry: Registry, directory: Directory, documents: Documents) -> None:
        self._registry = registry
        self._directory = directory
        self._documents = documents

    async def of_device(self, tenant: TenantId, id: DeviceId, channel: str) -> Home:
        """A device as a home of its own, for all time. What its channel measures, its newest installation says, or
        its profile; `Refused` where that is not energy.
        """
        device = await self._registry.device(tenant, id)
        if device is None:
            raise Refused("not_found", f"there is no device {id}", "GET /api/v1/devices lists those there are.")
        links = [
            link
            for installations in await self._installations(tenant)
            for link in installations.links
            if (link.device, link.channel) == (id, channel)
        ]
        zones = await self._zones(tenant)
        if links:
            newest = max(links, key=lambda link: link.span.start)
            link = msgspec.structs.replace(newest, from_=utc(0), to=None)
        else:
            profile = await self._directory.profile(tenant, device.profile)
            unit = unit_of(profile, channel)
            if unit is None:
                raise Refused(
                    "unprocessable",
                    f"{channel} does not measure energy",
                    "Name a channel in Wh or kWh, such as energy_wh.",
                )
            link = _link(device, channel, profile, unit)
        return _home(device, link, zones, linked=bool(links))

    async def of_tenant(self, tenant: TenantId, site: str | None, channel: str) -> list[Home]:
        """Every usage point that has a meter, and every active device that has none of them; of one site, or of all.
        A profile that does not take `channel` for energy makes no home.
        """
        zones = await self._zones(tenant)
        if site is not None and site not in zones:
            raise Refused("not_found", f"there is no site {site}", "GET /api/v1/sites lists those there are.")
        points = await self._usage_points(tenant)
        installations = await self._installations(tenant)
        metered = {link.device for each in installations for link in each.links}
        keys = {
            str(each.id): each.key
            for each in await self._registry.devices(tenant, [DeviceId(id) for id in sorted(metered)])
        }
        homes = [
            Home(
                each.usage_point,
                zones.get(points[each.usage_point].site, "UTC"),
                each.links,
                {link.device: keys[link.device] for link in each.links},
                tuple(link.span for link in each.links),
                linked=True,
            )
            for each in installations
            if each.links and site in {None, points[each.usage_point].site}
        ]
        profiles: dict[ProfileName, Profile | None] = {}
        for device in await self._active(tenant):
            if str(device.id) in metered or site not in {None, device.site}:
                continue
            if device.profile not in profiles:
                profiles[device.profile] = await self._directory.profile(tenant, device.profile)
            profile = profiles[device.profile]
            unit = unit_of(profile, channel)
            if unit is not None:
                homes.append(_home(device, _link(device, channel, profile, unit), zones, linked=False))
        return homes

    async def zone(self, tenant: TenantId, site: str | None) -> str:
        """The zone of a site, or of the tenant's first one."""
        zones = await self._zones(tenant)
        return zones.get(site or "main") or next(iter(zones.values()), "UTC")

    async def _zones(self, tenant: TenantId) -> dict[str, str]:
        return {site.id: site.zone for site in await self._directory.sites(tenant)}

    async def _usage_points(self, tenant: TenantId) -> dict[str, UsagePoint]:
        found: list[UsagePoint] = []
        while True:
            after = found[-1].id if found else None
            page = await self._documents.usage_points(tenant, after=after, limit=PAGE_MAX)
            found += page
            if len(page) < PAGE_MAX:
                return {each.id: each for each in found}

    async def _installations(self, tenant: TenantId) -> Sequence[Installations]:
        found: list[Installations] = []
        while True:
            after = found[-1].usage_point if found else None
            page = await self._documents.all_installations(tenant, after=after, limit=PAGE_MAX)
            found += page
            if len(page) < PAGE_MAX:
                return found

    async def _active(self, tenant: TenantId) -> Sequence[Device]:
        found: list[Device] = []
        while True:
            after = found[-1].id if found else None
            page = await self._registry.page(tenant, after=after, limit=DEVICES_PAGE, state=LifecycleState.ACTIVE)
            found += page
            if len(page) < DEVICES_PAGE:
                return found


def unit_of(profile: Profile | None, channel: str) -> str | None:
    """`Wh` or `kWh` as the profile has it, or as the channel's name ends; None where it is not energy."""
    named = {known.name: known.unit for known in profile.channels} if profile else {}
    if channel in named:
        return named[channel] if named[channel] in UNITS else None
    return next((unit for unit in UNITS if channel.lower().endswith(unit.lower())), None)


def _link(device: Device, channel: str, profile: Profile | None, unit: str) -> Installation:
    interval_s = profile.expected_interval_s if profile else 0
    return Installation(device.id, channel, utc(0), unit="kWh" if unit == "kWh" else "Wh", interval_s=interval_s)


def _home(device: Device, link: Installation, zones: Mapping[str, str], *, linked: bool) -> Home:
    zone = zones.get(device.site, "UTC")
    return Home(device.id, zone, (link,), {str(device.id): device.key}, (link.span,), linked=linked)
