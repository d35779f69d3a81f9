"""People of a block: the chain keeps the expected share, appliances run about as often as the table says."""

import numpy as np
import pytest

from ringmain.simulator.chance import Chance
from ringmain.simulator.household.activity import (
    SLOTS,
    _one_after_another,
    _shares,
    active_people,
    chances_of,
    uses_of,
)
from ringmain.simulator.household.appliances import APPLIANCES
from ringmain.simulator.household.days import STEPS
from ringmain.simulator.household.traits import HOMES, homes_of

HOMES_1 = homes_of(1, 0, 0.0)
DAYS = 30


def days(day_type, season=0.0):
    chances = chances_of(HOMES_1, day_type)
    for day in range(DAYS):
        chance = Chance(9, day_type, day)
        active = active_people(HOMES_1, chances, chance.words(STEPS, len(HOMES_1.person_class)))
        yield active, uses_of(HOMES_1, chances, day_type, season, active, chance)


@pytest.mark.parametrize("day_type", [0, 1, 2])
def test_as_many_are_active_as_the_rhythm_says(day_type):
    expected = _shares(day_type)[:, HOMES_1.person_class].sum(axis=1)
    found = np.mean([active.sum(axis=0) for active, _ in days(day_type)], axis=0)
    assert found == pytest.approx(expected, abs=0.03 * len(HOMES_1.person_class))


def test_no_more_are_active_than_live_there():
    for active, _ in days(0):
        assert (active >= 0).all()
        assert (active.max(axis=1) <= HOMES_1.people).all()
        break


def test_states_last_for_a_while():
    active, _ = next(days(2))
    alone = active[HOMES_1.people == 1]
    changes = (np.diff(alone, axis=1) != 0).sum(axis=1).mean()
    assert 4 < changes < 20


def count_of(name, day_type, season=0.0):
    """Uses a day and home of an appliance that has one pulse, by its power."""
    row = next(row for row, kind in enumerate(APPLIANCES) if kind.name == name)
    watts = HOMES_1.appliance_w[row]
    total = 0
    for _, uses in days(day_type, season):
        total += int(((uses.watts == watts[uses.home]) & (uses.minutes <= APPLIANCES[row].minutes[1])).sum())
    return total / DAYS / np.count_nonzero(watts)


def test_kettles_boil_about_as_often_as_the_table_says():
    kettle = APPLIANCES[0]
    expected = np.mean((kettle.per_day + kettle.per_person * HOMES_1.people) * HOMES_1.uses) * kettle.by_day_type[0]
    assert count_of("kettle", 0) == pytest.approx(expected, rel=0.15)


@pytest.mark.slow
def test_a_sunday_has_more_roasts_than_a_monday_and_winter_more_than_summer():
    row = next(row for row, kind in enumerate(APPLIANCES) if kind.name == "oven at noon")
    slot = SLOTS.index(row)
    assert chances_of(HOMES_1, 2).slots[slot].sum() > 3 * chances_of(HOMES_1, 0).slots[slot].sum()
    assert count_of("vacuum cleaner", 1) > count_of("vacuum cleaner", 2)


def test_nothing_begins_where_nobody_is_active():
    for active, uses in days(0):
        # A pulse may come later than the use it belongs to; all of a use begin within the longest of them.
        begun = np.add.accumulate(active > 0, axis=1)[uses.home, np.minimum(uses.start // 10, STEPS - 1)]
        assert (begun > 0).all()


def test_who_owns_nothing_uses_nothing():
    for _, uses in days(1):
        assert (uses.watts > 0).all()
        assert (uses.minutes > 0).all()
        assert ((uses.home >= 0) & (uses.home < HOMES)).all()


def test_one_thing_after_another():
    group, home = np.array([0, 0, 0, 1]), np.array([7, 7, 8, 7])
    start, end = np.array([10, 15, 15, 15]), np.array([20, 25, 25, 25])
    assert sorted(_one_after_another(group, home, start, end).tolist()) == [0, 2, 3]
