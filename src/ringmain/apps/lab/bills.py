"""The verdict on a bill: its bytes as served, beside the judge's own reading of the source and its own arithmetic.

Pure. It must never trust a total: every product and every sum on the bill is computed again.
"""

import hashlib
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated

import msgspec

from ringmain.apps.lab.arithmetic import CURRENCY, Expected
from ringmain.apps.lab.source import Source, Year

CENT = Decimal("0.01")

_Moment = Annotated[datetime, msgspec.Meta(tz=True)]


class Span(msgspec.Struct, frozen=True):
    """[from, to)."""

    from_: _Moment = msgspec.field(name="from")
    to: _Moment


class Evidence(msgspec.Struct, frozen=True):
    """How many readings a line rests on."""

    count: int


class ServedLine(msgspec.Struct, frozen=True):
    """One line of a bill."""

    kind: str
    quantity: Decimal
    price: Decimal
    amount: Decimal
    evidence: Evidence | None = None


class Coverage(msgspec.Struct, frozen=True):
    """What the bill says of its own completeness."""

    complete: bool
    expected: int
    present: int
    missing: int


class Sources(msgspec.Struct, frozen=True):
    """SHA-256 of the readings that the bill rests on."""

    readings: str


class ServedBill(msgspec.Struct, frozen=True):
    """A bill as the API serves it, as far as it is checked."""

    currency: str
    zone: str
    span: Span
    energy_kwh: Decimal
    intervals: int
    lines: tuple[ServedLine, ...]
    net: Decimal
    vat: Decimal
    total: Decimal
    coverage: Coverage
    sources: Sources


class Truth(msgspec.Struct, frozen=True):
    """What a bill is held against."""

    source: Source
    year: Year
    zone: str


def bill_complaints(bill: ServedBill, expected: Expected, truth: Truth) -> list[str]:
    """One line for each thing on the bill that the source does not bear out."""
    source, year = truth.source, truth.year
    stamps = len(source.values)
    amounts = tuple(line.amount for line in bill.lines)
    facts: list[tuple[str, object, object]] = [
        ("currency", bill.currency, CURRENCY),
        ("zone", bill.zone, truth.zone),
        ("period", (_milliseconds(bill.span.from_), _milliseconds(bill.span.to)), (year.start_ms, year.end_ms)),
        ("energy in kWh", bill.energy_kwh, Decimal(source.energy_wh) / 1000),
        ("intervals", bill.intervals, stamps),
        ("amounts of the lines", _texts(amounts), _texts(expected.lines)),
        ("total", str(bill.total), str(expected.amount)),
        ("net plus VAT", bill.net + bill.vat, bill.total),
        ("sum of its lines", sum(amounts, Decimal(0)), bill.total),
        ("energy of its lines", sum((line.quantity for line in bill.lines), Decimal(0)), bill.energy_kwh),
        ("readings of its lines", sum(line.evidence.count for line in bill.lines if line.evidence), stamps),
        ("hash of its readings", bill.sources.readings, readings_sha256(source.values)),
        ("complete", bill.coverage.complete, stamps == year.intervals),
        ("expected intervals", bill.coverage.expected, year.intervals),
        ("present intervals", bill.coverage.present, stamps),
        ("missing intervals", bill.coverage.missing, year.intervals - stamps),
    ]
    lines = [f"{name}: the bill says {said}, the source {true}" for name, said, true in facts if said != true]
    for number, line in enumerate(bill.lines, start=1):
        product = (line.quantity * line.price).quantize(CENT, rounding=ROUND_HALF_UP)
        if line.kind != "energy" or line.amount != product:
            lines.append(f"line {number}: {line.kind} {line.quantity} x {line.price} is {product}, not {line.amount}")
    return lines


def readings_sha256(values: Mapping[int, int]) -> str:
    """SHA-256 over one ASCII line `start_ms,energy_wh` for each stamp in order of time, as a bill promises it."""
    text = "".join(f"{at_ms},{values[at_ms]}\n" for at_ms in sorted(values))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _texts(amounts: tuple[Decimal, ...]) -> tuple[str, ...]:
    """As they stand there: 30.1 is not 30.10 on a bill."""
    return tuple(str(amount) for amount in amounts)


def _milliseconds(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp() * 1000)
