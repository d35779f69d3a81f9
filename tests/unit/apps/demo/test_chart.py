"""Charts: the right heights in the right places, at every width."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.apps.demo.chart import BLOCKS, GAP, Curve, bars, chart

START = "2026-10-24T18:00:00Z"
curves = st.lists(st.one_of(st.none(), st.integers(0, 10**9)), max_size=96).map(
    lambda values: Curve(START, 1800, tuple(values), (1,) * len(values), (1,) * len(values))
)


@given(curves, st.integers(1, 150), st.integers(1, 20))
def test_any_curve_fills_its_room_and_no_more(curve, width, rows):
    drawn = chart(curve, width, rows)
    expected = width if curve.energy_wh else 0
    assert [len(line) for line in drawn.lines] == [expected] * rows
    assert len(drawn.partial) == expected
    assert len(drawn.days) <= width
    assert set("".join(drawn.lines)) <= set(BLOCKS + GAP)


def test_heights_are_shares_of_the_peak():
    drawn = chart(Curve(START, 1800, (1000, 500, 0, None), (1,) * 4, (1,) * 4), 4, 2)
    assert drawn.lines == ("█   ", "██ ·")
    assert drawn.peak_kw == pytest.approx(2.0)
    assert drawn.total_kwh == pytest.approx(1.5)


def test_a_column_of_several_intervals_has_their_mean():
    drawn = chart(Curve(START, 3600, (800, None, 200, 200), (1,) * 4, (1,) * 4), 2, 1)
    assert drawn.lines == ("█▂",)
    assert drawn.peak_kw == pytest.approx(0.8)


def test_columns_in_which_homes_are_missing_are_marked():
    drawn = chart(Curve(START, 1800, (5, 5, 5, None), (2, 1, 2, 0), (2, 2, 2, 2)), 4, 1)
    assert drawn.partial == (False, True, False, True)


def test_midnights_are_named_where_they_are():
    drawn = chart(Curve(START, 3600, (1,) * 36, (1,) * 36, (1,) * 36), 72, 1)
    assert drawn.days.startswith(" " * 12 + "╵Sun 25 Oct")
    assert drawn.days.index("╵Mon 26 Oct") == 60


def test_the_end_of_a_curve_is_cut_and_what_it_does_not_reach_is_unknown():
    curve = Curve("2026-10-25T00:00:00Z", 1800, (1, 2, 3), (7, 8, 9), (9, 9, 9))
    assert curve.last(2, 1_792_890_000_000 + 2 * 1_800_000).energy_wh == (3, None)
    before = curve.last(4, 1_792_886_400_000 + 1_800_000)
    assert before == Curve("2026-10-24T22:30:00Z", 1800, (None, None, None, 1), (0, 0, 0, 7), (0, 0, 0, 9))


@given(st.lists(st.floats(0, 1e9), max_size=200), st.integers(-3, 150), st.integers(0, 3))
def test_bars_keep_to_their_room(values, width, rows):
    assert [len(line) for line in bars(values, width, rows)] == [max(0, width)] * rows


def test_the_newest_bar_is_on_the_right_and_something_is_more_than_nothing():
    assert bars([9, 0, 1, 1000], 5, 1) == [" ▂▁▂█"]
    assert bars([0, 1, 1000], 3, 2) == ["  █", "▁▂█"]
