"""Profiles: nothing from nothing, the household's own figures, day types in local time."""

import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringmain.metering.intervals import EnergyInterval, starting_in
from ringmain.metering.profiles import DayType, load_profile, load_summary, percentile
from ringmain.model.time import Interval, format_rfc3339, parse_rfc3339

UNHURRIED = settings(deadline=None)  # a busy machine is not a failure

HALF_MS = 1_800_000
YEAR = Interval(parse_rfc3339("2013-01-01T00:00:00Z"), parse_rfc3339("2014-01-01T00:00:00Z"))


def at(stamp, energy_wh):
    start = parse_rfc3339(stamp)
    return EnergyInterval(start, start + HALF_MS, energy_wh)


@pytest.fixture(scope="module")
def year(household):
    return tuple(starting_in(household, YEAR))


def test_nothing_from_nothing():
    assert load_summary([]) is None
    assert load_profile([], "UTC") == ()


def test_a_load_that_never_ran_has_no_load_factor():
    summary = load_summary([at("2013-01-01T00:00:00Z", 0)])
    assert (summary.load_factor, summary.peak.power_w, summary.always_on_w) == (None, 0, 0)


def test_a_constant_load_has_load_factor_one_and_peaks_first():
    summary = load_summary([at("2013-01-01T00:00:00Z", 50), at("2013-01-01T00:30:00Z", 50)])
    assert (summary.load_factor, summary.mean_w, summary.always_on_w) == (1, 100, 100)
    assert summary.peak.start_ms == parse_rfc3339("2013-01-01T00:00:00Z")


def test_the_peak_is_the_highest_power_not_the_largest_energy():
    long = EnergyInterval(0, 4 * HALF_MS, 300)
    short = EnergyInterval(4 * HALF_MS, 5 * HALF_MS, 200)
    summary = load_summary([long, short])
    assert summary.peak.energy_wh == 200
    assert summary.mean_w == 500 / 2.5, "the mean is over time, not over intervals"


def test_the_household_s_year(year):
    summary = load_summary(year)
    assert (summary.intervals, summary.energy_wh) == (17520, 4_214_648)
    assert summary.mean_w == pytest.approx(4_214_648 / 8760)
    energies = sorted(each.energy_wh for each in year)
    assert summary.peak.energy_wh == energies[-1]
    assert summary.load_factor == pytest.approx(statistics.fmean(energies) / energies[-1])
    assert summary.always_on_w == pytest.approx(2 * statistics.quantiles(energies, n=20, method="inclusive")[0])
    assert format_rfc3339(summary.peak.start_ms).startswith("2013-")


def test_the_household_s_load_profile(year):
    profile = load_profile(year, "Europe/London")
    assert len(profile) == 3 * 48
    assert [point.day_type for point in profile[::48]] == list(DayType)
    assert [point.time for point in profile[:3]] == ["00:00", "00:30", "01:00"]
    assert sum(point.count for point in profile) == 17520
    assert sum(point.mean_w * point.count for point in profile) / 2 == pytest.approx(4_214_648)
    assert all(point.p10_w <= point.p50_w <= point.p90_w for point in profile)
    assert {point.time: point.count for point in profile if point.day_type is DayType.SUNDAY}["01:00"] == 52, (
        "52 Sundays; one left 01:00 out, another had it twice"
    )


def test_day_types_are_those_of_local_time():
    monday_in_london = at("2013-06-30T23:30:00Z", 1)
    assert [(p.day_type, p.time) for p in load_profile([monday_in_london], "Europe/London")] == [("workday", "00:30")]
    assert [(p.day_type, p.time) for p in load_profile([monday_in_london], "UTC")] == [("sunday", "23:30")]


@UNHURRIED
@given(st.lists(st.floats(-1e6, 1e6), min_size=2), st.integers(1, 99))
def test_percentiles_are_those_of_the_standard_library(values, percent):
    expected = statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
    assert percentile(sorted(values), percent) == pytest.approx(expected, abs=1e-6)
    assert percentile(sorted(values), 100) == max(values)
