"""Street: the load curve of one meter, or of all homes of a tenant together.

A home is a usage point with its meters, or an active device with readings of energy that no usage point links. Sums
are made by the store; only what it cannot add exactly (registers, MEASURED values, odd multipliers) is read one by one.
"""

from collections.abc import Mapping, Sequence
from datetime import date

import msgspec

from ringmain.metering.asked import Asked, period_of, slots_of, together
from ringmain.metering.collection import collect
from ringmain.metering.curve import Curve, curve_of, expected_homes, spread
from ringmain.metering.documents import Documents
from ringmain.metering.homes import Home, Homes
from ringmain.metering.installation import Installation, Installations
from ringmain.metering.intervals import ENERGY_WH_MAX, READING_MAX
from ringmain.metering.pace import READINGS_LOOKED_AT, interval_s_of, too_short
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceId, DeviceKey, TenantId
from ringmain.model.time import SECOND_MS, Interval
from ringmain.ports.clock import Clock
from ringmain.ports.directory import Directory
from ringmain.ports.load import Grid, Load, Share, Sums
from ringmain.ports.registry import Registry
from ringmain.ports.timeseries import TimeSeries

INTERVAL_S = 1800
"""Of a street without homes."""

HOMES_LOOKED_AT = 5
"""Homes whose readings are looked at where nobody wrote down how long their intervals are: some 2 ms each."""

SIZE = "day"
"""The windows whose revisions are told: late data that came into a day after it was closed."""


class StreetLoad(msgspec.Struct, frozen=True):
    """The curve, of how many homes, and from when to when there are readings of them (None: there are none)."""

    homes: int
    zone: str
    from_: date
    to: date
    interval_s: int
    readings: Interval | None
    refused: int
    curve: Curve


class Street:
    """Load curves, computed when asked for."""

    def __init__(
        self,
        load: Load,
        timeseries: TimeSeries,
        registry: Registry,
        directory: Directory,
        documents: Documents,
        clock: Clock,
        maintained_sizes: Sequence[str],
    ) -> None:
        self._load = load
        self._timeseries = timeseries
        self._registry = registry
        self._clock = clock
        self._keeps_days = SIZE in maintained_sizes
        self._homes = Homes(registry, directory, documents)

    async def device(self, tenant: TenantId, device: DeviceId, asked: Asked) -> StreetLoad:
        """The curve of one device's channel, expected over the whole span."""
        home = await self._homes.of_device(tenant, device, asked.channel)
        extents = await self._extents([home])
        if not extents and (asked.from_ is None or asked.to is None):
            others = [each.channel for each in await self._timeseries.latest(home.keys[device])]
            has = f"; it has {', '.join(others)}" if others else ""
            raise Refused(
                "unprocessable",
                f"{device} has no reading of {asked.channel}{has}",
                "Name a channel of energy that it has, or let it send first.",
            )
        return await self._curve(tenant, [home], extents, home.zone, asked)

    async def street(self, tenant: TenantId, site: str | None, asked: Asked) -> StreetLoad:
        """The curve of all homes of a tenant, or of those at one site. A home that no usage point describes is
        expected from its first reading on.
        """
        found = await self._homes.of_tenant(tenant, site, asked.channel)
        extents = await self._extents(found)
        homes = [
            home if home.linked else home.from_(extents[home.series[0]].start)
            for home in found
            if home.linked or home.series[0] in extents
        ]
        if not extents and (asked.from_ is None or asked.to is None):
            where = f"at site {site}" if site else "on the street"
            raise Refused(
                "not_found",
                f"there is no home {where}: no usage point and no active device has a reading of {asked.channel}",
                "Register meters and let them send, or name the channel that they send.",
            )
        zones = sorted({home.zone for home in homes}) or [await self._homes.zone(tenant, site)]
        if len(zones) > 1:
            raise Refused(
                "unprocessable",
                f"the homes stand in the zones {', '.join(zones)}, and a day is not the same in all of them",
                "Name one site.",
            )
        return await self._curve(tenant, homes, extents, zones[0], asked)

    async def _extents(self, homes: Sequence[Home]) -> Mapping[tuple[DeviceKey, str], Interval]:
        return await self._load.extents([series for home in homes for series in home.series])

    async def _interval_s(
        self, homes: Sequence[Home], extents: Mapping[tuple[DeviceKey, str], Interval], asked_s: int | None
    ) -> int:
        """What was asked for, unless it is shorter than a meter's own; else the longest interval of any home, so that
        none has holes that are none.
        """
        longest_s = max((link.interval_s for home in homes for link in home.links), default=INTERVAL_S)
        doubted = [home for home in homes if home.doubted(told=asked_s is None) and home.series[0] in extents]
        for home in doubted[:: -(-len(doubted) // HOMES_LOOKED_AT)] if doubted else ():
            (device, channel), claimed_s = home.series[0], home.links[0].interval_s
            readings = await self._timeseries.readings(
                device, channel, extents[device, channel], after=None, limit=READINGS_LOOKED_AT
            )
            stamps = [each.at_ms for each in readings]
            if asked_s is not None and too_short(stamps, asked_s):
                raise Refused(
                    "unprocessable",
                    f"the readings of {home.id} are of longer intervals than {asked_s} s: their power would be wrong",
                    "Leave interval_s out, or ask for a longer one.",
                )
            longest_s = max(longest_s, interval_s_of(stamps, claimed_s))
        return asked_s or longest_s

    async def _curve(
        self,
        tenant: TenantId,
        homes: Sequence[Home],
        extents: Mapping[tuple[DeviceKey, str], Interval],
        zone: str,
        asked: Asked,
    ) -> StreetLoad:
        extent = together(extents.values())
        from_, to = period_of(asked, extent, zone)
        exactly = asked.interval_s is not None
        interval_s = await self._interval_s(homes, extents, asked.interval_s)
        grid = slots_of(from_, to, zone, interval_s, len(homes), exactly=exactly)
        links = [(number, home, link) for number, home in enumerate(homes) for link in home.links]
        shares = [_share(number, home, link) for number, home, link in links]
        sums = await self._load.sums([share for share in shares if share.factor], grid)
        added = [place for place, share in enumerate(shares) if share.factor]
        rest = {place for place, share in enumerate(shares) if not share.factor}
        rest |= {added[place] for place in sums.unsummed}
        one_by_one = [links[place] for place in sorted(rest)]
        totals, present, refused = await self._read(tenant, one_by_one, grid, sums)
        revised = dict(await self._load.revised(shares, SIZE, grid.span)) if self._keeps_days else None
        spans = [span for home in homes for span in home.spans]
        expected = expected_homes(spans, grid, self._clock.now_ms())
        curve = curve_of(grid, (from_, to, zone), totals, present, expected, revised)
        return StreetLoad(len(homes), zone, from_, to, grid.slot_ms // SECOND_MS, extent, refused, curve)

    async def _read(
        self, tenant: TenantId, links: Sequence[tuple[int, Home, Installation]], grid: Grid, sums: Sums
    ) -> tuple[list[int], list[int], int]:
        """The sums of the store, with the energy of these links."""
        totals, present, refused = list(sums.totals), list(sums.homes), sums.refused
        covers: dict[int, bytearray] = {}
        for number, home, link in links:
            collected = await collect(
                self._timeseries, self._registry, tenant, Installations(home.id, (link,)), grid.span
            )
            spread(collected.intervals, grid, totals, covers.setdefault(number, bytearray(grid.count)))
            refused += collected.completeness.refused
        for cover in covers.values():
            present = [count + came for count, came in zip(present, cover, strict=True)]
        return totals, present, refused


def _share(number: int, home: Home, link: Installation) -> Share:
    """What a link adds; with the factor 0 where the store could not add it exactly."""
    factor = link.multiplier * (1000 if link.unit == "kWh" else 1)
    whole = int(factor) if link.reading == "interval" and factor == int(factor) else 0
    most = min(READING_MAX, ENERGY_WH_MAX // whole) if whole else 0
    return Share(number, home.keys[link.device], link.channel, link.span, whole, most)
