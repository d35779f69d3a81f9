"""Bills: looking at one before it is issued, issuing it, and reading what was issued, byte for byte."""

from datetime import date

import msgspec

from ringmain.apps.server.api.context import Context
from ringmain.apps.server.api.kit.declaration import Call, Reply, Route
from ringmain.apps.server.api.kit.problems import Rejected
from ringmain.apps.server.api.paging import Page, page_of, read_cursor
from ringmain.apps.server.api.words import LIMIT, Cursor, Limit, Name, Serial, Timestamp
from ringmain.metering.billing import Bill
from ringmain.model.ids import TenantId
from ringmain.model.time import format_rfc3339
from ringmain.ports.credentials import Role
from ringmain.ports.ledger import BillRecord

_PAGE = 500


class BillsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    account: Name | None = None
    limit: Limit = LIMIT
    cursor: Cursor | None = None


class BillParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    number: Serial


class AccountParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Name


class BillPeriodToBill(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Local dates of the usage point's site; `to` is the first day that is no longer billed."""

    from_: date = msgspec.field(name="from")
    to: date


class BillEntry(msgspec.Struct, frozen=True):
    """An issued bill as the list has it; `sha256` is that of its bytes."""

    number: int
    account: str
    from_: Timestamp = msgspec.field(name="from")
    to: Timestamp
    sha256: str
    created_at: Timestamp


def bill_entry(record: BillRecord) -> BillEntry:
    """A bill's entry as the API tells it."""
    return BillEntry(
        record.number,
        record.account,
        from_=format_rfc3339(record.period_start_ms),
        to=format_rfc3339(record.period_end_ms),
        sha256=record.sha256,
        created_at=format_rfc3339(record.created_ms),
    )


async def preview_bill(context: Context, call: Call[AccountParams, BillPeriodToBill]) -> Reply:
    """As it would be issued now. Nothing is written."""
    bill = await context.billing.preview(call.caller.tenant, call.params.id, call.body.from_, call.body.to)
    return Reply(bill.body)


async def issue_bill(context: Context, call: Call[AccountParams, BillPeriodToBill]) -> Reply:
    """201 with a number of its own, or 200 with the bill that was issued with the same content."""
    tenant = call.caller.tenant
    earlier = await _numbers(context, tenant, call.params.id)
    record = await context.billing.issue(tenant, call.params.id, call.body.from_, call.body.to)
    return Reply(
        bill_entry(record),
        status=200 if record.number in earlier else 201,
        headers={"location": f"/api/v1/bills/{record.number}"},
    )


async def list_bills(context: Context, call: Call[BillsQuery, None]) -> Page[BillEntry]:
    """In the order of their numbers."""
    query = call.params
    key = read_cursor(query.cursor, int)
    after = int(key[0]) if key else 0
    rows = await context.ledger.bills(call.caller.tenant, query.account, after=after, limit=query.limit + 1)
    return page_of(rows, query.limit, lambda record: (record.number,), bill_entry)


async def get_bill(context: Context, call: Call[BillParams, None]) -> Reply:
    """The bytes that were issued; `X-Bill-Sha256` is their hash."""
    record = await context.ledger.bill(call.caller.tenant, call.params.number)
    if record is None:
        raise Rejected(
            "not_found", f"There is no bill {call.params.number}.", "GET /api/v1/bills lists those there are."
        )
    return Reply(record.body, headers={"x-bill-sha256": record.sha256})


async def _numbers(context: Context, tenant: TenantId, account: str) -> set[int]:
    numbers: set[int] = set()
    while page := await context.ledger.bills(tenant, account, after=max(numbers, default=0), limit=_PAGE):
        numbers.update(record.number for record in page)
    return numbers


_TAG = "Metering"
_REFUSALS = ("not_found", "unprocessable", "already_exists")
_EXAMPLE = {"from": "2013-01-01", "to": "2014-01-01"}
ROUTES = (
    Route(
        "POST",
        "/api/v1/accounts/{id}/bills/preview",
        preview_bill,
        "Preview a bill",
        _TAG,
        Bill,
        Role.VIEWER,
        AccountParams,
        BillPeriodToBill,
        (200,),
        _REFUSALS,
        body_example=_EXAMPLE,
    ),
    Route(
        "POST",
        "/api/v1/accounts/{id}/bills",
        issue_bill,
        "Issue a bill",
        _TAG,
        BillEntry,
        Role.ADMIN,
        AccountParams,
        BillPeriodToBill,
        (201, 200),
        _REFUSALS,
        body_example=_EXAMPLE,
    ),
    Route(
        "GET",
        "/api/v1/bills",
        list_bills,
        "List issued bills",
        _TAG,
        Page[BillEntry],
        params=BillsQuery,
        problems=("unprocessable",),
    ),
    Route(
        "GET",
        "/api/v1/bills/{number}",
        get_bill,
        "Show an issued bill",
        _TAG,
        Bill,
        params=BillParams,
        problems=("not_found",),
    ),
)
