"""The table of appliances: rows that can be true."""

import pytest

from ringmain.simulator.household.appliances import APPLIANCES


@pytest.mark.parametrize("kind", APPLIANCES, ids=lambda kind: kind.name)
def test_every_row_is_possible(kind):
    assert 0 < kind.owned <= 1
    assert 0 < kind.watts[0] <= kind.watts[1] <= 9000
    assert 0 < kind.minutes[0] <= kind.minutes[1] <= 240
    assert kind.uses_max >= 1
    assert abs(kind.winter) < 1
    assert all(factor > 0 for factor in kind.by_day_type)


@pytest.mark.parametrize("kind", APPLIANCES, ids=lambda kind: kind.name)
def test_pulses_follow_each_other_within_the_time_it_runs(kind):
    at = 0.0
    for begin, end, part in kind.pulses:
        assert at <= begin < end <= 1
        assert 0 < part <= 1
        at = end


def test_names_are_unique_and_neighbours_exist():
    names = [kind.name for kind in APPLIANCES]
    assert len(set(names)) == len(names)
    assert all(not kind.not_beside or kind.not_beside in names for kind in APPLIANCES)
