"""Statistics: refused without values, exact for integers, independent of order, sound at the edge of doubles."""

import math
import statistics
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringmain.model.time import Instant, Interval
from ringmain.services.aggregation.statistics import aggregate

UNHURRIED = settings(deadline=None)  # a busy machine is not a failure

SPAN = Interval(Instant(0), Instant(900_000))
LARGE = 1.7e308


def test_a_window_without_readings_has_no_statistics():
    with pytest.raises(ValueError, match="without readings"):
        aggregate([], SPAN)


def test_integers_stay_integers_where_a_double_would_lose_one():
    found = aggregate([2**60 + 1, 2, 2**60 + 1], SPAN)
    assert (found.sum, found.min, found.max) == (2**61 + 4, 2, 2**60 + 1)
    assert all(type(value) is int for value in (found.sum, found.min, found.max))
    assert type(found.mean) is type(found.median) is float
    assert found.count == 3
    assert (found.start_ms, found.end_ms) == (0, 900_000)


def test_the_median_of_an_even_number_lies_between_the_middle_two():
    assert aggregate([4, 1, 3, 2], SPAN).median == 2.5
    assert aggregate([4.0, 1.0, 3.0], SPAN).median == 3.0


def test_a_sum_beyond_the_largest_double_is_infinite_and_the_mean_is_not():
    found = aggregate([LARGE, LARGE], SPAN)
    assert math.isinf(found.sum)
    assert found.mean == found.median == LARGE


@UNHURRIED
@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
def test_integers_as_the_standard_library_has_them(values):
    found = aggregate(values, SPAN)
    assert found.sum == sum(values)
    assert found.mean == float(Fraction(sum(values), len(values)))
    assert found.median == pytest.approx(float(statistics.median(values)), rel=1e-15)


@UNHURRIED
@given(st.lists(st.floats(-1e300, 1e300), min_size=1).flatmap(lambda v: st.tuples(st.just(v), st.permutations(v))))
def test_the_order_of_arrival_does_not_matter(both):
    one, other = both
    found = aggregate(one, SPAN)
    assert found == aggregate(other, SPAN)
    assert found.min <= found.median <= found.max
