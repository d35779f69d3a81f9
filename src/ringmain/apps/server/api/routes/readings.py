"""Readings: what devices said, as single values, the newest of each channel, and statistics of windows."""

from collections.abc import Sequence
from itertools import islice
from typing import Annotated, Literal

import msgspec

from ringmain.apps.server.api.context import Context
from ringmain.apps.server.api.kit.declaration import Call, Route
from ringmain.apps.server.api.kit.problems import Rejected
from ringmain.apps.server.api.paging import Page, long_page_of, page_of, read_cursor
from ringmain.apps.server.api.routes.devices import DeviceParams
from ringmain.apps.server.api.scope import device_of, zone_of_site
from ringmain.apps.server.api.words import ChannelName, Cursor, Moment, Name, Statistic, Timestamp, span_of
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceKey
from ringmain.model.time import Instant, Interval, format_rfc3339
from ringmain.ports.timeseries import Aggregate, Reading
from ringmain.ports.windows import WindowRevision
from ringmain.services.aggregation.windows import WindowState, parse_size, state_of, windows_between

PAGE_MAX = 10_000
"""Rows of one page: 1 MB of JSON, made in turns of some 3 ms. A year of half hours is two pages."""

SPANS_MAX = 2_000
"""Windows computed in one query of the store, so that ingestion never waits long behind a curious reader."""

RowLimit = Annotated[int, msgspec.Meta(ge=1, le=PAGE_MAX, description=f"Items of one page, at most {PAGE_MAX}.")]
SizeName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(15m|30m|45m|1h|2h|3h|4h|6h|8h|12h|24h|day|week|month)$(?!\n)",
        description="Days, weeks (from Monday) and months are those of the device's site.",
    ),
]


class ReadingsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Name
    channel: ChannelName | None = None
    from_: Moment | None = msgspec.field(default=None, name="from")
    to: Moment | None = None
    limit: RowLimit = 1000
    cursor: Cursor | None = None


class WindowsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Name
    channel: ChannelName
    size: SizeName
    from_: Moment = msgspec.field(name="from")
    to: Moment
    revisions: Literal["latest", "all"] = "latest"
    limit: RowLimit = 1000
    cursor: Cursor | None = None


class ReadingAnswer(msgspec.Struct, frozen=True):
    """One value. `stamped_on_arrival` where the payload had no time of its own."""

    channel: str
    at: Timestamp
    value: Statistic
    stamped_on_arrival: bool


class WindowAnswer(msgspec.Struct, frozen=True):
    """Statistics of one window that holds readings. `revision` and `settled_at` are null where it was computed for
    this answer: it is open, or of a size that is not maintained.
    """

    start: Timestamp
    end: Timestamp
    state: WindowState
    revision: int | None
    count: int
    sum: Statistic
    min: Statistic
    max: Statistic
    mean: Statistic
    median: Statistic
    settled_at: Timestamp | None


def reading_answer(reading: Reading) -> ReadingAnswer:
    """A reading as the API tells it."""
    return ReadingAnswer(reading.channel, format_rfc3339(reading.at_ms), reading.value, reading.stamped_on_arrival)


def span_or_refuse(start: Moment | None, end: Moment | None) -> Interval:
    """The span of a query; 422 where it ends before it starts."""
    try:
        return span_of(start, end)
    except ValueError as error:
        raise Rejected(
            "unprocessable", f"{error}.", "The span is [from, to): exchange them.", parameter="to"
        ) from error


async def get_latest(context: Context, call: Call[DeviceParams, None]) -> Page[ReadingAnswer]:
    """By the device's time, not by arrival."""
    device = await device_of(context, call.caller, call.params.id)
    rows = await context.timeseries.latest(device.key)
    return Page([reading_answer(row) for row in sorted(rows, key=lambda row: row.channel)], None)


async def list_readings(context: Context, call: Call[ReadingsQuery, None]) -> Page[ReadingAnswer]:
    """In the order of their time, then of their channel."""
    query = call.params
    device = await device_of(context, call.caller, query.id)
    key = read_cursor(query.cursor, int, str)
    rows = await context.timeseries.readings(
        device.key,
        query.channel,
        span_or_refuse(query.from_, query.to),
        after=(int(key[0]), str(key[1])) if key else None,
        limit=query.limit + 1,
    )
    return await long_page_of(rows, query.limit, lambda row: (row.at_ms, row.channel), reading_answer)


async def list_windows(context: Context, call: Call[WindowsQuery, None]) -> Page[WindowAnswer]:
    """Windows that start in [from, to) and hold readings, in the order of their start. With `revisions=all` every
    revision that late data made of them.
    """
    query = call.params
    device = await device_of(context, call.caller, query.id)
    key = read_cursor(query.cursor, int, int)
    asked = span_or_refuse(query.from_, query.to)
    after = (int(key[0]), int(key[1])) if key else (-1, 0)
    span = Interval(Instant(max(asked.start, min(after[0], asked.end))), asked.end)
    zone = await zone_of_site(context, device.tenant, device.site)
    try:
        spans = windows_between(parse_size(query.size), span, zone)
    except Refused as error:
        raise Rejected("unprocessable", error.detail, error.hint, parameter="to") from error
    maintained = query.size in context.maintained_sizes
    rows: list[tuple[tuple[int, int], WindowAnswer]] = []
    look = query.limit + 1
    while len(rows) <= query.limit and (part := list(islice(spans, min(look, SPANS_MAX)))):
        look *= 2  # windows without readings are no rows: look further ahead the emptier it is
        found = await _rows(context, device.key, query, part, maintained=maintained)
        rows += [row for row in found if row[0] > after]
    return page_of(rows, query.limit, lambda row: row[0], lambda row: row[1])


async def _rows(
    context: Context, device: DeviceKey, query: WindowsQuery, part: Sequence[Interval], *, maintained: bool
) -> list[tuple[tuple[int, int], WindowAnswer]]:
    """Settled and open windows of some neighbouring spans, by (start, revision)."""
    settled: Sequence[WindowRevision] = ()
    if maintained:
        reach = Interval(part[0].start, part[-1].end)
        settled = await context.windows.revisions(
            device, query.channel, query.size, reach, all_revisions=query.revisions == "all"
        )
    known = {revision.key.start_ms for revision in settled}
    missing = [span for span in part if span.start not in known]
    computed = await context.timeseries.aggregate(device, query.channel, missing) if missing else ()
    rows = [((found.key.start_ms, found.revision), _settled(found)) for found in settled]
    rows += [((found.start_ms, 0), _open(found)) for found in computed]
    return sorted(rows, key=lambda row: row[0])


def _settled(found: WindowRevision) -> WindowAnswer:
    return _window(found.aggregate, state_of(found.revision), found.revision, format_rfc3339(found.closed_ms))


def _open(found: Aggregate) -> WindowAnswer:
    return _window(found, WindowState.OPEN, None, None)


def _window(found: Aggregate, state: WindowState, revision: int | None, settled_at: str | None) -> WindowAnswer:
    return WindowAnswer(
        format_rfc3339(found.start_ms),
        format_rfc3339(found.end_ms),
        state,
        revision,
        found.count,
        found.sum,
        found.min,
        found.max,
        found.mean,
        found.median,
        settled_at,
    )


_TAG = "Readings"
ROUTES = (
    Route(
        "GET",
        "/api/v1/devices/{id}/latest",
        get_latest,
        "Show the newest reading of each channel",
        _TAG,
        Page[ReadingAnswer],
        params=DeviceParams,
        problems=("not_found",),
    ),
    Route(
        "GET",
        "/api/v1/devices/{id}/readings",
        list_readings,
        "List readings",
        _TAG,
        Page[ReadingAnswer],
        params=ReadingsQuery,
        problems=("not_found", "unprocessable"),
    ),
    Route(
        "GET",
        "/api/v1/devices/{id}/windows",
        list_windows,
        "List windows with their statistics",
        _TAG,
        Page[WindowAnswer],
        params=WindowsQuery,
        problems=("not_found", "unprocessable"),
    ),
)
