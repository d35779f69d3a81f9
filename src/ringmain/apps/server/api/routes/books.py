"""Books: what became of every record, what contradicted itself, and what nobody could decode."""

from base64 import b64encode
from collections.abc import Sequence

import msgspec

from ringmain.apps.server.api.context import Context, Intake
from ringmain.apps.server.api.kit.declaration import Call, Route
from ringmain.apps.server.api.kit.problems import Rejected
from ringmain.apps.server.api.paging import Page, page_of, read_cursor
from ringmain.apps.server.api.routes.devices import DeviceParams
from ringmain.apps.server.api.scope import devices_of
from ringmain.apps.server.api.words import LIMIT, Cursor, Limit, Name, Serial, Statistic, Timestamp
from ringmain.model.time import format_rfc3339
from ringmain.ports.credentials import Role
from ringmain.ports.outcomes import StoredDeadLetter, Tally


class BooksQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    device: Name | None = None
    limit: Limit = LIMIT
    cursor: Cursor | None = None


class LetterParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Serial


class TallyAnswer(msgspec.Struct, frozen=True):
    """How many records came, and how many came to each outcome. The books balance where `received` is
    `accounted`, the sum of all items.
    """

    received: int
    accounted: int
    items: list[Tally]


class ConflictAnswer(msgspec.Struct, frozen=True):
    """A reading that came again with another value: the stored one was kept."""

    id: int
    device: str
    channel: str
    at: Timestamp
    stored: Statistic
    received: Statistic
    received_at: Timestamp


class DeadLetterAnswer(msgspec.Struct, frozen=True):
    """A payload that could not be decoded, whole: in base64, and as text where it is UTF-8."""

    id: int
    device: str
    received_at: Timestamp
    door: str
    topic: str
    reason: str
    detail: str
    payload: str
    text: str | None


async def get_device_tally(context: Context, call: Call[DeviceParams, None]) -> TallyAnswer:
    devices = await devices_of(context, call.caller, call.params.id)
    return _tally(await context.outcomes.tally(list(devices)))


async def get_tally(context: Context, call: Call[msgspec.Struct, None]) -> TallyAnswer:
    """Over all devices of the tenant."""
    devices = await devices_of(context, call.caller, None)
    return _tally(await context.outcomes.tally(list(devices)))


async def list_conflicts(context: Context, call: Call[BooksQuery, None]) -> Page[ConflictAnswer]:
    """In the order in which they were found."""
    query = call.params
    devices = await devices_of(context, call.caller, query.device)
    after = read_cursor(query.cursor, int)
    rows = await context.outcomes.conflicts(list(devices), after=int(after[0]) if after else 0, limit=query.limit + 1)
    return page_of(
        rows,
        query.limit,
        lambda row: (row.id,),
        lambda row: ConflictAnswer(
            row.id,
            devices[row.device].id,
            row.channel,
            format_rfc3339(row.at_ms),
            row.stored,
            row.received,
            format_rfc3339(row.received_ms),
        ),
    )


async def list_dead_letters(context: Context, call: Call[BooksQuery, None]) -> Page[DeadLetterAnswer]:
    """In the order in which they came."""
    query = call.params
    devices = await devices_of(context, call.caller, query.device)
    after = read_cursor(query.cursor, int)
    rows = await context.outcomes.dead_letters(
        list(devices), after=int(after[0]) if after else 0, limit=query.limit + 1
    )
    return page_of(rows, query.limit, lambda row: (row.id,), lambda row: _letter(row, devices[row.device].id))


async def replay_dead_letter(context: Context, call: Call[LetterParams, None]) -> Intake:
    """Through the same door again, as when it came; the letter is kept. Readings that were stored meanwhile count as
    duplicates, so doing it twice does no harm.
    """
    assert context.replay is not None, "the route is only there with it"
    devices = await devices_of(context, call.caller, None)
    found = await context.outcomes.dead_letters(list(devices), after=call.params.id - 1, limit=1)
    if not found or found[0].id != call.params.id:
        raise Rejected(
            "not_found", f"There is no dead letter {call.params.id}.", "GET /api/v1/dead-letters lists those there are."
        )
    return await context.replay(found[0])


def _tally(rows: Sequence[Tally]) -> TallyAnswer:
    items = sorted((row for row in rows if row.outcome != "received"), key=lambda row: (row.outcome, row.reason))
    received = sum(row.count for row in rows if row.outcome == "received")
    return TallyAnswer(received, sum(row.count for row in items), items)


def _letter(row: StoredDeadLetter, device: str) -> DeadLetterAnswer:
    try:
        text = row.payload.decode("utf-8")
    except UnicodeDecodeError:
        text = None
    return DeadLetterAnswer(
        row.id,
        device,
        format_rfc3339(row.received_ms),
        row.door,
        row.topic,
        row.reason,
        row.detail,
        b64encode(row.payload).decode("ascii"),
        text,
    )


_TAG = "Books"
ROUTES = (
    Route(
        "GET",
        "/api/v1/devices/{id}/tally",
        get_device_tally,
        "Show what became of everything a device sent",
        _TAG,
        TallyAnswer,
        params=DeviceParams,
        problems=("not_found",),
    ),
    Route("GET", "/api/v1/tally", get_tally, "Show what became of everything", _TAG, TallyAnswer),
    Route(
        "GET",
        "/api/v1/conflicts",
        list_conflicts,
        "List conflicts",
        _TAG,
        Page[ConflictAnswer],
        params=BooksQuery,
        problems=("not_found", "unprocessable"),
    ),
    Route(
        "GET",
        "/api/v1/dead-letters",
        list_dead_letters,
        "List dead letters",
        _TAG,
        Page[DeadLetterAnswer],
        params=BooksQuery,
        problems=("not_found", "unprocessable"),
    ),
)
REPLAY = Route(
    "POST",
    "/api/v1/dead-letters/{id}/replay",
    replay_dead_letter,
    "Replay a dead letter",
    _TAG,
    Intake,
    Role.ADMIN,
    params=LetterParams,
    problems=("not_found", "undecodable_payload"),
)
