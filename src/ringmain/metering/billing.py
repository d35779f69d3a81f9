"""Billing: one account's bill for some local days, as bytes that anyone can compute again.

The bill holds what it was computed from (hashes of its documents and readings) and says what was missing; it holds no
clock, no number and no guess, so the same input gives the same bytes. What is issued is never changed.
"""

import asyncio
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal

import msgspec

from ringmain.metering.canonical import canonical, sha256_of
from ringmain.metering.collection import Collected, collect
from ringmain.metering.documents import Documents
from ringmain.metering.installation import Account, Installations
from ringmain.metering.rating import BillPeriod, Line, hash_intervals, rate
from ringmain.metering.tariffs import Tariff
from ringmain.model.errors import Refused
from ringmain.model.ids import TenantId
from ringmain.model.quantities import kilowatt_hours
from ringmain.model.time import Interval, format_rfc3339
from ringmain.ports.clock import Clock
from ringmain.ports.ledger import BillRecord, Ledger
from ringmain.ports.registry import Registry
from ringmain.ports.timeseries import TimeSeries

BILL_FORMAT = 1

SPANS_LISTED_MAX = 100
"""Gaps written out on a bill, first ones first; all are counted. A year of a sick radio link has thousands."""

_BILLS_PAGE = 100


class Span(msgspec.Struct, frozen=True):
    """[from, to) as RFC 3339."""

    from_: str = msgspec.field(name="from")
    to: str


class Coverage(msgspec.Struct, frozen=True):
    """What the bill rests on. Nothing is estimated: energy of missing intervals is not on this bill."""

    complete: bool
    expected: int
    present: int
    missing: int
    merged: int
    extra: int
    refused: int
    missing_spans: tuple[Span, ...]
    missing_spans_total: int
    uninstalled: tuple[Span, ...]


class Sources(msgspec.Struct, frozen=True):
    """SHA-256 of each document's canonical bytes, and of all intervals as `rating.Evidence` writes them."""

    account: str
    installation: str
    tariff: str
    readings: str


class Bill(msgspec.Struct, frozen=True):
    """A bill. `from` and `to` are local dates, `span` their instants; `total = net + vat`."""

    format: int
    account: str
    usage_point: str
    tariff: str
    currency: str
    zone: str
    from_: date = msgspec.field(name="from")
    to: date
    span: Span
    energy_kwh: Decimal
    intervals: int
    lines: tuple[Line, ...]
    net: Decimal
    vat: Decimal
    total: Decimal
    coverage: Coverage
    sources: Sources

    @property
    def body(self) -> bytes:
        """Its canonical bytes: what is issued, hashed and compared."""
        return canonical(self)


def make_bill(
    account: Account, installations: Installations, tariff: Tariff, period: BillPeriod, collected: Collected
) -> Bill:
    """The bill of what was collected. Pure."""
    lines = rate(tariff, collected.intervals, period, collected.queries)
    zero = Decimal(0) * tariff.cent
    vat = sum((line.amount for line in lines if line.kind == "vat"), zero)
    net = sum((line.amount for line in lines if line.kind != "vat"), zero)
    return Bill(
        format=BILL_FORMAT,
        account=account.id,
        usage_point=account.usage_point,
        tariff=tariff.id,
        currency=tariff.currency,
        zone=period.zone,
        from_=period.start,
        to=period.end,
        span=_span(period.span),
        energy_kwh=kilowatt_hours(sum(each.energy_wh for each in collected.intervals)),
        intervals=len(collected.intervals),
        lines=lines,
        net=net,
        vat=vat,
        total=net + vat,
        coverage=_coverage(collected),
        sources=Sources(
            account=sha256_of(canonical(account)),
            installation=sha256_of(canonical(installations)),
            tariff=sha256_of(canonical(tariff)),
            readings=hash_intervals(sorted(collected.intervals)),
        ),
    )


class Billing:
    """Bills of accounts. Readings are read in pages; a year of half hours takes two looks into the store."""

    def __init__(
        self, documents: Documents, ledger: Ledger, timeseries: TimeSeries, registry: Registry, clock: Clock
    ) -> None:
        self._documents = documents
        self._ledger = ledger
        self._timeseries = timeseries
        self._registry = registry
        self._clock = clock
        self._issuing = asyncio.Lock()

    async def preview(self, tenant: TenantId, account: str, start: date, end: date) -> Bill:
        """The bill as it would be issued now, for local days [start, end). Nothing is written."""
        payer = await self._documents.account(tenant, account)
        usage_point = await self._documents.usage_point(tenant, payer.usage_point)
        period = BillPeriod(start, end, await self._documents.zone(tenant, usage_point))
        period.check()
        tariff = await self._documents.tariff(tenant, payer.tariff)
        installations = await self._documents.installations(tenant, payer.usage_point)
        collected = await collect(self._timeseries, self._registry, tenant, installations, period.span)
        return make_bill(payer, installations, tariff, period, collected)

    async def issue(self, tenant: TenantId, account: str, start: date, end: date) -> BillRecord:
        """Issue the bill under the next number, or return the one that was issued with the same content.

        Refused where the period is not over, and where a bill with *other* content covers any of its days: nobody
        pays for a day twice. A missing interval is no reason to refuse: the bill says so in its coverage.
        """
        async with self._issuing:  # between looking for earlier bills and adding this one nobody else adds
            bill = await self.preview(tenant, account, start, end)
            span = BillPeriod(start, end, bill.zone).span
            now_ms = self._clock.now_ms()
            if span.end > now_ms:
                raise Refused(
                    "unprocessable",
                    f"the period ends at {bill.span.to}, which is not over; nothing was issued",
                    "Ask for a preview, or issue the bill when the period is over.",
                )
            body = bill.body
            sha256 = sha256_of(body)
            await self._refuse_twice(tenant, account, span, sha256)
            return await self._ledger.add_bill(tenant, account, (span.start, span.end), sha256, body, now_ms)

    async def _refuse_twice(self, tenant: TenantId, account: str, span: Interval, sha256: str) -> None:
        after = 0
        while page := await self._ledger.bills(tenant, account, after=after, limit=_BILLS_PAGE):
            for earlier in page:
                overlaps = earlier.period_start_ms < span.end and span.start < earlier.period_end_ms
                if overlaps and earlier.sha256 != sha256:
                    days = f"{format_rfc3339(earlier.period_start_ms)} to {format_rfc3339(earlier.period_end_ms)}"
                    raise Refused(
                        "already_exists",
                        f"bill {earlier.number} of {account} covers {days} with other content; it was kept",
                        "Compare it with a preview. Issue a bill only for days that no bill covers yet.",
                    )
            after = page[-1].number


def _coverage(collected: Collected) -> Coverage:
    found = collected.completeness
    return Coverage(
        complete=not (found.missing or found.merged or found.refused or collected.uninstalled),
        expected=found.expected,
        present=found.present,
        missing=found.missing,
        merged=found.merged,
        extra=found.extra,
        refused=found.refused,
        missing_spans=tuple(_spans(found.missing_spans[:SPANS_LISTED_MAX])),
        missing_spans_total=len(found.missing_spans),
        uninstalled=tuple(_spans(collected.uninstalled)),
    )


def _spans(spans: Sequence[Interval]) -> Iterator[Span]:
    return (_span(span) for span in spans)


def _span(span: Interval) -> Span:
    return Span(format_rfc3339(span.start), format_rfc3339(span.end))
