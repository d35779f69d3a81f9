"""Chance with a key: the same for the same key, uniform, and the same in every release of numpy."""

import numpy as np
import pytest

from ringmain.simulator.chance import Chance


def test_the_numbers_of_a_key_are_these():
    """Held to the digit: if numpy's raw output or our reading of it changed, every home would change."""
    assert Chance(1, 2, 3).uniform(3).tolist() == [0.9640155769884586, 0.6704722624272108, 0.8723166573327035]
    assert Chance(1, 2, 3).words(4).tolist() == [47504, 63177, 4600, 43940]


@pytest.mark.parametrize("other", [(1, 2, 4), (2, 2, 3), (1, 3, 3), (1, 2)])
def test_another_key_gives_other_numbers(other):
    assert not np.array_equal(Chance(1, 2, 3).uniform(8), Chance(*other).uniform(8))


def test_a_negative_key_is_refused():
    with pytest.raises(ValueError, match="negative"):
        Chance(-1)


@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 3, 7)])
def test_shapes_are_as_asked_for_odd_counts_too(shape):
    chance = Chance(5)
    assert chance.uniform(*shape).shape == shape
    assert chance.words(*shape).shape == shape
    assert chance.normal(*shape).shape == shape


def test_uniform_numbers_fill_the_unit_interval_evenly():
    numbers = Chance(7).uniform(100_000)
    assert numbers.min() >= 0
    assert numbers.max() < 1
    counts = np.histogram(numbers, bins=20, range=(0, 1))[0]
    assert abs(counts - 5000).max() < 350  # five standard deviations


def test_words_fill_sixteen_bits():
    words = Chance(8).words(100_000)
    assert words.dtype == np.uint16
    assert abs(float(words.mean()) - 32_767.5) < 300
    assert int(words.max()) > 65_500
    assert int(words.min()) < 35


def test_normal_numbers_have_mean_nought_and_variance_one_and_no_freaks():
    numbers = Chance(9).normal(50_000)
    assert abs(numbers.mean()) < 0.02
    assert abs(numbers.std() - 1) < 0.02
    assert abs(numbers).max() <= 6
