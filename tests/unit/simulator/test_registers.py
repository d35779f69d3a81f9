"""Registers: exact sums of power, the same whatever was asked for before, whole at every join."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ringmain.model.time import DAY_MS, HOUR_MS, MINUTE_MS, parse_rfc3339
from ringmain.simulator import registers
from ringmain.simulator.household.block import HouseholdBlock
from ringmain.simulator.household.days import Place, day_number, day_start_ms
from ringmain.simulator.household.traits import HOMES
from ringmain.simulator.registers import HouseholdEnergy

LONDON = Place()
FROM_MS = parse_rfc3339("2026-03-26T00:00:00Z")  # three days before clocks change
BLOCK = HouseholdBlock(1, 0, LONDON, 0.5)


def energy():
    return HouseholdEnergy(BLOCK, FROM_MS)


ENERGY = energy()


def at(*instants_ms):
    return np.broadcast_to(np.array(instants_ms, dtype=np.int64), (HOMES, len(instants_ms)))


def test_counting_begins_at_nought_and_stands_still_before():
    begin = day_start_ms(LONDON, day_number(LONDON, FROM_MS))
    imported, exported = ENERGY.counted_mj(at(begin, begin - DAY_MS, 0))
    assert not imported.any()
    assert not exported.any()


def test_a_register_is_the_sum_of_power_over_time():
    number = day_number(LONDON, FROM_MS)
    net = np.concatenate([BLOCK.net_w(number + day) for day in range(4)], axis=1).astype(np.int64)
    begin = day_start_ms(LONDON, number)
    for minutes, part_ms in ((1, 0), (700, 1), (1440, 59_999), (2880 + 100, 30_000), (3 * 1440 + 1300, 12_345)):
        imported, exported = ENERGY.counted_mj(at(begin + minutes * MINUTE_MS + part_ms))
        whole, part = net[:, :minutes], net[:, minutes]
        assert np.array_equal(
            imported[:, 0], np.maximum(whole, 0).sum(axis=1) * MINUTE_MS + np.maximum(part, 0) * part_ms
        )
        assert np.array_equal(
            exported[:, 0], np.maximum(-whole, 0).sum(axis=1) * MINUTE_MS + np.maximum(-part, 0) * part_ms
        )


@pytest.mark.slow
@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 6 * DAY_MS), min_size=2, max_size=12))
def test_registers_never_run_back_and_do_not_depend_on_the_order_of_questions(offsets):
    together = ENERGY.counted_mj(at(*(FROM_MS + offset for offset in sorted(offsets))))
    for register in together:
        assert (np.diff(register, axis=1) >= 0).all()
    for offset, column in zip(sorted(offsets), together[0].T, strict=True):
        assert np.array_equal(ENERGY.counted_mj(at(FROM_MS + offset))[0][:, 0], column)


def test_each_home_may_be_asked_for_another_time():
    instants = FROM_MS + np.arange(HOMES, dtype=np.int64)[:, None] * 17 * MINUTE_MS + np.array([0, 5 * HOUR_MS])
    imported, _ = ENERGY.counted_mj(instants)
    for row in (0, 100, HOMES - 1):
        alone, _ = ENERGY.counted_mj(at(*instants[row].tolist()))
        assert np.array_equal(alone[row], imported[row])


@pytest.mark.slow
def test_looking_back_beyond_what_is_kept_gives_the_same(monkeypatch):
    monkeypatch.setattr(registers, "SUMS_KEPT", 2)
    short = energy()
    late, early = at(FROM_MS + 8 * DAY_MS), at(FROM_MS + 2 * DAY_MS)
    short.counted_mj(late)
    assert np.array_equal(short.counted_mj(early)[0], ENERGY.counted_mj(early)[0])
    assert np.array_equal(short.counted_mj(late)[0], ENERGY.counted_mj(late)[0])


def test_days_are_made_once_while_time_goes_on(monkeypatch):
    made = []

    class Counting(HouseholdBlock):
        def net_w(self, number):
            made.append(number)
            return super().net_w(number)

    counted = HouseholdEnergy(Counting(1, 0, LONDON), FROM_MS)
    for hour in range(72):
        counted.counted_mj(at(FROM_MS + hour * HOUR_MS, FROM_MS + (hour + 1) * HOUR_MS))
    assert len(made) == len(set(made)) == 4


def test_preparing_counts_a_day_at_a_time_and_changes_nothing():
    prepared = energy()
    target = FROM_MS + 5 * DAY_MS
    left = [prepared.prepare(target) for _ in range(7)]
    assert left == [4, 3, 2, 1, 0, 0, 0] or left == [5, 4, 3, 2, 1, 0, 0]
    assert np.array_equal(prepared.counted_mj(at(target))[0], ENERGY.counted_mj(at(target))[0])


def test_only_homes_with_panels_export():
    _, exported = ENERGY.counted_mj(at(FROM_MS + 7 * DAY_MS))
    assert np.array_equal(exported[:, 0] > 0, ENERGY.exporting)
    assert 0 < ENERGY.exporting.sum() < HOMES
    with pytest.raises(IndexError):
        ENERGY.counted_mj(np.zeros((HOMES + 1, 1), dtype=np.int64) + FROM_MS)
