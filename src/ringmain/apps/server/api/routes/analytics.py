"""Analytics: the load of one meter's channel over some local days."""

from datetime import date
from typing import Annotated

import msgspec

from ringmain.apps.server.api.context import Context
from ringmain.apps.server.api.kit.declaration import Call, Route
from ringmain.apps.server.api.words import ChannelName, Name, Timestamp
from ringmain.metering.intervals import Completeness
from ringmain.metering.profiles import LoadSummary, ProfilePoint
from ringmain.model.ids import DeviceId
from ringmain.model.time import format_rfc3339

SPANS_MAX = 1_000
"""Missing spans told in one answer; all are counted. A sick radio link has thousands in a year."""

Seconds = Annotated[
    int, msgspec.Meta(ge=1, le=86_400, description="Length of an interval; the device's profile says it otherwise.")
]
LocalDate = Annotated[date, msgspec.Meta(description="A local date of the device's site.")]


class AnalyticsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Name
    channel: ChannelName
    from_: LocalDate = msgspec.field(name="from")
    to: LocalDate
    interval_s: Seconds | None = None


class MissingSpan(msgspec.Struct, frozen=True):
    from_: Timestamp = msgspec.field(name="from")
    to: Timestamp


class CompletenessAnswer(msgspec.Struct, frozen=True):
    """How much of the period is covered: `expected = present + missing`, in intervals. `merged` came in one sum with
    a neighbour, `extra` is beyond the first of an interval, `refused` could not be energy.
    """

    expected: int
    present: int
    missing: int
    merged: int
    extra: int
    refused: int
    missing_spans: list[MissingSpan]
    missing_spans_total: int


class PeakAnswer(msgspec.Struct, frozen=True):
    """The interval of the highest mean power, the first one where there are several."""

    from_: Timestamp = msgspec.field(name="from")
    to: Timestamp
    energy_wh: int
    power_w: float


class LoadAnswer(msgspec.Struct, frozen=True):
    """`load_factor` is mean power over peak power, null where nothing was ever used; `always_on_w` is exceeded 95 %
    of the time.
    """

    intervals: int
    energy_wh: int
    mean_w: float
    peak: PeakAnswer
    load_factor: float | None
    always_on_w: float


class AnalyticsAnswer(msgspec.Struct, frozen=True):
    """Local days [from, to) of one channel; `load` is null where it has no interval there. `profile` has a point for
    each kind of day and local time.
    """

    device: str
    channel: str
    zone: str
    from_: date = msgspec.field(name="from")
    to: date
    interval_s: int
    completeness: CompletenessAnswer
    load: LoadAnswer | None
    profile: list[ProfilePoint]


async def get_analytics(context: Context, call: Call[AnalyticsQuery, None]) -> AnalyticsAnswer:
    """For a channel on which each reading is the energy of the interval that starts at its stamp."""
    query = call.params
    report = await context.analytics.load(
        call.caller.tenant, DeviceId(query.id), query.channel, query.from_, query.to, interval_s=query.interval_s
    )
    return AnalyticsAnswer(
        report.device,
        report.channel,
        report.zone,
        from_=report.from_,
        to=report.to,
        interval_s=report.interval_s,
        completeness=_completeness(report.completeness),
        load=None if report.summary is None else _load(report.summary),
        profile=list(report.profile),
    )


def _completeness(found: Completeness) -> CompletenessAnswer:
    return CompletenessAnswer(
        found.expected,
        found.present,
        found.missing,
        found.merged,
        found.extra,
        found.refused,
        [
            MissingSpan(from_=format_rfc3339(span.start), to=format_rfc3339(span.end))
            for span in found.missing_spans[:SPANS_MAX]
        ],
        len(found.missing_spans),
    )


def _load(found: LoadSummary) -> LoadAnswer:
    peak = found.peak
    return LoadAnswer(
        found.intervals,
        found.energy_wh,
        found.mean_w,
        PeakAnswer(
            from_=format_rfc3339(peak.start_ms),
            to=format_rfc3339(peak.end_ms),
            energy_wh=peak.energy_wh,
            power_w=peak.power_w,
        ),
        found.load_factor,
        found.always_on_w,
    )


ROUTES = (
    Route(
        "GET",
        "/api/v1/devices/{id}/analytics",
        get_analytics,
        "Show the load of a meter",
        "Metering",
        AnalyticsAnswer,
        params=AnalyticsQuery,
        problems=("not_found", "unprocessable"),
    ),
)
