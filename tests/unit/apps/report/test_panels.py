"""The panels: what lies on the axes is what was measured, and what is missing is hatched."""

from datetime import date

import numpy as np
import pytest
from matplotlib.figure import Figure
from tests.unit.apps.report.curves import curve

from ringmain.apps.report.panels import draw_days, draw_duration, draw_heat, draw_load, draw_quality
from ringmain.apps.report.style import GONE_HATCH, PART_HATCH

SPRING = date(2013, 3, 31)


@pytest.fixture
def axes():
    return Figure().add_subplot()


def hatches(axes):
    return {patch.get_hatch(): patch.get_path() for patch in axes.patches if patch.get_hatch()}


def stairs(axes):
    return [patch.get_data() for patch in axes.patches if hasattr(patch, "get_data")]


def said(axes):
    return [text.get_text() for text in axes.texts]


def test_each_interval_of_a_day_is_a_step_and_a_gap_is_a_gap(axes):
    draw_load(axes, curve(SPRING, 1, lambda slot: None if slot in {3, 4} else 100 + slot))
    values, at, _ = stairs(axes)[0]
    assert (len(values), at[0], at[-1]) == (46, 0, 23)
    assert [place for place, value in enumerate(values) if np.isnan(value)] == [3, 4]
    assert (values[0], values[45]) == (200, 290)
    gap = hatches(axes)[GONE_HATCH].get_extents()
    assert (gap.x0, gap.x1) == (1.5, 2.5)
    assert any(text.startswith("peak 290 W, 31 Mar 2013, 23:30") for text in said(axes))


def test_many_days_are_their_mean_and_range(axes):
    draw_load(axes, curve(SPRING, 30, lambda slot: 500 + slot % 2 * 500 if slot >= 46 else None))
    (high, at, low), (mean, *_) = stairs(axes)
    assert (list(at[:3]), np.isnan(mean[0])) == ([0, 23, 47], True)
    assert (high[1], low[1], mean[1]) == (2, 1, 1.5)


def test_one_reading_is_drawn(axes):
    drawn = curve(SPRING, 1, lambda slot: 50 if slot == 9 else None)
    draw_load(axes, drawn)
    assert np.nansum(stairs(axes)[0][0]) == 100
    assert draw_heat(Figure().add_subplot(), drawn)[0].get_array().count() == 1


def test_days_that_are_not_complete_are_hatched(axes):
    drawn = curve(date(2013, 1, 1), 4, lambda slot: 1000 if slot < 48 or 96 <= slot < 106 else None)
    draw_days(axes, drawn)
    found = hatches(axes)
    assert found["//////"].get_extents().y1 == 10
    assert {(box.x0, box.x1) for box in [found[GONE_HATCH].get_extents()]} == {(24, 96)}


def test_lanes_count_each_quality_of_day(axes):
    draw_quality(
        axes,
        curve(
            date(2013, 1, 1),
            5,
            lambda slot: (5, 2) if slot < 96 else (5, 1) if slot < 144 else None,
            homes=2,
            expected=[2] * 192 + [0] * 48,
            revised={1_357_084_800_000: 1},
        ),
    )
    assert [text for text in said(axes) if "day" in text] == ["2 days", "1 day", "1 day", "1 day"]
    marks = {line.get_marker() for line in axes.lines}
    assert {"o", "x", "^"} <= marks


def test_where_revisions_are_not_kept_the_lane_says_so(axes):
    draw_quality(axes, curve(SPRING, 2, lambda _: 1, revised=None))
    assert "not kept" in said(axes)


def test_the_heat_map_stands_by_the_sites_clock(axes):
    mesh, unit, more = draw_heat(axes, curve(SPRING, 2, lambda slot: 100 + slot if slot < 60 else None))
    values = mesh.get_array()
    assert (values.shape, unit, more) == ((48, 2), "W", False)
    assert values.mask[2:4, 0].all(), "the hour that spring leaves out"
    assert (values[0, 0], values[4, 0], values[0, 1]) == (200, 204, 292)
    assert values.mask[14:, 1].all()
    assert hatches(axes)[GONE_HATCH].get_extents().y0 == 7


def test_half_a_street_is_hatched_in_the_heat_map(axes):
    draw_heat(axes, curve(date(2013, 1, 1), 2, lambda slot: (100, 1) if slot >= 72 else 100, homes=2))
    box = hatches(axes)[PART_HATCH].get_extents()
    assert (box.x0, box.x1, box.y0, box.y1) == (24, 48, 12, 24)


def test_a_rare_peak_does_not_leave_the_heat_map_pale(axes):
    mesh, _, more = draw_heat(axes, curve(date(2013, 1, 1), 40, lambda slot: 10_000 if slot == 500 else 100 + slot % 7))
    assert (more, round(mesh.norm.vmax, 3)) == (True, 0.212)


def test_a_duration_curve_begins_at_the_peak_and_ends_at_the_least(axes):
    draw_duration(axes, curve(date(2013, 1, 1), 60, lambda slot: slot))
    values, at, _ = stairs(axes)[0]
    assert (len(values), values[0], values[-1], at[-1]) == (500, 2879 * 2 / 1000, 0, 100)
    assert list(values) == sorted(values, reverse=True)


@pytest.mark.parametrize("panel", [draw_load, draw_days, draw_quality, draw_heat, draw_duration])
@pytest.mark.parametrize("powers", [lambda _: 0, lambda slot: None if slot else 0], ids=["zero", "one zero"])
def test_nothing_used_is_drawn_as_zero(panel, powers, axes):
    panel(axes, curve(SPRING, 1, powers))
    assert axes.get_ylim()[0] != axes.get_ylim()[1]
