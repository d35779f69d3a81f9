"""Collection: an unknown meter is refused; meter exchanges, registers and pages need no special case."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from ringmain.metering.collection import PAGE_READINGS, collect
from ringmain.metering.installation import Installation, Installations
from ringmain.model.errors import Refused
from ringmain.model.time import DAY_MS, HOUR_MS, Instant, Interval, format_rfc3339, instant_of

HALF_MS = 1_800_000
START = datetime(2013, 1, 1, tzinfo=UTC)
NOON = datetime(2013, 1, 1, 12, tzinfo=UTC)
BEGIN = instant_of(START)
DAY = Interval(BEGIN, Instant(BEGIN + DAY_MS))


def half_hours(start, end):
    return dict.fromkeys(range(start, end, HALF_MS), 1)


async def collected(house, *links, span=DAY):
    return await collect(house.timeseries, house.registry, house.tenant, Installations("up", links), span)


async def test_a_meter_that_is_not_registered_is_refused(house):
    with pytest.raises(Refused, match="meter m1 is not registered"):
        await collected(house, Installation("m1", "energy_wh", START))


async def test_without_a_meter_nothing_is_expected_and_the_time_is_named(house):
    found = await collected(house)
    assert (found.intervals, found.completeness.expected, found.uninstalled) == ((), 0, (DAY,))


async def test_a_meter_exchange_counts_each_meter_while_it_was_there(house):
    one, two = house.registry.register("m1"), house.registry.register("m2")
    house.timeseries.store(one, "energy_wh", half_hours(BEGIN, DAY.end))
    house.timeseries.store(two, "import_wh", half_hours(BEGIN, DAY.end))
    found = await collected(
        house,
        Installation("m1", "energy_wh", datetime(2012, 1, 1, tzinfo=UTC), datetime(2013, 1, 1, 10, tzinfo=UTC)),
        Installation("m2", "import_wh", NOON, unit="kWh", multiplier=Decimal(2)),
    )
    assert sum(each.energy_wh for each in found.intervals) == 20 + 24 * 2000
    assert [each.start_ms for each in found.intervals] == sorted(each.start_ms for each in found.intervals)
    assert found.uninstalled == (Interval(Instant(BEGIN + 10 * HOUR_MS), instant_of(NOON)),)
    assert found.completeness.missing == 0
    assert [(each.device, each.channel, each.from_, each.to) for each in found.queries] == [
        ("m1", "energy_wh", "2013-01-01T00:00:00Z", "2013-01-01T10:00:00Z"),
        ("m2", "import_wh", "2013-01-01T12:00:00Z", "2013-01-02T00:00:00Z"),
    ]


async def test_a_register_is_read_one_count_beyond_the_period_however_late_it_came(house):
    meter = house.registry.register("m1")
    reads = {BEGIN + slot * HALF_MS: slot * 10 for slot in range(48)}
    house.timeseries.store(meter, "import_wh", {**reads, DAY.end + 5 * HALF_MS: 1000})
    link = Installation("m1", "import_wh", START, reading="register")
    found = await collected(house, link)
    assert sum(each.energy_wh for each in found.intervals) == 1000
    next_day = Interval(DAY.end, Instant(DAY.end + DAY_MS))
    after = await collected(house, link, span=next_day)
    assert sum(each.energy_wh for each in after.intervals) == 0, "what one period billed the next does not"


async def test_a_register_is_not_read_beyond_the_end_of_its_link(house):
    meter = house.registry.register("m1")
    house.timeseries.store(meter, "import_wh", {BEGIN: 0, instant_of(NOON): 5, instant_of(NOON) + 1: 500})
    found = await collected(house, Installation("m1", "import_wh", START, NOON, reading="register"))
    assert [each.energy_wh for each in found.intervals] == [5], "the final count is taken when the meter leaves"


@pytest.mark.parametrize("count", [PAGE_READINGS - 1, PAGE_READINGS, PAGE_READINGS + 1])
async def test_readings_are_fetched_in_pages_and_none_is_lost_at_the_seam(house, count):
    meter = house.registry.register("m1")
    span = Interval(BEGIN, Instant(BEGIN + count))
    house.timeseries.store(meter, "energy_wh", dict.fromkeys(range(span.start, span.end), 1))
    found = await collected(house, Installation("m1", "energy_wh", START), span=span)
    assert len(found.intervals) == count
    assert house.timeseries.looks == count // PAGE_READINGS + 1
    assert found.queries[0].to == format_rfc3339(span.end)
