"""A meter's pace: its clock runs wrong, its messages are all said, once."""

from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.simulator.pace import REPORT_EVERY_S, SET_EVERY_S, DriftingClock, Feed, overtaken

MESSAGES = [b"%d" % number for number in range(100)]


@pytest.mark.parametrize("drift", [-0.1, 0.51, 7])
def test_a_clock_that_is_no_clock_is_refused(drift):
    with pytest.raises(ValueError, match="a drift of"):
        DriftingClock(drift, Random(1))


def test_without_drift_it_is_right():
    clock = DriftingClock(0, Random(1))
    assert [clock.read(at) for at in (0, 1.5, 100, 10_000)] == [0, 1.5, 100, 10_000]


@given(st.integers(0, 10_000), st.lists(st.floats(0, 500), min_size=1).map(sorted))
def test_it_is_never_further_off_than_one_rate_for_one_span(seed, moments):
    clock = DriftingClock(0.2, Random(seed))
    assert all(abs(clock.read(at) - at) <= 0.2 * SET_EVERY_S[1] for at in moments)


def test_it_goes_wrong_and_is_set_right_so_that_it_jumps():
    clock = DriftingClock(0.2, Random(3))
    errors = [clock.read(step / 10) - step / 10 for step in range(600)]
    assert max(map(abs, errors)) > 0.4
    jumps = [after - before for before, after in pairwise(errors) if abs(after - before) > 0.1]
    assert len(jumps) >= 3


def test_seeds_differ_and_repeat():
    def shown(seed):
        return DriftingClock(0.2, Random(seed)).read(30)

    assert shown(1) == shown(1)
    assert shown(1) != shown(2)


def released(feed, moments):
    return [message for at in moments for message in feed.due(at)]


@given(
    st.integers(0, 1_000), st.floats(0, 0.5), st.lists(st.floats(0, 60), max_size=30).map(sorted), st.floats(0.1, 50)
)
def test_everything_is_released_once_and_in_order(seed, drift, moments, seconds):
    feed = Feed(MESSAGES, seconds, DriftingClock(drift, Random(seed)))
    before = released(feed, [0, *moments])
    assert before == MESSAGES[: len(before)]
    assert feed.left == len(MESSAGES) - len(before)
    assert before + released(feed, [200]) == MESSAGES
    assert feed.left == 0


def test_it_is_spread_over_the_time_and_starts_with_the_first_look():
    feed = Feed(MESSAGES, 10, DriftingClock(0, Random(1)))
    assert [len(feed.due(at)) for at in (1_000, 1_001, 1_005, 1_005, 1_010)] == [0, 10, 40, 0, 50]


def test_a_clock_that_jumps_back_releases_nothing_twice():
    class Jumping:
        shown = iter((5.0, 2.0, 6.0))

        def read(self, _):
            return next(self.shown)

    feed = Feed(MESSAGES, 10, Jumping())
    assert [len(feed.due(at)) for at in (1, 2, 3)] == [50, 0, 10]


def test_without_a_span_everything_is_due_at_once():
    assert Feed(MESSAGES, 0, DriftingClock(0, Random(1))).due(5) == MESSAGES


def test_hurry_releases_what_is_left():
    feed = Feed(MESSAGES, 1_000, DriftingClock(0, Random(1)))
    assert feed.due(0) == []
    assert feed.look_again() == REPORT_EVERY_S
    feed.hurry()
    assert feed.due(0.1) == MESSAGES
    assert feed.look_again() == float("inf")


@given(st.integers(0, 1_000), st.integers(0, 20))
def test_overtaking_is_bounded_and_loses_nothing(seed, places):
    order = [int(message) for message in overtaken(MESSAGES, places, Random(seed))]
    assert sorted(order) == list(range(100))
    for position, number in enumerate(order):
        assert sum(1 for other in order[:position] if other > number) <= places


def test_overtaking_happens():
    assert overtaken(MESSAGES, 3, Random(1)) != MESSAGES
    assert overtaken(MESSAGES, 0, Random(1)) == MESSAGES
