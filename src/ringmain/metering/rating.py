"""Rating: from intervals and a tariff to the lines of a bill. Pure: the same input is the same output, byte for byte.

An interval belongs to the time-of-use period in which it starts, in local time. Each line is quantity times price,
exact, rounded once, halves up, to the currency's smallest unit; totals are sums of rounded lines, so what the reader
adds up is what stands there. A line names the readings it rests on. Rating uses intervals, never aggregation windows.
"""

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from decimal import Decimal, localcontext
from typing import Literal

import msgspec

from ringmain.metering.intervals import EnergyInterval, starting_in
from ringmain.metering.tariffs import WEEK_MINUTES, Tariff, TariffPeriod, TariffVersion, week_of
from ringmain.model.errors import Refused
from ringmain.model.quantities import kilowatt_hours, round_half_up
from ringmain.model.site import local, start_of_day
from ringmain.model.time import MINUTE_MS, Interval, format_rfc3339

PERIOD_DAYS_MAX = 731
"""Two years: the longest back-billing we would sign. Bounds the readings of one bill."""

_QUARTER_MS = 15 * MINUTE_MS
_EPOCH_WEEK_MINUTE = 3 * 1440  # 1970-01-01 was a Thursday


class BillPeriod(msgspec.Struct, frozen=True):
    """Local days from `start` up to, not including, `end`."""

    start: date
    end: date
    zone: str

    @property
    def days(self) -> int:
        return (self.end - self.start).days

    @property
    def span(self) -> Interval:
        """Its instants: from local midnight to local midnight."""
        return Interval(start_of_day(self.start, self.zone), start_of_day(self.end, self.zone))

    def check(self) -> None:
        """`Refused("unprocessable")` where it is empty or too long."""
        if not 0 < self.days <= PERIOD_DAYS_MAX:
            raise Refused(
                "unprocessable",
                f"a bill from {self.start} to {self.end} would have {self.days} days",
                f"`to` is the first day that is no longer billed; ask for 1 to {PERIOD_DAYS_MAX} days.",
            )


class ReadingsQuery(msgspec.Struct, frozen=True):
    """How to fetch readings again: of this channel, [from, to)."""

    device: str
    channel: str
    from_: str = msgspec.field(name="from")
    to: str


class Evidence(msgspec.Struct, frozen=True):
    """The intervals a line rests on. `sha256` is over one ASCII line `start_ms,energy_wh` (LF) for each of them, in
    order of time; `queries` fetch the readings, of which those starting in the line's time-of-use period count.
    """

    count: int
    sha256: str
    first: str | None
    last: str | None
    queries: tuple[ReadingsQuery, ...]


class Line(msgspec.Struct, frozen=True):
    """`quantity` of `unit` times `price` is `amount`. `band` is the time-of-use period of an energy line."""

    kind: Literal["energy", "standing", "vat"]
    description: str
    from_: date = msgspec.field(name="from")
    to: date
    quantity: Decimal
    unit: str
    price: Decimal
    amount: Decimal
    band: str | None = None
    evidence: Evidence | None = None


def rate(
    tariff: Tariff, intervals: Iterable[EnergyInterval], period: BillPeriod, queries: Sequence[ReadingsQuery] = ()
) -> tuple[Line, ...]:
    """All lines of a period: energy and standing charge for each version of the tariff that holds in it, then value
    added tax for each of its rates. `Refused("unprocessable")` where the tariff begins after the period.
    """
    period.check()
    ordered = sorted(starting_in(intervals, period.span))
    lines: list[Line] = []
    net_by_vat: dict[Decimal, Decimal] = {}
    for version, part in _parts(tariff, period):
        charged = [*_energy_lines(tariff, version, ordered, part, queries), *_standing_lines(tariff, version, part)]
        net = sum((line.amount for line in charged), Decimal(0))
        net_by_vat[version.vat_percent] = net_by_vat.get(version.vat_percent, Decimal(0)) + net
        lines.extend(charged)
    lines.extend(_vat_lines(tariff, net_by_vat, period))
    return tuple(lines)


def hash_intervals(intervals: Iterable[EnergyInterval]) -> str:
    """SHA-256 over a line `start_ms,energy_wh` of each, as `Evidence` describes."""
    text = "".join(f"{each.start_ms},{each.energy_wh}\n" for each in intervals)
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _parts(tariff: Tariff, period: BillPeriod) -> Iterator[tuple[TariffVersion, BillPeriod]]:
    """The period, cut where a version of the tariff begins."""
    if tariff.version_on(period.start) is None:
        raise Refused(
            "unprocessable",
            f"tariff {tariff.id} begins on {tariff.versions[0].valid_from}, the period on {period.start}",
            "Bill from the day the tariff begins, or add the version that held before it.",
        )
    cuts = [each.valid_from for each in tariff.versions if period.start < each.valid_from < period.end]
    for start, end in zip([period.start, *cuts], [*cuts, period.end], strict=True):
        version = tariff.version_on(start)
        if version is not None:
            yield version, BillPeriod(start, end, period.zone)


def _energy_lines(
    tariff: Tariff,
    version: TariffVersion,
    ordered: Sequence[EnergyInterval],
    part: BillPeriod,
    queries: Sequence[ReadingsQuery],
) -> Iterator[Line]:
    """One line for each name of a band, in the tariff's order; also where no energy falls into it."""
    bands: dict[str, TariffPeriod] = {}
    for band in version.bands():
        bands.setdefault(band.name, band)
    split = _split(version.bands(), starting_in(ordered, part.span), part.zone)
    for name, band in bands.items():
        resting = split[name]
        quantity = kilowatt_hours(sum(each.energy_wh for each in resting))
        yield Line(
            kind="energy",
            description=f"{tariff.name}: {name}",
            from_=part.start,
            to=part.end,
            quantity=quantity,
            unit="kWh",
            price=band.price,
            amount=_amount(quantity, band.price, tariff.cent),
            band=name,
            evidence=_evidence(resting, queries),
        )


def _split(
    bands: tuple[TariffPeriod, ...], intervals: Iterable[EnergyInterval], zone: str
) -> dict[str, list[EnergyInterval]]:
    """Intervals by the name of the band in which they start, in local time."""
    split: dict[str, list[EnergyInterval]] = {band.name: [] for band in bands}
    week = [bands[index].name for index in week_of(bands) if index is not None]
    offset_minutes: dict[int, int] = {}
    for each in intervals:
        quarter = each.start_ms // _QUARTER_MS  # civil time changes at quarters of an hour only
        offset = offset_minutes.get(quarter)
        if offset is None:
            offset = offset_minutes[quarter] = _offset_minutes(quarter * _QUARTER_MS, zone)
        minute = each.start_ms // MINUTE_MS + offset + _EPOCH_WEEK_MINUTE
        split[week[minute % WEEK_MINUTES]].append(each)
    return split


def _offset_minutes(at_ms: int, zone: str) -> int:
    offset = local(at_ms, zone).utcoffset() or timedelta()
    return offset // timedelta(minutes=1)


def _standing_lines(tariff: Tariff, version: TariffVersion, part: BillPeriod) -> Iterator[Line]:
    if version.standing_charge_per_day:
        yield Line(
            kind="standing",
            description="Standing charge",
            from_=part.start,
            to=part.end,
            quantity=Decimal(part.days),
            unit="day",
            price=version.standing_charge_per_day,
            amount=_amount(Decimal(part.days), version.standing_charge_per_day, tariff.cent),
        )


def _vat_lines(tariff: Tariff, net_by_vat: dict[Decimal, Decimal], period: BillPeriod) -> Iterator[Line]:
    for percent, net in net_by_vat.items():
        if percent:
            price = percent.scaleb(-2)
            yield Line(
                kind="vat",
                description=f"VAT {percent:f} %",
                from_=period.start,
                to=period.end,
                quantity=net,
                unit=tariff.currency,
                price=price,
                amount=_amount(net, price, tariff.cent),
            )


def _amount(quantity: Decimal, price: Decimal, cent: Decimal) -> Decimal:
    with localcontext(prec=60):  # exact: energy has at most 19 digits, a price 17
        return round_half_up(quantity * price, cent)


def _evidence(intervals: Sequence[EnergyInterval], queries: Sequence[ReadingsQuery]) -> Evidence:
    return Evidence(
        count=len(intervals),
        sha256=hash_intervals(intervals),
        first=format_rfc3339(intervals[0].start_ms) if intervals else None,
        last=format_rfc3339(intervals[-1].start_ms) if intervals else None,
        queries=tuple(queries),
    )
