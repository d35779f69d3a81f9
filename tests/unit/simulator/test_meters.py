"""Meters: registers and intervals that agree for ever, clocks that drift, the same answer in any order."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringmain.model.time import DAY_MS, parse_rfc3339
from ringmain.simulator.household.block import HouseholdBlock
from ringmain.simulator.household.days import Place
from ringmain.simulator.meters import DRIFT_PPM_MAX, MeterBank
from ringmain.simulator.registers import MJ_PER_WH, HouseholdEnergy

FROM_MS = parse_rfc3339("2026-03-27T00:00:00Z")
ENERGY = HouseholdEnergy(HouseholdBlock(1, 0, Place(), 0.5), FROM_MS)
HALF_HOUR = 1_800_000


class Steady:
    """Homes that draw a fixed number of watts, for meters alone."""

    rows = 3
    initial_wh = (np.array([0, 10, 20]), np.array([0, 0, 5]))
    exporting = np.array([False, False, True])

    def __init__(self, watts=1000, export_w=0):
        self.watts, self.export_w = watts, export_w

    def counted_mj(self, at_ms):
        return at_ms * self.watts, at_ms * self.export_w


@pytest.mark.parametrize("every_ms", [0, -1000, 7000, 1_800_001])
def test_an_interval_that_does_not_divide_a_day_is_refused(every_ms):
    with pytest.raises(ValueError, match="divide a day"):
        MeterBank(Steady(), 1, 0, every_ms)


@pytest.mark.parametrize("drift_ppm", [0.0, 100.0])
@pytest.mark.parametrize("every_ms", [10_000, HALF_HOUR, 3_600_000])
def test_register_differences_are_the_sums_of_intervals(every_ms, drift_ppm):
    bank = MeterBank(ENERGY, 1, 0, every_ms, drift_ppm)
    first = FROM_MS // every_ms
    count = min(300, 3 * DAY_MS // every_ms)
    for row in (0, 5, 255):
        readings = [bank.reading(row, first + number) for number in range(count)]
        for one, following in itertools.pairwise(readings):
            assert following.import_wh - one.import_wh == one.energy_wh >= 0
            assert following.start_ms - one.start_ms == every_ms
            assert following.export_wh >= one.export_wh


def test_readings_of_every_length_come_from_one_register():
    """Ten seconds or half an hour: the registers agree wherever their stamps do."""
    fine, coarse = MeterBank(ENERGY, 1, 0, 10_000), MeterBank(ENERGY, 1, 0, HALF_HOUR)
    begin = FROM_MS // HALF_HOUR + 20
    total = sum(fine.reading(9, begin * 180 + number).energy_wh for number in range(180))
    assert total == coarse.reading(9, begin).energy_wh
    assert fine.reading(9, begin * 180).import_wh == coarse.reading(9, begin).import_wh


@pytest.mark.slow
@settings(max_examples=5, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, 300)), min_size=1, max_size=20))
def test_the_same_reading_in_any_order_by_any_meter_bank(places):
    first = FROM_MS // HALF_HOUR
    used, fresh = MeterBank(ENERGY, 1, 0, HALF_HOUR, 50.0), MeterBank(ENERGY, 1, 0, HALF_HOUR, 50.0)
    found = [used.reading(row, first + number) for row, number in places]
    assert found[-1] == fresh.reading(places[-1][0], first + places[-1][1])
    assert found == [used.reading(row, first + number) for row, number in places]


def test_registers_begin_where_the_home_says():
    bank = MeterBank(Steady(watts=1000, export_w=400), 1, 0, HALF_HOUR)
    assert [bank.reading(row, 0).import_wh for row in range(3)] == [0, 10, 20]
    assert bank.reading(2, 2).export_wh == 5 + 400
    assert bank.reading(0, 0).energy_wh == 500
    assert bank.reading(0, 0).power_w == 1000


def test_fractions_of_a_watt_hour_are_carried_on():
    bank = MeterBank(Steady(watts=250), 1, 0, 1000)  # 0.069 Wh a second
    energies = [bank.reading(0, number).energy_wh for number in range(3600)]
    assert set(energies) == {0, 1}
    assert sum(energies) == 250


def test_clocks_without_drift_are_right():
    bank = MeterBank(Steady(), 1, 0, 10_000)
    assert [bank.true_ms(0, number) for number in (0, 5, 8639, 8640)] == [0, 50_000, 86_390_000, 86_400_000]


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 1000), st.floats(0.0, 200.0))
def test_a_clock_never_runs_back_and_is_right_at_midnight(seed, drift_ppm):
    bank = MeterBank(Steady(), seed, 0, 10_000, drift_ppm)
    for row in range(3):
        times = [bank.true_ms(row, number) for number in range(8640 * 2 - 30, 8640 * 2 + 30)]
        assert times == sorted(times)
        assert times[30] == 2 * DAY_MS
        latest = abs(times[29] - (2 * DAY_MS - 10_000))
        assert latest <= DRIFT_PPM_MAX * 1e-6 * DAY_MS + 1


def test_drift_is_spread_over_fast_and_slow_clocks_and_bounded():
    drift = MeterBank(ENERGY, 1, 0, 10_000, 20.0).drift * 1e6
    assert abs(drift.mean()) < 5
    assert 15 < drift.std() < 25
    assert abs(MeterBank(ENERGY, 1, 0, 10_000, 1e6).drift).max() <= DRIFT_PPM_MAX * 1e-6


def test_a_fast_clock_shows_the_hour_early_and_gets_less_of_it():
    bank = MeterBank(Steady(watts=1_000_000), 1, 0, HALF_HOUR, 400.0)
    fast = int(bank.drift.argmax())
    slow = int(bank.drift.argmin())
    assert bank.drift[fast] > 0 > bank.drift[slow]
    assert bank.true_ms(fast, 1) < HALF_HOUR < bank.true_ms(slow, 1)
    assert bank.reading(fast, 0).energy_wh < 500_000 < bank.reading(slow, 0).energy_wh
    day = sum(bank.reading(fast, number).energy_wh for number in range(48))
    assert day == 24_000_000  # the clock is set at midnight: no energy is lost over a day


def test_what_a_slow_clock_had_not_shown_at_midnight_is_never_negative():
    bank = MeterBank(Steady(watts=1_000_000), 1, 0, 10_000, 500.0)
    slow = int(bank.drift.argmin())
    midnight = DAY_MS // 10_000
    before, last, first = (bank.reading(slow, midnight + number) for number in (-4, -1, 0))
    assert before.energy_wh >= last.energy_wh >= 0
    assert last.energy_wh < 2778 <= first.energy_wh + 1
    assert before.import_wh <= last.import_wh <= first.import_wh


def test_power_is_the_mean_of_the_interval_and_voltage_near_its_norm():
    bank = MeterBank(ENERGY, 1, 0, HALF_HOUR)
    first = FROM_MS // HALF_HOUR
    for number in range(60):
        reading = bank.reading(17, first + number)
        assert abs(reading.power_w - 2 * reading.energy_wh) <= 2
        assert 207 <= reading.voltage_v <= 253  # EN 50160: 230 V and 10 %


def test_prefetching_makes_the_page_that_is_wanted_next():
    asked = []

    class Counting(Steady):
        def counted_mj(self, at_ms):
            asked.append(int(at_ms[0, 0]))
            return super().counted_mj(at_ms)

    bank = MeterBank(Counting(), 1, 0, HALF_HOUR)
    bank.prefetch(0)
    bank.reading(1, 3)
    bank.prefetch(HALF_HOUR)
    assert asked == [0]
    bank.prefetch(31 * HALF_HOUR)
    bank.reading(2, 32)
    assert asked == [0, 32 * HALF_HOUR]
    assert MJ_PER_WH == 3_600_000
