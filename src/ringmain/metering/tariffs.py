"""Tariffs: what a kilowatt-hour costs, when; the standing charge; value added tax.

A tariff has dated versions. A version has one flat `price`, or `periods` that split the week in local time; one of
them is the default, which holds whenever no other does. Every minute of the week belongs to exactly one period.
Prices are in the currency's major unit and are decimals as written: never floats.
"""

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

import msgspec

from ringmain.metering.canonical import Fault
from ringmain.model.ids import is_name

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

DAY_MINUTES = 1_440
WEEK_MINUTES = 7 * DAY_MINUTES

PERIODS_MAX = 336
"""A price of its own for each half hour of the week; wholesale contracts go no finer."""
VERSIONS_MAX = 120
"""Ten years of monthly changes. Older ones go to a tariff of another id."""
PRICE_MAX = Decimal(1_000_000)
"""Per kWh or day, in any currency; above it somebody forgot the decimal point."""
PRICE_PLACES_MAX = 10
"""Published tariffs go to 8 decimal places (US riders in $/kWh). With it every product is exact."""
VAT_PERCENT_MAX = Decimal(100)

# ISO 4217: minor units of currencies that have not two.
_MINOR_UNITS = {
    **dict.fromkeys(("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG"), 0),
    **dict.fromkeys(("RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"), 0),
    **dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3),
}

_CURRENCY = re.compile(r"[A-Z]{3}\Z")
_CLOCK = re.compile(r"(?:([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00))\Z")

Title = Annotated[str, msgspec.Meta(min_length=1, max_length=120)]


class TariffPeriod(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One price. Without `from` and `to` it is the default. `to` is the first minute that no longer belongs to it;
    where it is not after `from`, the period runs over midnight and belongs to the weekday on which it began.
    Periods of one name and price are one line of the bill.
    """

    name: Title
    price: Decimal
    from_: str | None = msgspec.field(default=None, name="from")
    to: str | None = None
    weekdays: tuple[Weekday, ...] = WEEKDAYS

    @property
    def is_default(self) -> bool:
        return self.from_ is None and self.to is None

    def minutes(self) -> Iterator[int]:
        """The minutes of the week (Monday 00:00 is 0) that it claims; of a sound, non-default period."""
        start, end = clock_minutes(self.from_ or ""), clock_minutes(self.to or "")
        length = end - start if end > start else end + DAY_MINUTES - start
        for weekday in self.weekdays:
            first = WEEKDAYS.index(weekday) * DAY_MINUTES + start
            yield from (minute % WEEK_MINUTES for minute in range(first, first + length))


class TariffVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What holds from local midnight of `valid_from` until the next version. Either `price` or `periods`."""

    valid_from: date
    price: Decimal | None = None
    periods: tuple[TariffPeriod, ...] = ()
    standing_charge_per_day: Decimal = Decimal(0)
    vat_percent: Decimal = Decimal(0)

    def bands(self) -> tuple[TariffPeriod, ...]:
        """Its periods; a flat price is one default period."""
        if self.price is not None:
            return (TariffPeriod("All day", self.price),)
        return self.periods


class Tariff(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A tariff with all its versions. `currency` is an ISO 4217 code."""

    id: str
    name: Title
    currency: str
    versions: tuple[TariffVersion, ...]

    def faults(self) -> Iterator[Fault]:
        """Everything that types cannot say."""
        if not is_name(self.id):
            yield Fault("$.id", f"expected a name of 1-64 letters, digits and ._:@~-, got {self.id!r}")
        if not _CURRENCY.match(self.currency):
            yield Fault("$.currency", f"expected an ISO 4217 code such as GBP, got {self.currency!r}")
        if not 1 <= len(self.versions) <= VERSIONS_MAX:
            yield Fault("$.versions", f"expected 1 to {VERSIONS_MAX} versions, got {len(self.versions)}")
        for index, version in enumerate(self.versions[:VERSIONS_MAX]):
            path = f"$.versions[{index}]"
            if index and version.valid_from <= self.versions[index - 1].valid_from:
                yield Fault(f"{path}.valid_from", f"{version.valid_from} is not after the version before it")
            yield from _version_faults(version, path)

    @property
    def cent(self) -> Decimal:
        """The currency's smallest unit: what each line is rounded to."""
        return Decimal(1).scaleb(-_MINOR_UNITS.get(self.currency, 2))

    def version_on(self, day: date) -> TariffVersion | None:
        """The version that holds on a local day; None before the first."""
        return next((each for each in reversed(self.versions) if each.valid_from <= day), None)


def clock_minutes(text: str) -> int:
    """Minutes since midnight of `HH:MM`, 00:00 to 24:00. ValueError where it is none."""
    match = _CLOCK.match(text)
    if not match:
        raise ValueError(f"expected a local time HH:MM from 00:00 to 24:00, got {text!r}")
    return int(match[1] or match[3]) * 60 + int(match[2] or match[4])


def week_of(bands: tuple[TariffPeriod, ...]) -> list[int | None]:
    """For each minute of the week the index of the band it belongs to; None where none claims it. Of sound bands."""
    default = next((index for index, band in enumerate(bands) if band.is_default), None)
    week = [default] * WEEK_MINUTES
    for index, band in enumerate(bands):
        if not band.is_default:
            for minute in band.minutes():
                week[minute] = index
    return week


def week_minute_text(minute: int) -> str:
    """`mon 06:00`."""
    day, rest = divmod(minute, DAY_MINUTES)
    return f"{WEEKDAYS[day]} {rest // 60:02}:{rest % 60:02}"


def _version_faults(version: TariffVersion, path: str) -> Iterator[Fault]:
    yield from _amount_faults(version.standing_charge_per_day, PRICE_MAX, f"{path}.standing_charge_per_day")
    yield from _amount_faults(version.vat_percent, VAT_PERCENT_MAX, f"{path}.vat_percent")
    if (version.price is None) is (not version.periods):
        got = "both" if version.periods else "neither"
        yield Fault(path, f"expected either price (flat) or periods (time of use), got {got}")
    elif version.price is not None:
        yield from _amount_faults(version.price, PRICE_MAX, f"{path}.price")
    elif len(version.periods) > PERIODS_MAX:
        yield Fault(f"{path}.periods", f"expected at most {PERIODS_MAX} periods, got {len(version.periods)}")
    else:
        faults = [
            fault
            for index, period in enumerate(version.periods)
            for fault in _period_faults(period, f"{path}.periods[{index}]")
        ]
        yield from faults or _week_faults(version.periods, f"{path}.periods")


def _amount_faults(amount: Decimal, limit: Decimal, path: str) -> Iterator[Fault]:
    exponent = amount.as_tuple().exponent
    if not isinstance(exponent, int):
        yield Fault(path, f"expected a decimal number, got '{amount}'")
    elif not 0 <= amount <= limit:
        yield Fault(path, f"expected 0 to {limit}, got '{str(amount)[:40]}'")
    elif exponent < -PRICE_PLACES_MAX:
        yield Fault(path, f"expected at most {PRICE_PLACES_MAX} decimal places, got '{str(amount)[:40]}'")


def _period_faults(period: TariffPeriod, path: str) -> Iterator[Fault]:
    yield from _amount_faults(period.price, PRICE_MAX, f"{path}.price")
    if period.is_default:
        if period.weekdays != WEEKDAYS:
            yield Fault(f"{path}.weekdays", "a default period has no weekdays; give it from and to, or leave them out")
        return
    if period.from_ is None or period.to is None:
        yield Fault(path, "expected both from and to, or neither of them (the default period)")
        return
    for name, text in (("from", period.from_), ("to", period.to)):
        try:
            clock_minutes(text)
        except ValueError as error:
            yield Fault(f"{path}.{name}", str(error))
    if period.from_ in (period.to, "24:00"):
        yield Fault(f"{path}.from", f"a period from {period.from_} to {period.to} is empty; a whole day is 00:00-24:00")
    if not period.weekdays or len(set(period.weekdays)) != len(period.weekdays):
        yield Fault(f"{path}.weekdays", "expected weekdays, each once; leave them out for every day")


def _week_faults(periods: tuple[TariffPeriod, ...], path: str) -> Iterator[Fault]:
    """Of periods that are each sound: two defaults, one name at two prices, minutes of two periods or of none."""
    defaults = [index for index, period in enumerate(periods) if period.is_default]
    for index in defaults[1:]:
        yield Fault(f"{path}[{index}]", f"a second default period; {periods[defaults[0]].name!r} is the first")
    prices: dict[str, Decimal] = {}
    week: list[int | None] = [None] * WEEK_MINUTES
    for index, period in enumerate(periods):
        if prices.setdefault(period.name, period.price) != period.price:
            yield Fault(f"{path}[{index}].price", f"{period.name!r} has another price above; a name has one price")
        if period.is_default:
            continue
        for minute in period.minutes():
            other = week[minute]
            if other is not None:
                clash = f"{week_minute_text(minute)} already belongs to {periods[other].name!r}"
                yield Fault(f"{path}[{index}].from", f"overlap: {clash}")
                break
            week[minute] = index
    if not defaults and None in week:
        gap = week_minute_text(week.index(None))
        yield Fault(path, f"{gap} belongs to no period; leave from and to out of one of them: it is the default")
