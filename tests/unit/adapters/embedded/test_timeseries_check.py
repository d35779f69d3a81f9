"""How look-ups are cut where stamps lie far apart."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ringmain.adapters.embedded.timeseries_check import stretches


def cut(stamps, gap_ms=10, count_max=4):
    return list(stretches(np.array(stamps, np.int64), gap_ms, count_max))


def test_near_stamps_share_one_look_up():
    assert cut([5, 1, 9]) == [(1, 9)]
    assert cut([3]) == [(3, 3)]


def test_an_outlier_has_a_look_up_of_its_own():
    assert cut([1, 1000, 5, 9]) == [(1, 9), (1000, 1000)]
    assert cut([1, 11]) == [(1, 11)]
    assert cut([1, 12]) == [(1, 1), (12, 12)]


def test_beyond_the_limit_only_the_widest_gaps_are_cut():
    assert cut([0, 100, 300, 350, 900, 1000], count_max=3) == [(0, 100), (300, 350), (900, 1000)]
    assert cut([0, 100, 300], count_max=1) == [(0, 300)]


@given(
    st.lists(st.integers(-(2**62), 2**62), min_size=1, max_size=30),
    st.integers(1, 2**40),
    st.integers(1, 9),
)
def test_every_stamp_lies_in_exactly_one_stretch(stamps, gap_ms, count_max):
    found = cut(stamps, gap_ms, count_max)
    assert len(found) <= count_max
    for stamp in stamps:
        assert sum(low <= stamp <= high for low, high in found) == 1
