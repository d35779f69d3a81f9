"""Analytics: what is not energy is refused; a device's load in its own site's days."""

from datetime import date

import pytest

from ringmain.metering.analytics import Analytics
from ringmain.model.errors import Refused

YEAR = (date(2013, 1, 1), date(2014, 1, 1))


@pytest.fixture
def analytics(house):
    return Analytics(house.timeseries, house.registry, house.directory)


@pytest.mark.parametrize(
    ("device", "channel", "interval_s", "detail"),
    [
        ("x", "energy_wh", None, "there is no device x"),
        ("m1", "power_w", None, "power_w measures W, not energy"),
        ("m1", "humidity", None, "humidity measures what its name does not say"),
        ("m1", "energy_wh", 7, "intervals of 7 s do not fill a day"),
        ("m1", "energy_wh", -60, "intervals of -60 s do not fill a day"),
    ],
)
async def test_what_cannot_be_analysed_is_refused(analytics, house, device, channel, interval_s, detail):
    house.registry.register("m1")
    with pytest.raises(Refused, match=detail):
        await analytics.load(house.tenant, device, channel, *YEAR, interval_s=interval_s)
    with pytest.raises(Refused, match="0 days"):
        await analytics.load(house.tenant, "m1", "energy_wh", YEAR[0], YEAR[0])


async def test_the_household_s_year(analytics, house, household):
    key = house.registry.register("m1")
    house.timeseries.store(key, "energy_wh", {each.start_ms: each.energy_wh for each in household})
    report = await analytics.load(house.tenant, "m1", "energy_wh", *YEAR)
    assert (report.zone, report.interval_s, len(report.profile)) == ("Europe/London", 1800, 144)
    assert (report.completeness.expected, report.completeness.missing) == (17520, 0)
    assert report.summary.energy_wh == 4_214_648


async def test_a_channel_of_kwh_is_told_by_its_name_and_an_empty_one_says_so(analytics, house):
    key = house.registry.register("m1", profile="generic", site="gone")
    house.timeseries.store(key, "kWh", {1_357_000_200_000: 0.25})
    report = await analytics.load(house.tenant, "m1", "kWh", *YEAR, interval_s=900)
    assert (report.zone, report.summary.energy_wh, report.summary.mean_w) == ("UTC", 250, 1000)
    empty = await analytics.load(house.tenant, "m1", "energy_wh", *YEAR)
    assert (empty.summary, empty.profile, empty.completeness.present) == (None, (), 0)
