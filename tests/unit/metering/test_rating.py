"""Rating: the household's year to the penny; energy conserved for any tariff and period; halves up, line by line."""

import hashlib
from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringmain.metering.data import tariff_file
from ringmain.metering.intervals import EnergyInterval
from ringmain.metering.rating import BillPeriod, hash_intervals, rate
from ringmain.metering.tariff_file import read_tariff
from ringmain.metering.tariffs import WEEKDAYS, Tariff, TariffPeriod, TariffVersion
from ringmain.model.errors import Refused
from ringmain.model.site import local_day
from ringmain.model.time import parse_rfc3339

UNHURRIED = settings(deadline=None)  # a busy machine is not a failure

HALF_MS = 1_800_000
LONDON = "Europe/London"
YEAR = BillPeriod(date(2013, 1, 1), date(2014, 1, 1), LONDON)


def shipped(name):
    return read_tariff(tariff_file(name).read_bytes(), f"{name}.toml")


def flat(price, currency="GBP", start=date(2012, 1, 1), **more):
    return Tariff("t", "T", currency, (TariffVersion(start, price=Decimal(price), **more),))


def at(stamp, energy_wh):
    start = parse_rfc3339(stamp)
    return EnergyInterval(start, start + HALF_MS, energy_wh)


def one_day(day, zone=LONDON):
    return BillPeriod(day, day + timedelta(days=1), zone)


@pytest.mark.parametrize("name", ["lcl-flat", "lcl-time-of-use"])
@pytest.mark.parametrize("zone", [LONDON, "UTC"])
def test_the_household_s_year_to_the_penny(household, figures, name, zone):
    expected = figures["bills" if zone == LONDON else "counted_in_utc"].get(name, figures["bills"]["lcl-flat"])
    lines = rate(shipped(name), household, BillPeriod(YEAR.start, YEAR.end, zone))
    found = [[line.band, line.evidence.count, str(line.quantity), str(line.price), str(line.amount)] for line in lines]
    assert found == expected["lines"]
    assert str(sum(line.amount for line in lines)) == expected["total"]
    assert sum(line.evidence.count for line in lines) == figures["year"]["intervals"]
    assert sum(line.quantity for line in lines) * 1000 == figures["year"]["energy_wh"]


def test_the_household_s_year_with_vat_and_standing_charge(household):
    tariff = flat("0.14228", vat_percent=Decimal(5), standing_charge_per_day=Decimal("0.2466"))
    energy, standing, vat = rate(tariff, household, YEAR)
    assert (energy.amount, standing.amount, vat.amount) == (Decimal("599.66"), Decimal("90.01"), Decimal("34.48"))
    assert (standing.quantity, standing.unit, standing.price) == (365, "day", Decimal("0.2466"))
    assert (vat.quantity, vat.unit, vat.price) == (Decimal("689.67"), "GBP", Decimal("0.05"))
    assert vat.description == "VAT 5 %"


@pytest.mark.parametrize(
    ("energy_wh", "price", "amount"),
    [
        (1000, "0.125", "0.13"),  # half-even would give 0.12
        (1000, "0.135", "0.14"),
        (1000, "0.1249999999", "0.12"),
        (500, "0.25", "0.13"),  # half-even would give 0.12
        (5, "1", "0.01"),  # half-even would give 0.00
        (2_675, "1", "2.68"),  # binary floats would give 2.67
        (0, "1", "0.00"),
    ],
)
def test_a_line_is_rounded_once_halves_up(energy_wh, price, amount):
    (line,) = rate(flat(price), [at("2013-01-01T00:00:00Z", energy_wh)], one_day(date(2013, 1, 1)))
    assert str(line.amount) == amount
    assert line.amount == (line.quantity * line.price).quantize(Decimal("0.01"), "ROUND_HALF_UP")


@pytest.mark.parametrize(("currency", "amount"), [("JPY", "35"), ("KWD", "34.568"), ("EUR", "34.57")])
def test_lines_are_rounded_to_the_currency_s_own_smallest_unit(currency, amount):
    (line,) = rate(flat("34.5678", currency), [at("2013-01-01T00:00:00Z", 1000)], one_day(date(2013, 1, 1)))
    assert str(line.amount) == amount


@pytest.mark.parametrize(("end", "code"), [(date(2013, 1, 1), "unprocessable"), (date(2016, 1, 1), "unprocessable")])
def test_an_empty_or_too_long_period_is_refused(end, code):
    with pytest.raises(Refused, match="days") as refused:
        rate(flat("1"), [], BillPeriod(date(2013, 1, 1), end, LONDON))
    assert refused.value.code == code


def test_a_tariff_that_begins_after_the_period_is_refused():
    with pytest.raises(Refused, match="tariff t begins on 2013-01-02, the period on 2013-01-01"):
        rate(flat("1", start=date(2013, 1, 2)), [], YEAR)


def test_an_interval_belongs_to_the_band_of_its_local_start():
    night = TariffPeriod("Night", Decimal("0.1"), "00:00", "01:00")
    tariff = Tariff(
        "t", "T", "GBP", (TariffVersion(date(2012, 1, 1), periods=(TariffPeriod("Day", Decimal(1)), night)),)
    )
    summer = [at("2013-06-30T23:30:00Z", 1), at("2013-07-01T00:00:00Z", 2)]  # 00:30 and 01:00 in London
    day, night_line = rate(tariff, summer, one_day(date(2013, 7, 1)))
    assert (night_line.quantity, day.quantity) == (Decimal("0.001"), Decimal("0.002"))


@pytest.mark.parametrize(("day", "night_halves"), [("2013-03-31", 10), ("2013-06-01", 12), ("2013-10-27", 14)])
def test_the_night_of_a_clock_change_is_an_hour_shorter_or_longer(day, night_halves):
    span = local_day(date.fromisoformat(day), LONDON)
    intervals = [EnergyInterval(start, start + HALF_MS, 1) for start in range(span.start, span.end, HALF_MS)]
    lines = rate(shipped("lcl-time-of-use"), intervals, one_day(date.fromisoformat(day)))
    assert {line.band: line.evidence.count for line in lines}["Night"] == night_halves
    assert sum(line.evidence.count for line in lines) == len(intervals)


def test_a_price_that_changes_within_the_period_cuts_its_lines_at_local_midnight():
    versions = (
        TariffVersion(
            date(2013, 1, 1), price=Decimal("0.1"), vat_percent=Decimal(5), standing_charge_per_day=Decimal(1)
        ),
        TariffVersion(date(2013, 7, 1), price=Decimal("0.2"), vat_percent=Decimal(20)),
    )
    june, july = at("2013-06-30T22:30:00Z", 1000), at("2013-06-30T23:00:00Z", 1000)
    period = BillPeriod(date(2013, 6, 30), date(2013, 7, 2), LONDON)
    lines = rate(Tariff("t", "T", "GBP", versions), [july, june], period)
    assert [(line.kind, str(line.from_), str(line.to), str(line.amount)) for line in lines] == [
        ("energy", "2013-06-30", "2013-07-01", "0.10"),
        ("standing", "2013-06-30", "2013-07-01", "1.00"),
        ("energy", "2013-07-01", "2013-07-02", "0.20"),
        ("vat", "2013-06-30", "2013-07-02", "0.06"),  # 5 % of 1.10: 0.055
        ("vat", "2013-06-30", "2013-07-02", "0.04"),
    ]


def test_periods_of_one_name_are_one_line():
    day = TariffPeriod("Day", Decimal(1))
    peaks = [TariffPeriod("Peak", Decimal(2), start, end) for start, end in (("07:00", "09:00"), ("17:00", "20:00"))]
    tariff = Tariff("t", "T", "GBP", (TariffVersion(date(2012, 1, 1), periods=(day, *peaks)),))
    lines = rate(
        tariff, [at("2013-01-01T08:00:00Z", 1000), at("2013-01-01T19:00:00Z", 1000)], one_day(date(2013, 1, 1))
    )
    assert [(line.band, str(line.amount)) for line in lines] == [("Day", "0.00"), ("Peak", "4.00")]


def test_a_line_names_the_readings_it_rests_on():
    (line,) = rate(flat("1"), [at("2013-01-01T00:30:00Z", 7), at("2013-01-01T00:00:00Z", 5)], one_day(date(2013, 1, 1)))
    lines = b"1356998400000,5\n1357000200000,7\n"
    assert line.evidence.sha256 == hashlib.sha256(lines).hexdigest()
    assert (line.evidence.count, line.evidence.first, line.evidence.last) == (
        2,
        "2013-01-01T00:00:00Z",
        "2013-01-01T00:30:00Z",
    )
    assert hash_intervals([]) == hashlib.sha256(b"").hexdigest()


CLOCKS = st.integers(0, 95).map(lambda quarter: f"{quarter // 4:02}:{quarter % 4 * 15:02}")
BANDS = st.builds(
    lambda start, end, weekdays, price: TariffPeriod("Band", price, start, end if end != start else "24:00", weekdays),
    CLOCKS,
    CLOCKS,
    st.lists(st.sampled_from(WEEKDAYS), min_size=1, unique=True).map(tuple),
    st.decimals(0, 2, places=5),
)
TARIFFS = st.builds(
    lambda band, price, vat, change: Tariff(
        "t",
        "T",
        "GBP",
        (
            TariffVersion(date(2012, 1, 1), periods=(TariffPeriod("Day", price), band), vat_percent=vat),
            TariffVersion(change, price=price),
        ),
    ),
    BANDS,
    st.decimals(0, 2, places=5),
    st.decimals(0, 25, places=1),
    st.dates(date(2013, 1, 1), date(2014, 12, 31)),
)
STAMPS = st.integers(parse_rfc3339("2012-12-30T00:00:00Z") // HALF_MS, parse_rfc3339("2015-01-02T00:00:00Z") // HALF_MS)
INTERVALS = st.lists(
    st.tuples(STAMPS, st.integers(0, 5000)).map(
        lambda pair: EnergyInterval(pair[0] * HALF_MS, (pair[0] + 1) * HALF_MS, pair[1])
    ),
    max_size=60,
)
DAYS = st.dates(date(2013, 1, 1), date(2014, 12, 30))
ZONES = st.sampled_from([LONDON, "UTC", "America/St_Johns", "Asia/Kathmandu", "Pacific/Apia"])


def energy_wh(lines):
    return sum(line.quantity for line in lines if line.kind == "energy") * 1000


@UNHURRIED
@given(tariff=TARIFFS, intervals=INTERVALS, one=DAYS, length=st.integers(1, 700), zone=ZONES)
def test_lines_hold_the_energy_of_the_period_and_not_a_watt_hour_else(tariff, intervals, one, length, zone):
    assert not list(tariff.faults())
    period = BillPeriod(one, one + timedelta(days=length), zone)
    lines = rate(tariff, intervals, period)
    inside = [each for each in intervals if period.span.holds(each.start_ms)]
    assert energy_wh(lines) == sum(each.energy_wh for each in inside)
    assert sum(line.evidence.count for line in lines if line.evidence) == len(inside)
    assert all(line.amount == line.amount.quantize(Decimal("0.01")) for line in lines)


@UNHURRIED
@given(
    tariff=TARIFFS,
    intervals=INTERVALS,
    one=DAYS,
    lengths=st.tuples(st.integers(1, 300), st.integers(1, 300)),
    zone=ZONES,
)
def test_a_period_cut_at_any_local_midnight_conserves_energy(tariff, intervals, one, lengths, zone):
    middle, end = one + timedelta(days=lengths[0]), one + timedelta(days=sum(lengths))
    parts = [rate(tariff, intervals, BillPeriod(start, stop, zone)) for start, stop in ((one, middle), (middle, end))]
    assert sum(map(energy_wh, parts)) == energy_wh(rate(tariff, intervals, BillPeriod(one, end, zone)))


@UNHURRIED
@given(tariff=TARIFFS, intervals=INTERVALS.flatmap(lambda v: st.tuples(st.just(v), st.permutations(v))))
def test_the_order_of_arrival_changes_nothing(tariff, intervals):
    one, other = intervals
    assert rate(tariff, one, YEAR) == rate(tariff, other, YEAR)
