"""The verdict: every way in which a store can be wrong has to be noticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.apps.lab.comparison import Comparison, Difference, Repetition, compare, complaints

SOURCE = {10: 1, 20: 2, 30: 3}
TRUE = [(10, 1), (20, 2), (30, 3)]


def test_the_same_is_sound():
    comparison = compare(SOURCE, TRUE)
    assert comparison == Comparison(3, (), (), (), (), 0)
    assert comparison.sound
    assert complaints(comparison) == []


@pytest.mark.parametrize(
    ("served", "expected", "text"),
    [
        (TRUE[:2], Comparison(2, (30,), (), (), (), 0), "1 readings missing from the API: 30"),
        ([], Comparison(0, (10, 20, 30), (), (), (), 0), "3 readings missing from the API: 10, 20, 30"),
        ([*TRUE, (40, 4)], Comparison(3, (), (40,), (), (), 0), "1 readings not in the source: 40"),
        (
            [(10, 1), (20, 9), (30, 3)],
            Comparison(2, (), (), (Difference(20, 2, 9),), (), 0),
            "of another value: 20 (2 became 9)",
        ),
        (
            [(10, 1), (20, 2.0), (30, 3)],
            Comparison(2, (), (), (Difference(20, 2, 2.0),), (), 0),
            "of another value: 20 (2 became 2.0)",
        ),
        (
            [(10, 1), (20, 2), (20, 2), (30, 3)],
            Comparison(2, (), (), (), (Repetition(20, 2),), 0),
            "returned more than once: 20 (2 times)",
        ),
        ([(20, 2), (10, 1), (30, 3)], Comparison(3, (), (), (), (), 1), "1 readings came out of order"),
    ],
)
def test_every_difference_is_noticed(served, expected, text):
    comparison = compare(SOURCE, served)
    assert comparison == expected
    assert not comparison.sound
    assert any(text in line for line in complaints(comparison))


def test_many_differences_are_counted_and_few_named():
    (line,) = complaints(compare(dict.fromkeys(range(1000), 0), []))
    assert line.startswith("1000 readings missing")
    assert line.endswith("18, 19, …")


readings = st.dictionaries(st.integers(0, 50), st.integers(0, 5), min_size=1)


@given(readings, st.data())
def test_any_single_mutation_is_noticed(source, data):
    served = sorted(source.items())
    assert compare(source, served).sound
    index = data.draw(st.integers(0, len(served) - 1))
    at, value = served[index]
    mutations = {
        "drop": [*served[:index], *served[index + 1 :]],
        "alter": [*served[:index], (at, value + 1), *served[index + 1 :]],
        "repeat": [*served[: index + 1], *served[index:]],
        "invent": [*served, (51, value)],
    }
    assert not compare(source, mutations[data.draw(st.sampled_from(sorted(mutations)))]).sound
