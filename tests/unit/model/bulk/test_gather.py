"""Many batches become one chunk; an old chunk becomes a thinner one, and what went is counted."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.model.bulk.conftest import rows_of

from ringmain.model.batch import Batch, DeadLetter, Rejection, Stamped, block_of
from ringmain.model.bulk.chunk import Chunk
from ringmain.model.bulk.gather import chunk_of, thin
from ringmain.model.ids import DeviceId, DeviceKey

NAMES = {DeviceKey(key): DeviceId(f"m{key:02}") for key in range(1, 30)}


def block(devices, stamps, values, channels=("e",), *, exact=True, stamped=Stamped.DEVICE, quarantined=False):
    return block_of(channels, devices, stamps, values, exact=exact, stamped=stamped, quarantined=quarantined)


def values_of(chunk: Chunk) -> list[tuple]:
    return [(row[3], row[4], *row[5]) for row in rows_of(chunk)]


def test_alike_blocks_of_many_batches_become_one():
    batches = [
        Batch(1, 0, (block([5, 3], [10, 11], [1, 2]), block([3], [11], [1.5], ("p",), exact=False))),
        Batch(1, 1, (block([3], [12], [3], quarantined=True),)),
        Batch(1, 2, (block([7], [13], [4], stamped=Stamped.ARRIVAL), block([7], [13], [1, 2], ("e", "f")))),
    ]
    chunk = chunk_of(batches, NAMES)
    assert [(b.channels, b.exact, b.stamped, b.quarantined, b.messages) for b in chunk.blocks] == [
        (("e",), True, Stamped.DEVICE, False, 3),
        (("p",), False, Stamped.DEVICE, False, 1),
        (("e",), True, Stamped.ARRIVAL, False, 1),
        (("e", "f"), True, Stamped.DEVICE, False, 1),
    ]
    assert chunk.names == ("m03", "m05", "m07")
    assert chunk.readings == 7
    bits = struct.unpack("<q", struct.pack("<d", 1.5))[0]
    assert sorted(values_of(chunk)) == [
        ("m03", 11, 2),
        ("m03", 11, bits),
        ("m03", 12, 3),
        ("m05", 10, 1),
        ("m07", 13, 1, 2),
        ("m07", 13, 4),
    ]


def test_letters_come_along_and_rejections_do_not():
    letter = DeadLetter(DeviceKey(9), 5, "mqtt", "telemetry", b"{", "undecodable_payload", "no JSON")
    chunk = chunk_of([Batch(1, 5, (block([2], [1], [1]),), (letter,), (Rejection(DeviceKey(4), "x", 3),))], NAMES)
    assert chunk.names == ("m02", "m09")
    assert chunk.letters == (DeadLetter(DeviceKey(1), 5, "mqtt", "telemetry", b"{", "undecodable_payload", "no JSON"),)


def test_nothing_gives_an_empty_chunk():
    assert chunk_of([], NAMES) == Chunk((), ())
    assert chunk_of([Batch(1, 0, (block([], [], []), block([1], [1], [], ())))], NAMES) == Chunk((), ())


def test_a_device_without_a_name_is_not_left_out_in_silence():
    with pytest.raises(KeyError):
        chunk_of([Batch(1, 0, (block([99], [1], [1]),))], NAMES)


def test_thinning_keeps_the_last_of_each_step():
    chunk = chunk_of([Batch(1, 0, (block([1, 1, 1, 2, 1], [59_000, 0, 60_000, 1, 59_999], [1, 2, 3, 4, 5]),))], NAMES)
    thinner, dropped = thin(chunk, 60)
    assert values_of(thinner) == [("m01", 59_999, 5), ("m01", 60_000, 3), ("m02", 1, 4)]
    assert dropped == {"m01": 2}


def test_thinning_is_by_channel_set_and_counts_single_readings():
    rows = block([1, 1], [0, 1], [1, 2, 3, 4], ("a", "b"))
    other = block([1, 1], [2, 3], [1.0, 2.0], ("a",), exact=False)
    thinner, dropped = thin(chunk_of([Batch(1, 0, (rows, other))], NAMES), 1)
    assert [(b.channels, b.messages) for b in thinner.blocks] == [(("a", "b"), 1), (("a",), 1)]
    assert dropped == {"m01": 3}


def test_of_the_same_stamp_the_later_stays_also_over_blocks():
    """Two blocks of one shape are not made by `chunk_of`, but a chunk may have them."""
    chunk = Chunk((DeviceId("m"),), (block([0, 0], [5, 5], [1, 2]), block([0], [5], [3]), block([0], [4], [9])))
    thinner, dropped = thin(chunk, 10)
    assert values_of(thinner) == [("m", 5, 3)]
    assert dropped == {"m": 3}


def test_thinning_keeps_letters_and_what_is_thin_already():
    letter = DeadLetter(DeviceKey(0), 5, "mqtt", "t", b"{", "r", "d")
    chunk = Chunk((DeviceId("m"),), (block([0, 0], [-1, 0], [1, 2]),), (letter,))
    assert thin(chunk, 1) == (chunk, {})


@given(
    st.lists(st.tuples(st.integers(1, 4), st.integers(-5000, 5000), st.integers(0, 9)), max_size=60), st.integers(1, 4)
)
def test_what_stays_and_what_is_counted_is_all_there_was(rows, step_s):
    devices, stamps, values = zip(*rows, strict=True) if rows else ((), (), ())
    chunk = chunk_of([Batch(1, 0, (block(devices, stamps, values),))], NAMES)
    thinner, dropped = thin(chunk, step_s)
    assert thinner.readings + sum(dropped.values()) == chunk.readings
    expected = {}
    for device, stamp, value in rows:
        key = NAMES[device], stamp // (1000 * step_s)
        if key not in expected or expected[key][0] <= stamp:
            expected[key] = stamp, value
    assert values_of(thinner) == sorted((name, *last) for (name, _), last in expected.items())
