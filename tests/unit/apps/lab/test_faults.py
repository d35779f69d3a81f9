"""The plan of a harsh run: whatever the seed, nothing of what is promised is missing."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from ringmain.apps.lab import faults
from ringmain.apps.lab.edge import SETTINGS
from ringmain.apps.lab.faults import harsh
from ringmain.apps.lab.relay_mode import mode_of

SEEDS = st.integers(-(2**40), 2**40)


@given(SEEDS)
def test_every_seed_has_the_same_faults(seed):
    plan = harsh(seed)
    assert Counter(kill.box for kill in plan.kills) == {"edge": 5, "platform": 5}
    counted = {"cut": 4, "black-hole": 2, "half-open": 2, "delay": 1, "refuse": 1}
    assert Counter(fault.kind for fault in plan.link) == counted
    assert {command for fault in plan.link for command in fault.commands} >= {"half-open up", "half-open down"}


@given(SEEDS)
def test_the_relay_understands_all_of_it_and_waits_are_within_their_bounds(seed):
    for fault in harsh(seed).link:
        for command in fault.commands:
            assert command == "cut" or mode_of(command)
        assert faults.CALM_S[0] <= fault.after_s <= faults.CALM_S[1]
        assert 0 <= fault.hold_s <= faults.BLACK_HOLE_S[1]
    for kill in harsh(seed).kills:
        assert faults.BEFORE_KILL_S[0] <= kill.after_s <= faults.BEFORE_KILL_S[1]


@given(SEEDS)
def test_a_black_hole_outlasts_the_edges_patience(seed):
    assert all(fault.hold_s > SETTINGS["answer_s"] for fault in harsh(seed).link if fault.kind == "black-hole")


@given(SEEDS)
def test_what_the_plan_asks_for_fits_into_a_run(seed):
    plan = harsh(seed)
    assert sum(fault.after_s + fault.hold_s for fault in plan.link) < 60
    assert sum(kill.after_s for kill in plan.kills) < 20


def test_a_seed_repeats_and_seeds_differ():
    assert harsh(7) == harsh(7)
    plans = [harsh(seed) for seed in range(20)]
    assert len({tuple(fault.kind for fault in plan.link) for plan in plans}) > 15
    assert len({tuple(kill.box for kill in plan.kills) for plan in plans}) > 15
