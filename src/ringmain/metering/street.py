"""Street: the load curve of one meter, or of all homes of a tenant together.

A home is a usage point with its meters, or an active device with readings of energy that no usage point links. Sums
are made by the store; only what it cannot add exactly (registers, MEASURED values, odd multipliers) is read one by one.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta

import msgspec

from ringmain.metering.collection import collect
from ringmain.metering.curve import Curve, curve_of, expected_homes, grid_of, spread
from ringmain.metering.documents import Documents
from ringmain.metering.homes import Home, Homes
from ringmain.metering.installation import Installation, Installations
from ringmain.metering.intervals import ENERGY_WH_MAX, READING_MAX
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceId, DeviceKey, TenantId
from ringmain.model.site import local
from ringmain.model.time import DAY_MS, SECOND_MS, Interval, utc
from ringmain.ports.clock import Clock
from ringmain.ports.directory import Directory
from ringmain.ports.load import Grid, Load, Share, Sums
from ringmain.ports.registry import Registry
from ringmain.ports.timeseries import TimeSeries

SLOTS_MAX = 110_000
"""Intervals of one curve: three years of quarters of an hour, some 2 MB of JSON."""

READINGS_MAX = 50_000_000
"""Homes times intervals of one curve: what the store adds up in some 15 s, in one of its two reader threads."""

COARSER_S = (300, 900, 1800, 3600)
"""Intervals taken instead, where those of the meters are too many for one curve and the caller named none."""

DAYS_DEFAULT = 365
"""Days of a curve whose caller names none: the last year that there is."""

FIRST_DAY, LAST_DAY = date(1970, 1, 2), date(2099, 12, 30)
"""Within them lies every stamp that is accepted, in any zone."""

SIZE = "day"
"""The windows whose revisions are told: late data that came into a day after it was closed."""


class Asked(msgspec.Struct, frozen=True):
    """Local days [from, to), either of them open: then what there is, at most a year of it. `channel` is that of
    devices which no usage point links; `interval_s` None takes what the installations or profiles say.
    """

    channel: str
    from_: date | None = None
    to: date | None = None
    interval_s: int | None = None


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

    async def _curve(
        self,
        tenant: TenantId,
        homes: Sequence[Home],
        extents: Mapping[tuple[DeviceKey, str], Interval],
        zone: str,
        asked: Asked,
    ) -> StreetLoad:
        extent = _together(extents.values())
        from_, to = _period(asked, extent, zone)
        interval_s = max((link.interval_s for home in homes for link in home.links), default=1800)
        exactly = asked.interval_s is not None
        grid = _grid(from_, to, zone, asked.interval_s or interval_s, len(homes), exactly=exactly)
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


def _together(extents: Iterable[Interval]) -> Interval | None:
    found = list(extents)
    return Interval(min(each.start for each in found), max(each.end for each in found)) if found else None


def _period(asked: Asked, extent: Interval | None, zone: str) -> tuple[date, date]:
    """The days asked for, open ends filled from what there is."""
    from_, to = asked.from_, asked.to
    if extent is not None:
        first, last = local(extent.start, zone).date(), local(extent.end - 1, zone).date()
        if to is None:
            to = last + timedelta(days=1)
        if from_ is None:
            from_ = max(first, to - timedelta(days=DAYS_DEFAULT)) if FIRST_DAY < to <= LAST_DAY else first
    assert from_ is not None
    assert to is not None
    if not FIRST_DAY <= from_ < to <= LAST_DAY:
        there = (
            f"; its readings lie in {utc(extent.start):%Y-%m-%d} to {utc(extent.end - 1):%Y-%m-%d}" if extent else ""
        )
        raise Refused(
            "unprocessable",
            f"there is no day from {from_} up to, not including, {to}{there}",
            f"`to` is the first day that is left out; ask for days from {FIRST_DAY} to {LAST_DAY}.",
        )
    return from_, to


def _grid(from_: date, to: date, zone: str, interval_s: int, homes: int, *, exactly: bool) -> Grid:
    """Slots of `interval_s`, or, unless it was asked for `exactly`, of the first of COARSER_S that are few enough."""
    if interval_s < 1 or DAY_MS % (interval_s * 1000):
        raise Refused(
            "unprocessable", f"intervals of {interval_s} s do not fill a day", "Say interval_s, such as 1800."
        )
    for length_s in (interval_s, *(() if exactly else (each for each in COARSER_S if each > interval_s))):
        slots = (to - from_).days * DAY_MS // (length_s * 1000)
        if slots <= SLOTS_MAX and slots * homes <= READINGS_MAX:
            return grid_of(from_, to, zone, length_s * 1000)
    raise Refused(
        "unprocessable",
        f"{slots} intervals of {length_s} s from {from_} to {to}, of {homes} homes, are too many for one curve",
        f"Ask for fewer days, a site or a greater interval_s: {SLOTS_MAX} intervals and {READINGS_MAX} of all homes"
        " together are the most.",
    )
