"""Collection: the intervals of a usage point over a span of time, read from the time-series store in pages.

It follows the installation: each link's channel for the time the meter was there, so a meter exchange in the middle
of a period needs no special case. The store is asked for one page at a time; what is kept of a reading is its stamp
and value.
"""

from collections.abc import Sequence

import msgspec

from ringmain.metering.installation import Installation, Installations
from ringmain.metering.intervals import (
    Completeness,
    Decoded,
    EnergyInterval,
    completeness,
    of_interval_channel,
    of_register_channel,
)
from ringmain.metering.rating import ReadingsQuery
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceId, DeviceKey, TenantId
from ringmain.model.time import INSTANT_MAX, Instant, Interval, format_rfc3339
from ringmain.ports.registry import Registry
from ringmain.ports.timeseries import TimeSeries

PAGE_READINGS = 10_000
"""Readings of one look into the store: half a year of half hours in some 20 ms."""


class Collected(msgspec.Struct, frozen=True):
    """Intervals that start in the span, in order of time; how complete they are; how to fetch their readings; and
    the time in which no meter was linked, in which nothing could be expected.
    """

    intervals: tuple[EnergyInterval, ...]
    completeness: Completeness
    queries: tuple[ReadingsQuery, ...]
    uninstalled: tuple[Interval, ...]


async def collect(
    timeseries: TimeSeries, registry: Registry, tenant: TenantId, installations: Installations, span: Interval
) -> Collected:
    """The intervals of a usage point that start in `span`."""
    intervals: list[EnergyInterval] = []
    covers: list[Completeness] = []
    queries: list[ReadingsQuery] = []
    uninstalled: list[Interval] = []
    at = span.start
    for link in installations.links:
        part = _meet(link.span, span)
        if part is None:
            continue
        if at < part.start:
            uninstalled.append(Interval(at, part.start))
        at = part.end
        device = await registry.device(tenant, DeviceId(link.device))
        if device is None:
            raise Refused("unprocessable", f"meter {link.device} is not registered", "Register it, or end its link.")
        decoded = await _decode(timeseries, device.key, link, part)
        intervals.extend(decoded.intervals)
        covers.append(completeness(decoded.intervals, part, link.interval_ms, decoded.refused))
        queries.append(ReadingsQuery(link.device, link.channel, format_rfc3339(part.start), format_rfc3339(part.end)))
    if at < span.end:
        uninstalled.append(Interval(at, span.end))
    return Collected(tuple(intervals), _total(covers), tuple(queries), tuple(uninstalled))


async def _decode(timeseries: TimeSeries, device: DeviceKey, link: Installation, part: Interval) -> Decoded:
    """The intervals of one link that start in `part`. The last step of a register ends at the first count at or
    behind the end of the part: it is read too, as long as the meter was still linked when it was taken.
    """
    readings = await _read(timeseries, device, link.channel, part)
    if link.reading == "interval":
        return of_interval_channel(readings, link.interval_ms, link.unit, link.multiplier)
    behind = Interval(part.end, Instant(max(part.end, min(link.span.end + 1, INSTANT_MAX))))
    closing = await timeseries.readings(device, link.channel, behind, after=None, limit=1)
    readings.extend((each.at_ms, each.value) for each in closing)
    return of_register_channel(readings, link.unit, link.multiplier, link.modulus)


async def _read(
    timeseries: TimeSeries, device: DeviceKey, channel: str, span: Interval
) -> list[tuple[int, int | float]]:
    readings: list[tuple[int, int | float]] = []
    after: tuple[int, str] | None = None
    while True:
        page = await timeseries.readings(device, channel, span, after=after, limit=PAGE_READINGS)
        readings.extend((each.at_ms, each.value) for each in page)
        if len(page) < PAGE_READINGS:
            return readings
        after = page[-1].at_ms, page[-1].channel


def _meet(one: Interval, other: Interval) -> Interval | None:
    start, end = max(one.start, other.start), min(one.end, other.end)
    return Interval(start, end) if start < end else None


def _total(covers: Sequence[Completeness]) -> Completeness:
    return Completeness(
        expected=sum(each.expected for each in covers),
        present=sum(each.present for each in covers),
        missing=sum(each.missing for each in covers),
        merged=sum(each.merged for each in covers),
        extra=sum(each.extra for each in covers),
        refused=sum(each.refused for each in covers),
        missing_spans=tuple(span for each in covers for span in each.missing_spans),
    )
