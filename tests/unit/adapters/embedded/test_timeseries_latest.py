"""The newest reading of every series."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.adapters.embedded import timeseries_latest
from ringmain.adapters.embedded.timeseries_latest import NEVER, Devices, Latest, Newer, pack
from ringmain.model.errors import Failed
from ringmain.model.time import INSTANT_MAX


def ints(*values):
    return np.array(values, np.int64)


def newer(latest, rows, channels=(0,), *, exact=True):
    """Rows of (device, stamp, value, value...)."""
    slots = latest.slots(ints(*(row[0] for row in rows)))
    values = np.array([row[2:] for row in rows], np.int64 if exact else np.float64)
    return Newer(channels, exact, slots, ints(*(row[1] for row in rows)), values, np.zeros(len(rows), np.bool_))


def test_more_devices_than_a_sort_key_holds_are_refused(monkeypatch):
    monkeypatch.setattr(timeseries_latest, "DEVICES_MAX", 3)
    devices = Devices()
    devices.slots(ints(1, 2, 3))
    with pytest.raises(Failed, match="at most 3"):
        devices.slots(ints(4))
    assert devices.slots(ints(3, 1)).tolist() == [2, 0]


def test_the_largest_slot_and_stamp_still_pack():
    packed = pack(ints(timeseries_latest.DEVICES_MAX - 1), ints(INSTANT_MAX))
    assert int(packed[0]) >> timeseries_latest.STAMP_BITS == timeseries_latest.DEVICES_MAX - 1
    assert int(packed[0]) & ((1 << timeseries_latest.STAMP_BITS) - 1) == INSTANT_MAX


@given(st.lists(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=10), max_size=10))
def test_a_device_keeps_its_slot_and_shares_it_with_nobody(batches):
    devices, known = Devices(), {}
    for batch in batches:
        for device, slot in zip(batch, devices.slots(np.array(batch, np.int64)).tolist(), strict=True):
            assert known.setdefault(device, slot) == slot
            assert int(devices.keys[slot]) == device
    assert sorted(known.values()) == list(range(len(known)))


def test_an_unknown_device_has_no_slot():
    devices = Devices()
    assert devices.find(ints(5)).tolist() == [-1]
    devices.slots(ints(5, 9))
    assert devices.find(ints(1, 5, 7, 9, 11)).tolist() == [-1, 0, -1, 1, -1]


def test_strangers_and_other_channels_have_no_newest_reading():
    latest = Latest()
    latest.apply(newer(latest, [(7, 100, 1)]))
    slots = latest.slots(ints(7, 8))
    assert latest.newest_at((0,), slots).tolist() == [100, NEVER]
    assert latest.newest_at((1,), slots).tolist() == [NEVER, NEVER]
    assert latest.of(8) == []
    assert latest.of(99) == []
    assert latest.kinds(int(slots[0]), 0) == (True, False)
    assert latest.kinds(int(slots[1]), 0) == (False, False)


def test_the_newest_stamp_counts_over_channels_and_kinds():
    latest = Latest()
    latest.apply(newer(latest, [(7, 100, 1, 2)], (0, 1)))
    latest.apply(newer(latest, [(7, 200, 0.5)], (1,), exact=False))
    slots = latest.slots(ints(7))
    assert [int(latest.newest_at(channels, slots)[0]) for channels in ((0,), (1,), (0, 1))] == [100, 200, 200]
    assert latest.watermarks()[1].tolist() == [200]


rows = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 50), st.integers(-5, 5)), max_size=12)


@given(st.lists(rows, max_size=6))
def test_it_agrees_with_a_dictionary(batches):
    latest, expected, seen = Latest(), {}, set()
    for batch in batches:
        fresh = list({(d, at): (d, at, v) for d, at, v in batch if (d, at) not in seen}.values())
        seen.update((d, at) for d, at, _ in fresh)
        if not fresh:
            continue
        latest.apply(newer(latest, fresh))
        for device, at, value in fresh:
            expected[device] = max(expected.get(device, (-1, 0)), (at, value))
    for device in range(1, 5):
        found = [(each.at_ms, each.value) for each in latest.of(device)]
        assert found == [expected[each] for each in (device,) if each in expected]
    devices, stamps = latest.watermarks()
    assert dict(zip(devices.tolist(), stamps.tolist(), strict=True)) == {d: at for d, (at, _) in expected.items()}
