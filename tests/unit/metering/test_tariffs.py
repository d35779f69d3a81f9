"""Tariffs: what no bill could be computed from is refused with its path; every minute of the week has one period."""

from datetime import date
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringmain.metering.tariffs import (
    WEEK_MINUTES,
    Tariff,
    TariffPeriod,
    TariffVersion,
    clock_minutes,
    week_minute_text,
    week_of,
)

UNHURRIED = settings(deadline=None)  # a busy machine is not a failure

START = date(2012, 1, 1)
PRICE = Decimal("0.1")
DEFAULT = TariffPeriod("Day", PRICE)


def tariff(*versions, id="t", currency="GBP"):
    return Tariff(id, "A tariff", currency, versions)


def in_use(*periods):
    return tariff(TariffVersion(START, periods=periods))


def late(*weekdays):
    return TariffPeriod("A", PRICE, "22:00", "06:00", weekdays)


def faults(document):
    return [str(fault) for fault in document.faults()]


def of_periods(*periods):
    return [fault.removeprefix("$.versions[0].") for fault in faults(in_use(*periods))]


def test_sound_tariffs_have_no_faults():
    assert faults(tariff(TariffVersion(START, price=PRICE))) == []
    assert of_periods(DEFAULT, TariffPeriod("Night", PRICE, "22:00", "06:00")) == []
    assert of_periods(TariffPeriod("A", PRICE, "00:00", "07:00"), TariffPeriod("B", PRICE, "07:00", "24:00")) == []


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        (tariff(TariffVersion(START, price=PRICE), id="a/b"), "$.id: expected a name"),
        (tariff(TariffVersion(START, price=PRICE), currency="pounds"), "$.currency: expected an ISO 4217 code"),
        (tariff(), "$.versions: expected 1 to 120 versions, got 0"),
        (tariff(*[TariffVersion(START, price=PRICE)] * 2), "$.versions[1].valid_from: 2012-01-01 is not after"),
        (
            tariff(TariffVersion(START)),
            "$.versions[0]: expected either price (flat) or periods (time of use), got neither",
        ),
        (tariff(TariffVersion(START, PRICE, (DEFAULT,))), "$.versions[0]: expected either price (flat) or periods"),
        (tariff(TariffVersion(START, Decimal(-1))), "$.versions[0].price: expected 0 to 1000000, got '-1'"),
        (tariff(TariffVersion(START, Decimal("NaN"))), "$.versions[0].price: expected a decimal number, got 'NaN'"),
        (tariff(TariffVersion(START, Decimal("Infinity"))), "$.versions[0].price: expected a decimal number"),
        (tariff(TariffVersion(START, Decimal("1e-11"))), "$.versions[0].price: expected at most 10 decimal places"),
        (tariff(TariffVersion(START, PRICE, vat_percent=Decimal(101))), "$.versions[0].vat_percent: expected 0 to 100"),
        (
            tariff(TariffVersion(START, PRICE, standing_charge_per_day=Decimal(-1))),
            "$.versions[0].standing_charge_per_day: expected 0 to",
        ),
    ],
)
def test_a_fault_names_its_path(document, fault):
    (found,) = faults(document)
    assert found.startswith(fault)


@pytest.mark.parametrize(
    ("periods", "fault"),
    [
        ([TariffPeriod("A", Decimal(-1)), DEFAULT], "periods[0].price: expected 0 to"),
        ([DEFAULT, TariffPeriod("Late", PRICE)], "periods[1]: a second default period; 'Day' is the first"),
        ([TariffPeriod("A", PRICE, "00:00", None)], "periods[0]: expected both from and to"),
        ([TariffPeriod("A", PRICE, None, "10:00")], "periods[0]: expected both from and to"),
        ([DEFAULT, TariffPeriod("A", PRICE, "6:00", "07:00")], "periods[1].from: expected a local time HH:MM"),
        ([DEFAULT, TariffPeriod("A", PRICE, "06:00", "24:01")], "periods[1].to: expected a local time HH:MM"),
        ([DEFAULT, TariffPeriod("A", PRICE, "06:00", "06:00")], "periods[1].from: a period from 06:00 to 06:00"),
        ([DEFAULT, TariffPeriod("A", PRICE, "24:00", "06:00")], "periods[1].from: a period from 24:00"),
        ([DEFAULT, TariffPeriod("A", PRICE, "01:00", "02:00", ())], "periods[1].weekdays: expected weekdays"),
        ([DEFAULT, TariffPeriod("A", PRICE, "01:00", "02:00", ("mon",) * 2)], "periods[1].weekdays: expected"),
        ([TariffPeriod("A", PRICE, weekdays=("mon",))], "periods[0].weekdays: a default period has no weekdays"),
        (
            [DEFAULT, TariffPeriod("A", PRICE, "01:00", "03:00"), TariffPeriod("B", PRICE, "02:00", "04:00")],
            "periods[2].from: overlap: mon 02:00 already belongs to 'A'",
        ),
        (
            [DEFAULT, late("fri"), TariffPeriod("B", PRICE, "05:59", "08:00", ("sat",))],
            "periods[2].from: overlap: sat 05:59 already belongs to 'A'",
        ),
        (
            [DEFAULT, late("sun"), TariffPeriod("B", PRICE, "05:00", "08:00", ("mon",))],
            "periods[2].from: overlap: mon 05:00 already belongs to 'A'",
        ),
        (
            [DEFAULT, TariffPeriod("Day", Decimal(2), "01:00", "03:00")],
            "periods[1].price: 'Day' has another price above",
        ),
        ([TariffPeriod("A", PRICE, "00:00", "24:00", ("mon",))], "periods: tue 00:00 belongs to no period"),
        ([TariffPeriod(str(n), PRICE) for n in range(337)], "periods: expected at most 336 periods, got 337"),
    ],
)  # fmt: skip
def test_a_fault_of_a_period_names_its_path(periods, fault):
    (found,) = of_periods(*periods)
    assert found.startswith(fault)


@pytest.mark.parametrize(("text", "minutes"), [("00:00", 0), ("06:30", 390), ("23:59", 1439), ("24:00", 1440)])
def test_local_times(text, minutes):
    assert clock_minutes(text) == minutes


def test_a_period_over_midnight_belongs_to_the_weekday_it_began_on():
    bands = (DEFAULT, TariffPeriod("Night", PRICE, "22:00", "06:00", ("fri", "sun")))
    week = week_of(bands)
    claimed = [week_minute_text(minute) for minute in range(WEEK_MINUTES) if week[minute] != week[minute - 1]]
    assert claimed == ["mon 06:00", "fri 22:00", "sat 06:00", "sun 22:00"]


def test_the_version_of_a_day_is_the_newest_that_has_begun():
    one, two = TariffVersion(START, price=PRICE), TariffVersion(date(2013, 4, 1), price=Decimal("0.2"))
    both = tariff(one, two)
    assert both.version_on(date(2011, 12, 31)) is None
    assert both.version_on(START) is both.version_on(date(2013, 3, 31)) is one
    assert both.version_on(date(2013, 4, 1)) is two


@pytest.mark.parametrize(("currency", "cent"), [("GBP", "0.01"), ("JPY", "1"), ("KWD", "0.001")])
def test_the_smallest_unit_is_the_currencys_own(currency, cent):
    assert tariff(TariffVersion(START, price=PRICE), currency=currency).cent == Decimal(cent)


@UNHURRIED
@given(st.lists(st.integers(0, 95), min_size=2, max_size=12, unique=True))
def test_any_partition_of_the_day_covers_the_week_once(quarters):
    cuts = sorted(quarters)
    texts = [f"{cut // 4:02}:{cut % 4 * 15:02}" for cut in cuts]
    ends = [*texts[1:], texts[0]]
    periods = tuple(
        TariffPeriod(str(index), PRICE, start, end) for index, (start, end) in enumerate(zip(texts, ends, strict=True))
    )
    assert faults(in_use(*periods)) == []
    week = week_of(periods)
    assert None not in week
    assert sum(len(list(period.minutes())) for period in periods) == WEEK_MINUTES
