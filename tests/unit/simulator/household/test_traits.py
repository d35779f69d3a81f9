"""Homes of a block: the same for the same key, different from each other, panels only where asked for."""

import msgspec
import numpy as np
import pytest

from ringmain.simulator.household.appliances import APPLIANCES
from ringmain.simulator.household.traits import HOMES, between, homes_of


def arrays(homes):
    return {name: value for name, value in msgspec.structs.asdict(homes).items() if isinstance(value, np.ndarray)}


def test_a_block_is_the_same_each_time_and_another_block_is_not():
    one, same, other, seed = homes_of(1, 4, 0.3), homes_of(1, 4, 0.3), homes_of(1, 5, 0.3), homes_of(2, 4, 0.3)
    assert all(np.array_equal(value, arrays(same)[name]) for name, value in arrays(one).items())
    assert not np.array_equal(one.always_on_w, other.always_on_w)
    assert not np.array_equal(one.always_on_w, seed.always_on_w)


def test_more_panels_change_nothing_else():
    few, many = arrays(homes_of(1, 0, 0.1)), arrays(homes_of(1, 0, 0.9))
    of_panels = {"pv_w", "initial_export_wh"}
    assert all(np.array_equal(value, many[name]) for name, value in few.items() if name not in of_panels)
    assert ((few["pv_w"] == 0) | (few["pv_w"] == many["pv_w"])).all()
    assert np.count_nonzero(many["pv_w"]) > np.count_nonzero(few["pv_w"]) > 0


@pytest.mark.parametrize(("share", "least", "most"), [(0.0, 0, 0), (0.5, 96, 160), (1.0, HOMES, HOMES)])
def test_the_share_of_panels_is_kept(share, least, most):
    assert least <= np.count_nonzero(homes_of(3, 0, share).pv_w) <= most


def test_people_are_one_to_five_and_counted_once():
    homes = homes_of(1, 0, 0.0)
    assert (np.bincount(homes.people)[1:] > 0).all()
    assert homes.people.max() == 5
    assert homes.first_person[0] == 0
    assert len(homes.person_class) == homes.people.sum()
    assert np.array_equal(np.diff(homes.first_person), homes.people[:-1])


def test_appliances_are_owned_by_about_as_many_as_the_table_says():
    owned = np.concatenate([homes_of(1, block, 0.0).appliance_w > 0 for block in range(4)], axis=1).mean(axis=1)
    assert owned == pytest.approx([kind.owned for kind in APPLIANCES], abs=0.06)


def test_registers_begin_somewhere_and_never_below_nought():
    homes = homes_of(1, 0, 0.5)
    assert homes.initial_wh.min() >= 0
    assert len(set(homes.initial_wh.tolist())) == HOMES
    assert (homes.initial_export_wh[homes.pv_w == 0] == 0).all()


def test_between_stretches():
    assert between(10, 20, np.array([0.0, 0.5])).tolist() == [10, 15]
