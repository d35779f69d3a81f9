"""Billing: nobody pays twice, nothing is estimated, the same input is the same bytes; the household's year in full."""

import asyncio
import json
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringmain.metering.billing import Billing, make_bill
from ringmain.metering.canonical import canonical, sha256_of
from ringmain.metering.collection import Collected
from ringmain.metering.data import TARIFFS, tariff_file
from ringmain.metering.installation import Account, Installation, Installations, UsagePoint
from ringmain.metering.intervals import EnergyInterval, completeness
from ringmain.metering.rating import BillPeriod
from ringmain.metering.tariff_file import read_tariff
from ringmain.metering.tariffs import Tariff, TariffVersion
from ringmain.model.errors import Refused
from ringmain.model.time import parse_rfc3339

UNHURRIED = settings(deadline=None)  # a busy machine is not a failure

YEAR = (date(2013, 1, 1), date(2014, 1, 1))
LINKS = Installations("home", (Installation("meter-1", "energy_wh", datetime(2012, 10, 1, tzinfo=UTC)),))


@pytest.fixture
async def billing(house, household):
    """The household's whole file in the store; an account for each tariff that ships."""
    key = house.registry.register("meter-1")
    house.timeseries.store(key, "energy_wh", {each.start_ms: each.energy_wh for each in household})
    house.meter = key
    documents, tenant = house.documents, house.tenant
    await documents.put_usage_point(tenant, UsagePoint("home", "london"))
    await documents.put_installations(tenant, LINKS)
    for name in TARIFFS:
        await documents.put_tariff(tenant, read_tariff(tariff_file(name).read_bytes(), f"{name}.toml"))
        await documents.put_account(tenant, Account(name, "home", name))
    return Billing(documents, house.ledger, house.timeseries, house.registry, house.clock)


async def refusal(awaitable):
    with pytest.raises(Refused) as refused:
        await awaitable
    assert refused.value.hint
    return refused.value


async def test_an_unknown_account_and_an_unreasonable_period_are_refused(billing, house):
    assert (await refusal(billing.preview(house.tenant, "x", *YEAR))).code == "not_found"
    for start, end in ((YEAR[1], YEAR[0]), (YEAR[0], YEAR[0]), (YEAR[0], date(2020, 1, 1))):
        assert (await refusal(billing.preview(house.tenant, "lcl-flat", start, end))).code == "unprocessable"
    assert house.timeseries.looks == 0


@pytest.mark.slow
async def test_a_period_that_is_not_over_is_previewed_but_not_issued(billing, house):
    house.clock.now = parse_rfc3339("2013-12-31T23:59:59.999Z")
    assert (await billing.preview(house.tenant, "lcl-flat", *YEAR)).total == Decimal("599.66")
    assert "not over; nothing was issued" in (await refusal(billing.issue(house.tenant, "lcl-flat", *YEAR))).detail
    house.clock.now += 1
    assert (await billing.issue(house.tenant, "lcl-flat", *YEAR)).number == 1


@pytest.mark.slow
@pytest.mark.parametrize("account", TARIFFS)
async def test_the_household_s_year(billing, house, figures, account):
    bill = await billing.preview(house.tenant, account, *YEAR)
    expected = figures["bills"][account]
    assert (str(bill.total), bill.currency, str(bill.vat)) == (expected["total"], "GBP", "0.00")
    amounts = [[line.band, line.evidence.count, line.quantity, line.price, line.amount] for line in bill.lines]
    assert [[*line[:2], *map(str, line[2:])] for line in amounts] == expected["lines"]
    assert bill.intervals == figures["year"]["intervals"]
    assert str(bill.energy_kwh) == "4214.648"
    assert bill.coverage.complete
    assert (bill.coverage.expected, bill.coverage.missing, bill.coverage.missing_spans) == (17520, 0, ())
    assert (bill.span.from_, bill.span.to) == ("2013-01-01T00:00:00Z", "2014-01-01T00:00:00Z")
    assert bill.lines[0].evidence.queries[0].device == "meter-1"
    assert house.timeseries.looks == 2, "a year of half hours is two pages"


@pytest.mark.slow
async def test_a_bill_issued_again_is_the_same_row_and_the_same_bytes(billing, house):
    one = await billing.issue(house.tenant, "lcl-flat", *YEAR)
    house.clock.now += 86_400_000
    again = await billing.issue(house.tenant, "lcl-flat", *YEAR)
    assert again == one
    assert one.sha256 == sha256_of(one.body)
    assert (await billing.preview(house.tenant, "lcl-flat", *YEAR)).body == one.body


@pytest.mark.slow
async def test_a_day_is_not_billed_twice_with_other_content(billing, house):
    one = await billing.issue(house.tenant, "lcl-flat", *YEAR)
    house.timeseries.store(house.meter, "energy_wh", {parse_rfc3339("2013-05-05T00:00:00Z"): 9999})
    for period in (YEAR, (date(2013, 12, 31), date(2014, 1, 2)), (date(2012, 12, 1), date(2013, 1, 2))):
        refused = await refusal(billing.issue(house.tenant, "lcl-flat", *period))
        assert refused.code == "already_exists"
        assert "bill 1 of lcl-flat covers 2013-01-01T00:00:00Z to 2014-01-01T00:00:00Z" in refused.detail
    assert house.ledger.issued == [one]
    assert (await billing.issue(house.tenant, "lcl-flat", date(2014, 1, 1), date(2014, 1, 5))).number == 2
    assert (await billing.issue(house.tenant, "lcl-time-of-use", *YEAR)).number == 3


@pytest.mark.slow
async def test_an_earlier_bill_is_found_however_many_there_are(billing, house):
    days = [date(2013, 1, 1) + timedelta(days=number) for number in range(103)]
    for start, end in pairwise(days):
        await billing.issue(house.tenant, "lcl-flat", start, end)
    refused = await refusal(billing.issue(house.tenant, "lcl-flat", days[-2], YEAR[1]))
    assert refused.detail.startswith("bill 102 of lcl-flat covers")


async def test_two_that_issue_at_once_do_not_both_bill_the_day(billing, house):
    results = await asyncio.gather(
        billing.issue(house.tenant, "lcl-flat", date(2013, 1, 1), date(2013, 1, 3)),
        billing.issue(house.tenant, "lcl-flat", date(2013, 1, 2), date(2013, 1, 4)),
        return_exceptions=True,
    )
    assert [type(each).__name__ for each in results] == ["BillRecord", "Refused"]


@pytest.mark.slow
async def test_what_is_missing_is_listed_and_not_estimated(billing, house):
    values = house.timeseries.values[house.meter, "energy_wh"]
    gone = [parse_rfc3339(f"2013-03-03T0{hour}:00:00Z") for hour in (1, 2)]
    energy = sum(values.pop(at) for at in gone)
    bill = await billing.preview(house.tenant, "lcl-flat", *YEAR)
    assert bill.energy_kwh == Decimal("4214.648") - Decimal(energy) / 1000
    assert not bill.coverage.complete
    assert (bill.coverage.missing, bill.coverage.present, bill.coverage.missing_spans_total) == (2, 17518, 2)
    assert bill.coverage.missing_spans[0].from_ == "2013-03-03T01:00:00Z"
    assert bill.coverage.missing_spans[0].to == "2013-03-03T01:30:00Z"


async def test_time_without_a_meter_is_named(billing, house):
    bill = await billing.preview(house.tenant, "lcl-flat", date(2012, 9, 30), date(2012, 10, 14))
    assert [(span.from_, span.to) for span in bill.coverage.uninstalled] == [
        ("2012-09-29T23:00:00Z", "2012-10-01T00:00:00Z")
    ]
    assert not bill.coverage.complete


@pytest.mark.slow
async def test_gaps_without_end_are_counted_and_the_first_hundred_listed(billing, house):
    values = house.timeseries.values[house.meter, "energy_wh"]
    for at in sorted(at for at in values if at >= parse_rfc3339("2013-06-01T00:00:00Z"))[:500:2]:
        del values[at]
    coverage = (await billing.preview(house.tenant, "lcl-flat", *YEAR)).coverage
    assert (coverage.missing, coverage.missing_spans_total, len(coverage.missing_spans)) == (250, 250, 100)


@pytest.mark.slow
async def test_the_body_is_canonical_json(billing, house):
    body = (await billing.preview(house.tenant, "lcl-time-of-use", *YEAR)).body
    read = json.loads(body)
    assert json.dumps(read, sort_keys=True, separators=(",", ":")).encode() == body
    assert (read["total"], read["from"], read["to"], read["zone"]) == ("672.34", *map(str, YEAR), "Europe/London")
    assert read["lines"][1]["price"] == "0.6720"
    assert read["sources"]["installation"] == sha256_of(canonical(LINKS))
    assert b"2023" not in body, "no clock inside"


@pytest.mark.slow
async def test_net_vat_and_total_are_sums_of_the_lines(billing, house):
    versions = (TariffVersion(date(2012, 1, 1), Decimal("0.14228"), (), Decimal("0.2466"), Decimal(5)),)
    await house.documents.put_tariff(house.tenant, Tariff("lcl-flat", "With VAT", "GBP", versions))
    bill = await billing.preview(house.tenant, "lcl-flat", *YEAR)
    assert (str(bill.net), str(bill.vat), str(bill.total)) == ("689.67", "34.48", "724.15")
    assert sum(line.amount for line in bill.lines) == bill.total


HALF_MS = 1_800_000
PERIOD = BillPeriod(date(2013, 1, 1), date(2013, 1, 3), "Europe/London")
INTERVALS = st.dictionaries(st.integers(0, 95), st.integers(0, 5000), max_size=96).map(
    lambda slots: [
        EnergyInterval(PERIOD.span.start + slot * HALF_MS, PERIOD.span.start + (slot + 1) * HALF_MS, energy)
        for slot, energy in slots.items()
    ]
)


@UNHURRIED
@given(INTERVALS.flatmap(lambda v: st.tuples(st.just(v), st.permutations(v))))
def test_the_same_readings_in_any_order_are_the_same_bytes(both):
    tariff = read_tariff(tariff_file("lcl-time-of-use").read_bytes(), "t.toml")

    def body(intervals):
        collected = Collected(tuple(intervals), completeness(intervals, PERIOD.span, HALF_MS, 0), (), ())
        return make_bill(Account("a", "home", tariff.id), LINKS, tariff, PERIOD, collected).body

    assert body(both[0]) == body(both[1])
