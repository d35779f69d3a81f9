"""The judge's own arithmetic: what a year of whole Wh costs under the two tariffs of the trial.

Low Carbon London: flat 14.228 p/kWh; the three prices of its dynamic tariff, here by the hours of the local day.
Written apart from the platform's rating, with the standard library alone.
"""

from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

import msgspec

CURRENCY = "GBP"
FLAT_P = Decimal("14.228")
NIGHT_P, PEAK_P, DAY_P = Decimal("3.99"), Decimal("67.20"), Decimal("11.76")

_WH_PENCE_PER_POUND = Decimal(100_000)
_SATURDAY = 5


class Expected(msgspec.Struct, frozen=True):
    """An amount in pounds, the sum of lines that are each rounded half up to the penny."""

    amount: Decimal
    lines: tuple[Decimal, ...]


def flat(values: Mapping[int, int]) -> Expected:
    """One line at the flat price."""
    return _expected([(sum(values.values()), FLAT_P)])


def time_of_use(values: Mapping[int, int], zone: str) -> Expected:
    """Night 00-06, Monday to Friday 17-20, and the rest, by the local time at which each interval starts."""
    local = ZoneInfo(zone)
    energy: Counter[Decimal] = Counter()
    for at_ms, energy_wh in values.items():
        moment = datetime.fromtimestamp(at_ms // 1000, UTC).astimezone(local)
        energy[_price(moment.weekday(), moment.hour)] += energy_wh
    return _expected([(energy[price], price) for price in (NIGHT_P, PEAK_P, DAY_P)])


def _price(weekday: int, hour: int) -> Decimal:
    if hour < 6:
        return NIGHT_P
    if weekday < _SATURDAY and 17 <= hour < 20:
        return PEAK_P
    return DAY_P


def _expected(lines: list[tuple[int, Decimal]]) -> Expected:
    pounds = tuple(
        (energy_wh * price / _WH_PENCE_PER_POUND).quantize(Decimal("0.01"), rounding=ROUND_HALF_UP)
        for energy_wh, price in lines
    )
    return Expected(sum(pounds, Decimal(0)), pounds)
