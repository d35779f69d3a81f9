"""Rhythms of people: knots that make sense, and chains that keep their mean."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.simulator.household.appliances import APPLIANCES
from ringmain.simulator.household.days import STEPS
from ringmain.simulator.household.rhythm import PEOPLE, at_steps, transitions

ALL = list(itertools.chain.from_iterable((*PEOPLE, *(kind.rhythm for kind in APPLIANCES))))


@pytest.mark.parametrize("knots", ALL)
def test_knots_cover_a_day_in_order(knots):
    hours = [hour for hour, _ in knots]
    assert hours == sorted(set(hours))
    assert (hours[0], hours[-1]) == (3, 27)
    assert min(value for _, value in knots) >= 0


def test_values_at_steps_lie_on_the_lines():
    values = at_steps(((3, 0.0), (27, 24.0)))
    assert len(values) == STEPS
    assert values[0] == pytest.approx(1 / 12)
    assert values[-1] == pytest.approx(24 - 1 / 12)


@pytest.mark.parametrize("knots", [knots for kind in PEOPLE for knots in kind])
def test_the_chain_of_every_kind_of_person_follows_its_share(knots):
    share = at_steps(knots)
    assert follow(share) == pytest.approx(share, abs=0.02)


@given(st.lists(st.floats(0.0, 1.0), min_size=2, max_size=20))
def test_transitions_are_chances_whatever_the_share_does(levels):
    share = np.repeat(levels, 3)
    begin, stay = transitions(share)
    assert ((begin >= 0) & (begin <= 1) & (stay >= 0) & (stay <= 1)).all()
    assert ((follow(share) >= 0) & (follow(share) <= 1)).all()


def follow(share):
    """The mean of the chain, step by step, from the chances alone."""
    begin, stay = transitions(share)
    mean, means = share[0], []
    for step in range(len(share)):
        mean = mean * stay[step] + (1 - mean) * begin[step]
        means.append(mean)
    return np.array(means)
