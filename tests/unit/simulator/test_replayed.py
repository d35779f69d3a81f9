"""Replays: the file's own Wh on its own intervals, nothing in its gaps, whole weeks later again."""

import numpy as np
import pytest

from ringmain.model.time import DAY_MS, HOUR_MS, parse_rfc3339
from ringmain.simulator.registers import MJ_PER_WH
from ringmain.simulator.replayed import WEEK_MS, YEAR_MS, ReplayedEnergy, UnfitFile

HALF = HOUR_MS // 2
BEGIN = parse_rfc3339("2013-01-01T00:00:00Z")


def file(days=14, energy=lambda number: 100 + number % 48):
    starts = [BEGIN + number * HALF for number in range(48 * days)]
    return starts, [energy(number) for number in range(len(starts))]


def steps(replayed, instants):
    imported, exported = replayed.counted_mj(
        np.broadcast_to(np.array(instants, dtype=np.int64), (replayed.rows, len(instants)))
    )
    assert not exported.any()
    return np.diff(imported, axis=1)


def test_on_its_own_intervals_the_file_comes_back():
    starts, energy = file()
    replayed = ReplayedEnergy(starts, energy, 1, BEGIN)
    assert (steps(replayed, [*starts, starts[-1] + HALF])[0] // MJ_PER_WH).tolist() == energy


def test_within_an_interval_power_is_even_and_no_energy_is_lost():
    replayed = ReplayedEnergy(*file(), 1, BEGIN)
    parts = steps(replayed, range(BEGIN, BEGIN + HALF + 1, HALF // 7 + 1))
    assert parts.max() - parts.min() <= 1
    whole = steps(replayed, [BEGIN, BEGIN + 1000, BEGIN + HALF - 1, BEGIN + HALF])
    assert whole.sum() == 100 * MJ_PER_WH


def test_whole_weeks_later_it_comes_again_and_the_register_goes_on():
    starts, energy = file(days=17)
    replayed = ReplayedEnergy(starts, energy, 1, BEGIN)
    assert replayed.cycle_ms == 2 * WEEK_MS
    again = [BEGIN + 2 * WEEK_MS + n * HALF for n in range(49)]
    assert (steps(replayed, again)[0] // MJ_PER_WH).tolist() == energy[:48]
    counted = replayed.counted_mj(np.array([[BEGIN + 4 * WEEK_MS]]))[0][0, 0] // MJ_PER_WH
    assert counted == 2 * sum(energy[: 48 * 14])


def test_a_long_file_is_repeated_after_years_of_weeks():
    assert ReplayedEnergy(*file(days=400), 1, BEGIN).cycle_ms == YEAR_MS
    assert ReplayedEnergy(*file(days=3), 1, BEGIN).cycle_ms == 3 * DAY_MS


def test_another_home_is_weeks_ahead():
    starts, energy = file(days=14, energy=lambda number: number)
    replayed = ReplayedEnergy(starts, energy, 3, BEGIN)
    first, second, third = steps(replayed, [BEGIN, BEGIN + HALF]) // MJ_PER_WH
    assert (first[0], second[0], third[0]) == (0, 7 * 48, 0)


def test_a_gap_has_no_energy_and_a_repeated_start_counts_once():
    starts, energy = file()
    gap = slice(10, 13)
    del starts[gap], energy[gap]
    replayed = ReplayedEnergy([starts[0], *starts], [energy[0], *(each + 5 for each in energy)], 1, BEGIN)
    found = steps(replayed, [BEGIN + number * HALF for number in range(15)])[0] // MJ_PER_WH
    assert found[0] == energy[0]
    assert found[10:13].tolist() == [0, 0, 0]
    assert found[13] == energy[10] + 5


def test_before_it_counts_the_register_stands_still():
    replayed = ReplayedEnergy(*file(), 1, BEGIN + DAY_MS)
    assert steps(replayed, [0, BEGIN, BEGIN + DAY_MS]).tolist() == [[0, 0]]
    assert steps(replayed, [BEGIN + DAY_MS, BEGIN + DAY_MS + HALF])[0, 0] > 0


@pytest.mark.parametrize(
    ("starts", "energy", "text"),
    [
        ([], [], "fewer than two"),
        ([BEGIN], [1], "fewer than two"),
        ([BEGIN, BEGIN + HALF], [1, 2], "less than a day"),
        ([BEGIN + n * 2 * HOUR_MS for n in range(100)], [1] * 100, "more than an hour"),
        ([BEGIN + n * HALF for n in range(100)], [1] * 99 + [2_000_000], "Wh in one"),
        ([BEGIN + n * HALF for n in range(100)], [1] * 99 + [-1], "Wh in one"),
    ],
)
def test_what_can_not_be_replayed_is_refused(starts, energy, text):
    with pytest.raises(UnfitFile, match=text):
        ReplayedEnergy(starts, energy, 1, BEGIN)
