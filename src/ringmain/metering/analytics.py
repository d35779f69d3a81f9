"""Analytics: the load of one device's channel over some local days, read from the time-series store.

For any device that reports energy per interval, with an account or without one.
"""

from datetime import date

import msgspec

from ringmain.metering.collection import collect
from ringmain.metering.installation import Installation, Installations
from ringmain.metering.intervals import Completeness
from ringmain.metering.profiles import LoadSummary, ProfilePoint, load_profile, load_summary
from ringmain.metering.rating import BillPeriod
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceId, ProfileName, TenantId
from ringmain.model.time import DAY_MS, utc
from ringmain.ports.directory import Directory
from ringmain.ports.registry import Registry
from ringmain.ports.timeseries import TimeSeries


class LoadReport(msgspec.Struct, frozen=True):
    """Local days [from, to) of one channel; `summary` is None where it has no interval there."""

    device: str
    channel: str
    zone: str
    from_: date = msgspec.field(name="from")
    to: date
    interval_s: int
    completeness: Completeness
    summary: LoadSummary | None
    profile: tuple[ProfilePoint, ...]


class Analytics:
    """Load reports, computed when asked for."""

    def __init__(self, timeseries: TimeSeries, registry: Registry, directory: Directory) -> None:
        self._timeseries = timeseries
        self._registry = registry
        self._directory = directory

    async def load(
        self,
        tenant: TenantId,
        device: DeviceId,
        channel: str,
        start: date,
        end: date,
        *,
        interval_s: int | None = None,
    ) -> LoadReport:
        """The load of an energy channel. Without `interval_s`, the device's profile says how long intervals are;
        its unit is the profile's, or what the channel's name ends in.
        """
        found = await self._registry.device(tenant, device)
        if found is None:
            raise Refused("not_found", f"there is no device {device}", "Register it first.")
        sites = await self._directory.sites(tenant)
        zone = next((site.zone for site in sites if site.id == found.site), "UTC")
        period = BillPeriod(start, end, zone)
        period.check()
        length_s, unit = await self._shape(tenant, found.profile, channel)
        length_s = interval_s or length_s
        if length_s < 1 or DAY_MS % (length_s * 1000):
            raise Refused(
                "unprocessable", f"intervals of {length_s} s do not fill a day", "Say interval_s, such as 1800."
            )
        span = period.span
        link = Installation(
            device, channel, utc(span.start), utc(span.end), "kWh" if unit == "kWh" else "Wh", interval_s=length_s
        )
        links = Installations(device, (link,))
        collected = await collect(self._timeseries, self._registry, tenant, links, span)
        return LoadReport(
            device=device,
            channel=channel,
            zone=zone,
            from_=start,
            to=end,
            interval_s=length_s,
            completeness=collected.completeness,
            summary=load_summary(collected.intervals),
            profile=load_profile(collected.intervals, zone),
        )

    async def _shape(self, tenant: TenantId, name: ProfileName, channel: str) -> tuple[int, str]:
        """Interval length and unit of a channel, as the device's profile has them."""
        profile = await self._directory.profile(tenant, name)
        named = {known.name: known.unit for known in profile.channels} if profile else {}
        unit = named.get(channel) or next(
            (unit for unit in ("kWh", "Wh") if channel.lower().endswith(unit.lower())), ""
        )
        if unit not in {"Wh", "kWh"}:
            raise Refused(
                "unprocessable",
                f"{channel} measures {unit or 'what its name does not say'}, not energy",
                "Name a channel in Wh or kWh, such as energy_wh.",
            )
        return (profile.expected_interval_s if profile else 0), unit
