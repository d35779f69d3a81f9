"""Homes as a whole: pure functions of seed, block and day; energy conserved; a year that could be anybody's."""

import csv
from datetime import date, timedelta
from pathlib import Path

import msgspec
import numpy as np
import pytest

from ringmain.simulator.household import block as block_module
from ringmain.simulator.household.activity import Uses
from ringmain.simulator.household.block import FUSE_W, HouseholdBlock, _drawn
from ringmain.simulator.household.days import DAY_TYPES, MINUTES, Place
from ringmain.simulator.household.traits import HOMES

LONDON = Place()
YEAR, SEED = 2025, 1
EPOCH = date(1970, 1, 1)
NEW_YEAR = (date(YEAR, 1, 1) - EPOCH).days
DAYS = 365
SHAPES = Path(__file__).parents[3] / "vectors" / "h25" / "shapes.csv"
HALF_HOURS = 48
SEASONS = ("winter", "summer", "transition")


def test_a_day_is_the_same_whatever_was_asked_for_before():
    fresh, used = HouseholdBlock(1, 2, LONDON, 0.3), HouseholdBlock(1, 2, LONDON, 0.3)
    for number in (NEW_YEAR + 5, NEW_YEAR + 200):
        used.net_w(number)
    assert np.array_equal(fresh.net_w(NEW_YEAR + 100), used.net_w(NEW_YEAR + 100))


@pytest.mark.parametrize("other", [(2, 2), (1, 3)])
def test_another_seed_or_block_is_another_day(other):
    assert not np.array_equal(
        HouseholdBlock(1, 2, LONDON).net_w(NEW_YEAR), HouseholdBlock(*other, LONDON).net_w(NEW_YEAR)
    )


def test_the_same_homes_in_another_block_live_another_day():
    one, other = HouseholdBlock(1, 2, LONDON), HouseholdBlock(1, 3, LONDON)
    other.homes = msgspec.structs.replace(one.homes, number=3)
    assert not (one.net_w(NEW_YEAR) == other.net_w(NEW_YEAR)).all(axis=1).any()
    other.homes = one.homes
    assert np.array_equal(one.net_w(NEW_YEAR), other.net_w(NEW_YEAR))


def test_panels_take_from_the_same_load():
    without, with_panels = HouseholdBlock(1, 0, LONDON), HouseholdBlock(1, 0, LONDON, 0.5)
    roofs = with_panels.homes.pv_w > 0
    day = NEW_YEAR + 170
    plain, net = without.net_w(day), with_panels.net_w(day)
    assert np.array_equal(plain[~roofs], net[~roofs])
    assert (net[roofs] <= plain[roofs]).all()
    assert net[roofs].min() < -1500
    assert plain.min() >= 0


def test_a_day_on_which_clocks_change_repeats_or_leaves_out_an_hour():
    homes = HouseholdBlock(1, 0, LONDON)
    spring, autumn = ((date(YEAR, month, day) - EPOCH).days - 1 for month, day in ((3, 30), (10, 26)))
    assert homes.net_w(spring).shape == (HOMES, 1380)
    long = homes.net_w(autumn)
    assert long.shape == (HOMES, 1500)
    # 01:00 to 02:00 comes twice, 22 hours after three in the morning.
    assert np.array_equal(long[:, 22 * 60 : 23 * 60], long[:, 23 * 60 : 24 * 60])


def test_pulses_are_added_up_and_end_with_the_day():
    def uses(*rows):
        return Uses(*(np.array(column, dtype=np.int64) for column in zip(*rows, strict=True)))

    drawn = _drawn(
        (
            uses((0, 0, 10, 100), (0, 5, 10, 50), (3, MINUTES - 2, 60, 700), (3, 20, 0 + 5, 9)),
            uses((4, 0, 1, 30), (255, MINUTES - 1, 1, 2000)),
        )
    )
    expected = np.zeros((HOMES, MINUTES), dtype=np.int64)
    expected[0, 0:10] += 100
    expected[0, 5:15] += 50
    expected[3, -2:] += 700
    expected[3, 20:25] += 9
    expected[4, 0] += 30
    expected[255, -1] += 2000
    assert np.array_equal(drawn, expected)


def test_an_empty_home_uses_only_what_never_sleeps(monkeypatch):
    monkeypatch.setattr(block_module, "_AWAY_SHARE", 1.0)
    net = HouseholdBlock(1, 0, LONDON).net_w(NEW_YEAR)
    assert net.max() < 330 + 75 + 2 * 115 + 1
    assert net.min() >= 50


# -- a year of many homes -------------------------------------------------------------------------------------


class Year:
    """Half-hour means (homes, days, 48) of two blocks for all days, and the mean of four blocks for every third week.

    Days go from three to three; the mean of a day from midnight to midnight takes its last six half hours from the day
    before. Days on which clocks change are left out.
    """

    def __init__(self) -> None:
        blocks = [HouseholdBlock(SEED, number, LONDON) for number in range(4)]
        self.homes = np.full((2 * HOMES, DAYS, HALF_HOURS), np.nan, dtype=np.float32)
        by_date: dict[int, list[np.ndarray]] = {}
        for index in range(DAYS):
            sampled = index // 7 % 3 == 0
            for place, block in enumerate(blocks if sampled else blocks[:2]):
                net = block.net_w(NEW_YEAR + index)
                if net.shape[1] != MINUTES:
                    continue
                halves = net.reshape(HOMES, HALF_HOURS, -1).mean(axis=2, dtype=np.float32)
                if place < 2:
                    self.homes[place * HOMES : (place + 1) * HOMES, index] = halves
                if sampled:
                    by_date.setdefault(index, []).append(halves.mean(axis=0))
        self.means = {index: np.roll(np.mean(rows, axis=0), 6) for index, rows in by_date.items() if len(rows) == 4}
        every = self.homes.reshape(2 * HOMES, -1)
        self.every = every[:, ~np.isnan(every[0])]


@pytest.fixture(scope="module")
def year():
    return Year()


def shapes():
    with SHAPES.open(newline="", encoding="ascii") as file:
        return {(int(row[0]), row[1]): np.array(row[2:], dtype=float) for row in list(csv.reader(file))[1:]}


def day_of(index):
    return date(YEAR, 1, 1) + timedelta(days=index)


def day_type(day):
    return DAY_TYPES[max(0, day.weekday() - 4)]


def season(day):
    """BDEW's: winter 1 November to 20 March, summer 15 May to 14 September."""
    at = (day.month, day.day)
    if at >= (11, 1) or at <= (3, 20):
        return "winter"
    return "summer" if (5, 15) <= at <= (9, 14) else "transition"


@pytest.mark.slow
@pytest.mark.parametrize("kind", DAY_TYPES)
@pytest.mark.parametrize("when", SEASONS)
def test_the_mean_of_a_thousand_homes_follows_h25(year, when, kind):
    h25 = shapes()
    indices = [index for index in year.means if season(day_of(index)) == when and day_type(day_of(index)) == kind]
    assert len(indices) >= 3
    ours = np.mean([year.means[index] for index in indices], axis=0)
    theirs = np.mean([h25[day_of(index).month, kind] for index in indices], axis=0)
    assert np.corrcoef(ours, theirs)[0, 1] >= 0.96  # asked for: 0.9; another seed has 0.97 and more
    level = np.mean(list(year.means.values()))
    assert ours.mean() / level == pytest.approx(theirs.mean(), rel=0.15)


@pytest.mark.slow
def test_it_does_not_follow_the_shape_of_another_day_as_well(year):
    """What the correlation is worth: a weekday in winter is told from a Sunday in summer."""
    h25 = shapes()
    weekdays = [
        index for index in year.means if day_type(day_of(index)) == "weekday" and season(day_of(index)) == "winter"
    ]
    ours = np.mean([year.means[index] for index in weekdays], axis=0)
    assert np.corrcoef(ours, h25[1, "weekday"])[0, 1] > np.corrcoef(ours, h25[7, "sunday"])[0, 1] + 0.15


@pytest.mark.slow
def test_single_homes_are_like_single_homes(year):
    means, peaks = year.every.mean(axis=1), year.every.max(axis=1)
    always_on = np.percentile(year.every, 5, axis=1)
    load_factors = means / peaks
    kwh = means * 8.76

    assert np.mean((peaks >= 2000) & (peaks <= 9000)) >= 0.95
    assert np.mean((load_factors >= 0.1) & (load_factors <= 0.3)) >= 0.95
    assert np.mean((always_on >= 50) & (always_on <= 400)) >= 0.99

    # What no home does, however rare it is.
    assert year.every.min() >= 0
    assert peaks.max() <= FUSE_W
    assert peaks.min() > 1200
    assert 0.03 < load_factors.min() < load_factors.max() < 0.4
    assert 40 <= always_on.min() < always_on.max() <= 450

    assert 3000 <= kwh.mean() <= 4200
    assert 1000 <= kwh.min() < 2200
    assert 6500 < kwh.max() < 12_000
    assert 0.22 < kwh.std() / kwh.mean() < 0.5


@pytest.mark.slow
def test_homes_do_not_move_in_step(year):
    """Diversity: the peak of the street is far below the sum of its peaks."""
    street = year.every.sum(axis=0)
    assert 0.15 < street.max() / year.every.max(axis=1).sum() < 0.5
    days = year.homes[:40, :60].reshape(40, -1)
    pairs = np.corrcoef(days)[np.triu_indices(40, 1)]
    assert 0.0 < np.median(pairs) < 0.5
