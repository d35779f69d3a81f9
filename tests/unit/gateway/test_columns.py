"""Columns that grow: a value that does not fit leaves no trace."""

import pytest

from ringmain.gateway.columns import Growing, Lane, OpenBatch
from ringmain.model.batch import Stamped
from ringmain.model.device import GENERIC_PROFILE


@pytest.mark.parametrize(
    ("exact", "bad"),
    [(True, 1.5), (True, 2**63), (True, "1"), (True, None), (False, "1"), (False, None), (False, 10**400)],
)
def test_all_or_nothing(exact, bad):
    growing = Growing(("a", "b"), exact=exact)
    growing.add(1, 10, [1, 2])
    with pytest.raises((TypeError, OverflowError)):
        growing.add(1, 11, [3, bad])
    with pytest.raises((TypeError, OverflowError)):
        growing.column([[5, 6], [7, bad]])
    with pytest.raises((TypeError, OverflowError)):
        growing.add_all(1, [12, 13], [[5, 6], [7, bad]])
    assert (growing.devices.tolist(), growing.stamps.tolist(), growing.values.tolist()) == ([1], [10], [1, 2])
    growing.add_all(2, [14, 15], (growing.column([[7, 8], [9, 10]]),))
    assert growing.devices.tolist() == [1, 2, 2]
    assert growing.values.tolist() == [1, 2, 7, 8, 9, 10]


def test_a_batch_holds_lanes_apart_and_no_empty_block():
    batch = OpenBatch(5)
    plain, apart = Lane(GENERIC_PROFILE, quarantined=False), Lane(GENERIC_PROFILE, quarantined=True)
    for lane, stamped in ((plain, Stamped.DEVICE), (apart, Stamped.DEVICE), (plain, Stamped.ARRIVAL)):
        growing = batch.shapes(lane, stamped)["a",] = Growing(("a",), exact=False)
        growing.add(1, 1, [1.0])
    batch.shapes(plain, Stamped.DEVICE)["b",] = Growing(("b",), exact=False)
    batch.reject(1, "foreign_device", 2)
    batch.reject(1, "foreign_device", 3)
    sealed = batch.seal()
    assert [(block.quarantined, block.stamped) for block in sealed.blocks] == [
        (False, Stamped.DEVICE), (True, Stamped.DEVICE), (False, Stamped.ARRIVAL)
    ]  # fmt: skip
    assert [(it.device, it.reason, it.count) for it in sealed.rejections] == [(1, "foreign_device", 5)]
    assert (batch.readings(), sealed.readings, sealed.received_ms) == (3, 3, 5)
