"""From log entries to columns."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.adapters.embedded.timeseries_intake import OUT_OF_RANGE, UNDECODABLE, Refusal, take_in
from ringmain.model.batch import FORMAT, Batch, DeadLetter, Rejection, Stamped, block_of, encode_batch
from ringmain.model.time import INSTANT_MAX
from ringmain.ports.queue import Entry

NOW = 1_700_000_000_000


def entry(offset, *blocks, received_ms=NOW, **more):
    return Entry(offset, encode_batch(Batch(FORMAT, received_ms, blocks, **more)))


def block(devices, channels=("a",), *, exact=True, stamps=None, **how):
    values = list(range(len(devices) * len(channels)))
    return block_of(channels, devices, stamps or [1] * len(devices), values, exact=exact, **how)


@pytest.mark.parametrize("body", [b"", b"\xc1", b"\x93\x01\x02", encode_batch(Batch(FORMAT + 1, NOW))])
def test_what_is_no_batch_is_kept_whole(body):
    intake = take_in([Entry(3, body), entry(4, block([1]))], NOW + 1)
    ((offset, letter),) = intake.dead_letters
    assert (offset, letter.device, letter.reason, letter.payload) == (3, 0, UNDECODABLE, body)
    assert (letter.received_ms, letter.door) == (NOW + 1, "log")
    assert letter.detail
    assert intake.offset == 4
    assert [group.readings for group in intake.groups] == [1]


def test_columns_that_differ_in_length_are_no_batch():
    broken = block([1, 2])
    broken = type(broken)(
        broken.channels, True, broken.stamped, False, broken.devices, broken.stamps[:8], broken.values
    )
    assert len(take_in([entry(1, broken)], NOW).dead_letters) == 1


def test_stamps_out_of_range_are_refused_by_device():
    stamps = [-1, 0, INSTANT_MAX, INSTANT_MAX + 1, 5, -7]
    intake = take_in([entry(1, block([7, 7, 8, 8, 9, 7], ("a", "b"), stamps=stamps))], NOW)
    assert sorted(intake.refusals, key=lambda each: each.device) == [
        Refusal(7, OUT_OF_RANGE, 4),
        Refusal(8, OUT_OF_RANGE, 2),
    ]
    (group,) = intake.groups
    assert group.devices.tolist() == [7, 8, 9]
    assert group.values.tolist() == [[2, 3], [4, 5], [8, 9]]


def test_a_block_with_nothing_in_range_leaves_no_group():
    assert take_in([entry(1, block([7], stamps=[-1]))], NOW).groups == ()


def test_empty_blocks_are_passed_over():
    assert take_in([entry(1, block([]), block([1], ()))], NOW).groups == ()


def test_blocks_over_the_same_channels_become_one_group_in_order_of_arrival():
    first = entry(1, block([1, 2], ("a", "b")), block([3]), received_ms=NOW)
    second = entry(2, block([4], ("a", "b")), block([5], exact=False), received_ms=NOW + 5)
    intake = take_in([first, second], NOW)
    found = {(group.channels, group.exact): group for group in intake.groups}
    pair = found[("a", "b"), True]
    assert pair.devices.tolist() == [1, 2, 4]
    assert pair.order.tolist() == [0, 1, 3]
    assert intake.received(pair.order).tolist() == [NOW, NOW, NOW + 5]
    assert found[("a",), True].order.tolist() == [2]
    assert found[("a",), False].values.dtype.kind == "f"


def test_what_differs_in_stamping_or_quarantine_stays_apart():
    blocks = [block([1], stamped=stamped, quarantined=apart) for stamped in Stamped for apart in (True, False)]
    groups = take_in([entry(1, *blocks)], NOW).groups
    assert sorted((group.arrival, group.quarantined) for group in groups) == [
        (False, False),
        (False, True),
        (True, False),
        (True, True),
    ]


def test_dead_letters_and_rejections_come_along():
    letter = DeadLetter(7, NOW, "http", "/t", b"x", "undecodable_payload", "")
    intake = take_in([entry(5, dead_letters=(letter,), rejections=(Rejection(8, "foreign_device", 2),))], NOW)
    assert intake.dead_letters == ((5, letter),)
    assert intake.refusals == (Refusal(8, "foreign_device", 2),)


@given(st.lists(st.binary(max_size=60), min_size=1, max_size=5))
def test_noise_never_raises(bodies):
    intake = take_in([Entry(n, body) for n, body in enumerate(bodies, 1)], NOW)
    assert intake.offset == len(bodies)
    assert len(intake.dead_letters) + len(intake.first) == len(bodies)
