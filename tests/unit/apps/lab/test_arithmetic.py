"""The judge's arithmetic, against figures worked out by hand."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ringmain.apps.lab.arithmetic import Expected, flat, time_of_use


def at(text):
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 1000


def test_flat_is_one_line_rounded_half_up():
    assert flat({0: 4_000_000, 1: 214_648}) == Expected(Decimal("599.66"), (Decimal("599.66"),))
    assert flat({}) == Expected(Decimal("0.00"), (Decimal("0.00"),))


@pytest.mark.parametrize(
    ("start", "pounds"),
    [
        ("2013-01-07 05:30", "0.04"),  # a Monday in winter: local time is UTC
        ("2013-01-07 06:00", "0.12"),
        ("2013-01-07 16:30", "0.12"),
        ("2013-01-07 17:00", "0.67"),
        ("2013-01-07 19:30", "0.67"),
        ("2013-01-07 20:00", "0.12"),
        ("2013-01-12 17:00", "0.12"),  # Saturday
        ("2013-01-13 19:30", "0.12"),  # Sunday
        ("2013-07-01 16:00", "0.67"),  # a Monday in summer: 17:00 in London
        ("2013-07-01 19:00", "0.12"),
        ("2013-06-30 23:00", "0.04"),  # Sunday in UTC, Monday midnight in London
        ("2013-07-01 05:00", "0.12"),
    ],
)
def test_one_kwh_is_priced_by_the_local_clock(start, pounds):
    assert time_of_use({at(start): 1000}, "Europe/London").amount == Decimal(pounds)


def test_each_line_is_rounded_by_itself():
    values = {at("2013-01-07 00:00"): 125, at("2013-01-07 17:00"): 10, at("2013-01-07 12:00"): 50}
    # 0.0049875, 0.00672 and 0.00588: each line rounds by itself, their sum of 0.0175875 would be 0.02
    assert time_of_use(values, "Europe/London") == Expected(
        Decimal("0.02"), (Decimal("0.00"), Decimal("0.01"), Decimal("0.01"))
    )
