"""Load: the curve of a meter or of the whole street in columns, made for drawing. One request, whatever the number of
readings behind it.
"""

from datetime import date

import msgspec

from ringmain.apps.server.api.context import Context
from ringmain.apps.server.api.kit.declaration import Call, Route
from ringmain.apps.server.api.routes.analytics import LocalDate, PeakAnswer, Seconds
from ringmain.apps.server.api.words import ChannelName, Name, Timestamp
from ringmain.metering.asked import Asked
from ringmain.metering.curve import CurveDay, CurveSummary
from ringmain.metering.street import StreetLoad
from ringmain.model.ids import DeviceId
from ringmain.model.time import format_rfc3339

CHANNEL = "energy_wh"


class DeviceLoadQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Name
    channel: ChannelName = CHANNEL
    from_: LocalDate | None = msgspec.field(default=None, name="from")
    to: LocalDate | None = None
    interval_s: Seconds | None = None


class StreetLoadQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    site: Name | None = None
    channel: ChannelName = CHANNEL
    from_: LocalDate | None = msgspec.field(default=None, name="from")
    to: LocalDate | None = None
    interval_s: Seconds | None = None


class LoadDayAnswer(msgspec.Struct, frozen=True):
    """A local day: its energy, null where nothing was measured; intervals of all homes that were expected and that
    came; and how many homes' windows of the day late data revised, null where such windows are not kept.
    """

    date: date
    start: Timestamp
    end: Timestamp
    energy_wh: int | None
    expected: int
    present: int
    revised: int | None


class LoadFiguresAnswer(msgspec.Struct, frozen=True):
    """`intervals` hold a value, `complete` of them one of every home that was expected. Energy and peak are of all of
    them; mean, load factor and always-on load of the complete ones, or of all where none is complete.
    """

    energy_wh: int
    intervals: int
    complete: int
    mean_w: float
    peak: PeakAnswer
    load_factor: float | None
    always_on_w: float


class LoadCurveAnswer(msgspec.Struct, frozen=True):
    """Columns with one item for each slot of `interval_s` from `start` on: energy (null where no home has a value),
    homes that have one, homes that should. `readings_from` and `readings_to` say where readings lie, also outside.
    """

    zone: str
    from_: date = msgspec.field(name="from")
    to: date
    interval_s: int
    start: Timestamp
    homes: int
    readings_from: Timestamp | None
    readings_to: Timestamp | None
    refused: int
    energy_wh: list[int | None]
    present: list[int]
    expected: list[int]
    days: list[LoadDayAnswer]
    load: LoadFiguresAnswer | None


async def get_device_load(context: Context, call: Call[DeviceLoadQuery, None]) -> LoadCurveAnswer:
    """Expected is every interval of the span that has ended. Without dates: what there is, at most a year of it."""
    query = call.params
    asked = Asked(query.channel, query.from_, query.to, query.interval_s)
    return _answer(await context.street.device(call.caller.tenant, DeviceId(query.id), asked))


async def get_street_load(context: Context, call: Call[StreetLoadQuery, None]) -> LoadCurveAnswer:
    """The sum of all homes: usage points by their installations, and active devices that none of them links by
    `channel`, from their first reading on.
    """
    query = call.params
    asked = Asked(query.channel, query.from_, query.to, query.interval_s)
    return _answer(await context.street.street(call.caller.tenant, query.site, asked))


def _answer(found: StreetLoad) -> LoadCurveAnswer:
    curve, readings = found.curve, found.readings
    return LoadCurveAnswer(
        zone=found.zone,
        from_=found.from_,
        to=found.to,
        interval_s=found.interval_s,
        start=format_rfc3339(curve.grid.start),
        homes=found.homes,
        readings_from=None if readings is None else format_rfc3339(readings.start),
        readings_to=None if readings is None else format_rfc3339(readings.end - 1),
        refused=found.refused,
        energy_wh=list(curve.energy_wh),
        present=list(curve.present),
        expected=list(curve.expected),
        days=[_day(day) for day in curve.days],
        load=None if curve.summary is None else _figures(curve.summary),
    )


def _day(day: CurveDay) -> LoadDayAnswer:
    return LoadDayAnswer(
        day.date,
        format_rfc3339(day.start_ms),
        format_rfc3339(day.end_ms),
        day.energy_wh,
        day.expected,
        day.present,
        day.revised,
    )


def _figures(found: CurveSummary) -> LoadFiguresAnswer:
    return LoadFiguresAnswer(
        found.energy_wh,
        found.intervals,
        found.complete,
        found.mean_w,
        PeakAnswer(
            from_=format_rfc3339(found.peak.start_ms),
            to=format_rfc3339(found.peak.end_ms),
            energy_wh=found.peak.energy_wh,
            power_w=found.peak.power_w,
        ),
        found.load_factor,
        found.always_on_w,
    )


ROUTES = (
    Route(
        "GET",
        "/api/v1/devices/{id}/load",
        get_device_load,
        "Show the load curve of a meter",
        "Metering",
        LoadCurveAnswer,
        params=DeviceLoadQuery,
        problems=("not_found", "unprocessable"),
    ),
    Route(
        "GET",
        "/api/v1/street/load",
        get_street_load,
        "Show the load curve of all homes together",
        "Metering",
        LoadCurveAnswer,
        params=StreetLoadQuery,
        problems=("not_found", "unprocessable"),
    ),
)
