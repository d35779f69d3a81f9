"""Quantities that end on a bill: whole watt-hours and decimal money, never floats."""

from decimal import ROUND_HALF_UP, Decimal
from typing import NewType

import msgspec

WattHours = NewType("WattHours", int)


class Money(msgspec.Struct, frozen=True):
    """An exact amount in the currency's major unit, e.g. Decimal('599.66') with ISO 4217 code `GBP`."""

    amount: Decimal
    currency: str


CENT = Decimal("0.01")


def round_half_up(amount: Decimal, step: Decimal = CENT) -> Decimal:
    """`amount` to the nearest multiple of a power of ten, halves away from zero: the rounding of each bill line."""
    return amount.quantize(step, rounding=ROUND_HALF_UP)


def kilowatt_hours(energy: int) -> Decimal:
    """Whole Wh as exact kWh: 4214648 gives Decimal('4214.648')."""
    return Decimal(energy).scaleb(-3)


def watt_hours_of_kwh(kwh: Decimal) -> WattHours:
    """KWh to the nearest whole Wh, halves up; for sources that publish kWh with float noise."""
    return WattHours(int((kwh * 1000).quantize(Decimal(1), rounding=ROUND_HALF_UP)))
