"""Street: whoever lives there is counted once, exactly, and what nobody measured is missing."""

import itertools
from datetime import UTC, date, datetime
from decimal import Decimal
from types import SimpleNamespace

import pytest

from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.credentials import Credentials
from ringmain.adapters.simulated.directory import Directory
from ringmain.adapters.simulated.ledger import Ledger
from ringmain.adapters.simulated.registry import Registry
from ringmain.adapters.simulated.timeseries import SimulatedTimeSeries
from ringmain.metering.asked import Asked
from ringmain.metering.documents import Documents
from ringmain.metering.installation import Installation, Installations, UsagePoint
from ringmain.metering.street import Street
from ringmain.model.batch import FORMAT, Batch, block_of, encode_batch
from ringmain.model.device import LifecycleState
from ringmain.model.errors import Refused
from ringmain.model.ids import DEFAULT_TENANT
from ringmain.model.site import Site
from ringmain.model.time import HOUR_MS, instant_of
from ringmain.ports.queue import Entry
from ringmain.ports.registry import NewDevice
from ringmain.services.aggregation.windows import SitePlan

T0 = instant_of(datetime(2013, 1, 1, tzinfo=UTC))
HALF_MS = HOUR_MS // 2
DAY = Asked("energy_wh", date(2013, 1, 1), date(2013, 1, 2))
OPEN = Asked("energy_wh")
MOMENT = datetime(2012, 1, 1, tzinfo=UTC)
NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
async def town():
    """A tenant at London's time, with homes of the ports that forget."""
    clock, directory, ledger = SimulatedClock(T0 + 900 * 24 * HOUR_MS), Directory(), Ledger()
    registry = Registry(directory, Credentials(directory))
    timeseries = SimulatedTimeSeries(SitePlan(("day",), lambda _: "Europe/London"), clock)
    documents = Documents(ledger, registry, directory, clock)
    if DEFAULT_TENANT not in await directory.tenants():
        await directory.add_tenant(DEFAULT_TENANT, 1)
    await directory.put_site(DEFAULT_TENANT, Site("main", "Europe/London"))
    offsets = itertools.count(1)

    async def meter(id, state=LifecycleState.ACTIVE, profile="meter", site="main"):
        return (await registry.add(DEFAULT_TENANT, [NewDevice(id, profile, state, site)], 1))[0].key

    async def store(key, pairs, channel="energy_wh", *, exact=True):
        stamps, values = zip(*pairs, strict=True)
        block = block_of((channel,), [key] * len(pairs), stamps, values, exact=exact)
        await timeseries.append([Entry(next(offsets), encode_batch(Batch(FORMAT, T0, (block,))))])

    async def home(id, *links):
        await documents.put_usage_point(DEFAULT_TENANT, UsagePoint(id))
        await documents.put_installations(DEFAULT_TENANT, Installations(id, links))

    def street(sizes=("day",)):
        return Street(timeseries.load, timeseries, registry, directory, documents, clock, sizes)

    return SimpleNamespace(
        meter=meter, store=store, home=home, street=street, timeseries=timeseries, directory=directory
    )


def halves(value, first=0, behind=48):
    return [(T0 + n * HALF_MS, value) for n in range(first, behind)]


async def ask(town, asked=DAY, site=None):
    return await town.street().street(DEFAULT_TENANT, site, asked)


async def test_a_street_without_homes(town):
    await town.meter("silent")
    with pytest.raises(Refused, match="no home on the street") as caught:
        await ask(town, OPEN)
    assert caught.value.code == "not_found"
    found = await ask(town)
    assert (found.homes, found.readings, found.zone, found.curve.summary) == (0, None, "Europe/London", None)
    assert set(found.curve.expected) == {0}
    with pytest.raises(Refused, match="no site there"):
        await ask(town, site="there")


async def test_homes_add_up_and_a_home_is_expected_from_its_first_reading_on(town):
    for number, first in enumerate((0, 0, 24)):
        await town.store(await town.meter(f"m{number}"), halves(100 + number, first))
    await town.store(await town.meter("gone", LifecycleState.DECOMMISSIONED), halves(5000))
    await town.store(await town.meter("hot"), halves(5000), "power_w", exact=True)
    found = await ask(town, OPEN)
    assert (found.homes, found.interval_s, found.from_, found.to) == (3, 1800, date(2013, 1, 1), date(2013, 1, 2))
    assert found.curve.energy_wh == (201,) * 24 + (303,) * 24
    assert found.curve.present == found.curve.expected == (2,) * 24 + (3,) * 24
    assert (found.curve.summary.energy_wh, found.curve.summary.complete) == (201 * 24 + 303 * 24, 48)
    assert found.curve.summary.peak.start_ms == T0 + 24 * HALF_MS


async def test_a_home_whose_meter_was_exchanged_is_one_home(town):
    old, new = await town.meter("old", LifecycleState.DECOMMISSIONED), await town.meter("new")
    await town.store(old, halves(100))
    await town.store(new, halves(7, 12))
    links = Installation("old", "energy_wh", MOMENT, NOON), Installation("new", "energy_wh", NOON)
    await town.home("place", *links)
    await town.store(await town.meter("other"), halves(1))
    found = await ask(town)
    assert found.homes == 2
    assert found.curve.energy_wh == (101,) * 24 + (8,) * 24
    assert set(found.curve.present) == {2}


async def test_a_linked_home_is_expected_even_while_it_is_silent(town):
    await town.meter("silent")
    await town.home("place", Installation("silent", "energy_wh", NOON))
    await town.store(await town.meter("other"), halves(1))
    found = await ask(town)
    assert (found.homes, found.curve.expected) == (2, (1,) * 24 + (2,) * 24)
    assert found.curve.summary.complete == 24


@pytest.mark.parametrize(
    ("link", "values", "exact", "energy"),
    [
        ({"unit": "kWh"}, halves(2), True, 2000),
        ({"multiplier": 40}, halves(2), True, 80),
        ({"multiplier": "2.5"}, halves(1), True, 3),  # 2.5 Wh each, halves up
        ({"unit": "kWh"}, halves(0.0015), False, 2),
        ({"reading": "register"}, [(at, 10 * n) for n, (at, _) in enumerate(halves(0, 0, 49))], True, 10),
        ({"reading": "register"}, [(T0, 0), (T0 + 24 * HOUR_MS, 480)], True, 10),
    ],
    ids=["kWh", "ratio", "odd ratio", "doubles", "register", "register read once a day"],
)
async def test_what_the_store_cannot_add_is_added_exactly(town, link, values, exact, energy):
    said = {**link, "multiplier": Decimal(link["multiplier"])} if "multiplier" in link else link
    await town.store(await town.meter("m"), values, "energy", exact=exact)
    await town.home("place", Installation("m", "energy", MOMENT, **said))
    await town.store(await town.meter("plain"), halves(1))
    found = await ask(town)
    assert found.curve.energy_wh == (energy + 1,) * 48
    assert found.curve.present == (2,) * 48


async def test_values_that_are_no_energy_are_counted_and_missing(town):
    await town.store(await town.meter("m"), [*halves(-1, 0, 1), *halves(10**14, 1, 2), *halves(5, 2)])
    found = await ask(town)
    assert (found.refused, found.curve.present[:3], found.curve.energy_wh[:3]) == (2, (0, 0, 1), (None, None, 5))


async def test_days_that_late_data_revised_are_told(town):
    key = await town.meter("m")
    await town.store(key, halves(1, 1))
    await town.timeseries.windows.settle(await town.timeseries.windows.pending(), T0)
    await town.store(key, halves(1, 0, 1))
    await town.timeseries.windows.settle(await town.timeseries.windows.pending(), T0)
    assert [day.revised for day in (await ask(town)).curve.days] == [1]
    unkept = await town.street(sizes=("1h",)).street(DEFAULT_TENANT, None, DAY)
    assert [day.revised for day in unkept.curve.days] == [None]


async def test_slots_that_have_not_ended_expect_nobody(town):
    await town.store(await town.meter("m"), halves(1, 0, 10))
    street = town.street()
    street._clock = SimulatedClock(T0 + 12 * HALF_MS + 1)
    found = await street.street(DEFAULT_TENANT, None, DAY)
    assert found.curve.expected == (1,) * 12 + (0,) * 36


async def test_homes_of_two_zones_are_no_street_but_those_of_one_site_are(town):
    await town.directory.put_site(DEFAULT_TENANT, Site("berlin", "Europe/Berlin"))
    await town.store(await town.meter("m"), halves(1))
    await town.store(await town.meter("b", site="berlin"), halves(2))
    with pytest.raises(Refused, match="Europe/Berlin, Europe/London"):
        await ask(town)
    found = await ask(town, site="berlin")
    assert (found.homes, found.zone, found.curve.summary.energy_wh) == (1, "Europe/Berlin", 2 * 46)


async def test_intervals_are_as_long_as_the_longest_and_no_shorter_than_the_readings(town):
    await town.store(await town.meter("m"), halves(30))
    await town.store(await town.meter("quick", profile="generic"), [(T0 + n * 60_000, 1) for n in range(1440)])
    found = await ask(town)
    assert (found.interval_s, found.curve.energy_wh) == (1800, (60,) * 48)
    with pytest.raises(Refused, match="m are of longer intervals than 900 s"):
        await ask(town, Asked("energy_wh", *days(), 900))
    assert set((await ask(town, Asked("energy_wh", *days(), 3600))).curve.energy_wh) == {120}


def days():
    return DAY.from_, DAY.to


async def test_half_hours_of_a_profile_that_expects_them_every_minute_are_half_hours(town):
    await town.store(await town.meter("m", profile="generic"), halves(30))
    found = await ask(town, OPEN)
    assert (found.interval_s, set(found.curve.present)) == (1800, {1})


async def device(town, id="m", asked=DAY):
    return await town.street().device(DEFAULT_TENANT, id, asked)


async def test_one_device_is_expected_over_the_whole_span(town):
    await town.store(await town.meter("m"), halves(100, 10, 20))
    found = await device(town)
    assert (found.homes, found.curve.expected, sum(found.curve.present)) == (1, (1,) * 48, 10)
    assert found.curve.days[0].energy_wh == 1000
    whole = await device(town, asked=OPEN)
    assert (whole.from_, whole.to) == (date(2013, 1, 1), date(2013, 1, 2))


async def test_one_reading(town):
    await town.store(await town.meter("m"), halves(100, 10, 11))
    found = (await device(town, asked=OPEN)).curve.summary
    assert (found.intervals, found.energy_wh, found.load_factor) == (1, 100, 1)


async def test_a_device_is_measured_as_its_installation_says(town):
    await town.store(await town.meter("m"), halves(3))
    await town.home("place", Installation("m", "energy_wh", NOON, unit="kWh", interval_s=3600))
    found = await device(town)
    assert (found.interval_s, found.curve.energy_wh) == (3600, (6000,) * 24)


@pytest.mark.parametrize(
    ("id", "channel", "detail"),
    [
        ("x", "energy_wh", "there is no device x"),
        ("m", "power_w", "power_w does not measure energy"),
        ("m", "export_wh", "m has no reading of export_wh; it has power_w"),
        ("mute", "energy_wh", "mute has no reading of energy_wh$"),
    ],
)
async def test_a_device_without_energy(town, id, channel, detail):
    await town.meter("mute")
    await town.store(await town.meter("m"), halves(1.5), "power_w", exact=False)
    with pytest.raises(Refused, match=detail):
        await device(town, id, Asked(channel))


@pytest.mark.slow
async def test_the_household_s_year(town, household):
    await town.store(await town.meter("m"), [(each.start_ms, each.energy_wh) for each in household])
    found = await device(town, asked=Asked("energy_wh", date(2013, 1, 1), date(2014, 1, 1)))
    summary = found.curve.summary
    assert (summary.energy_wh, summary.intervals, summary.complete) == (4_214_648, 17_520, 17_520)
    by_length = {day.expected for day in found.curve.days}
    assert (by_length, sum(day.energy_wh for day in found.curve.days)) == ({46, 48, 50}, 4_214_648)
    last_year = await device(town, asked=OPEN)
    assert (last_year.to - last_year.from_).days == 365
    assert last_year.curve.summary.complete < last_year.curve.grid.count
