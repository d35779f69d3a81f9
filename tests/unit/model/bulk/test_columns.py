"""Columns: every bit comes back, little is written for what is regular, nothing is believed."""

import math
import random
import struct
import zlib
from array import array

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.model.bulk.columns import (
    ChunkError,
    ColumnHead,
    Transform,
    decode_floats,
    decode_integers,
    encode_floats,
    encode_integers,
    inflated,
)

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)


def written(numbers) -> tuple[ColumnHead, bytes]:
    return encode_integers(array("q", numbers))


def written_floats(numbers) -> tuple[ColumnHead, bytes]:
    return encode_floats(array("d", numbers))


def deflated(data: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compressor.compress(data) + compressor.flush()


def column(transform=Transform.PLAIN, scale=0, base=0, step=0, planes=()) -> tuple[ColumnHead, memoryview]:
    stream = deflated(b"".join(planes)) if planes else b""
    return ColumnHead(transform, scale, base, step, len(planes), len(stream)), memoryview(stream)


@given(st.lists(INT64 | st.integers(-300, 300)))
def test_integers_come_back(numbers):
    head, stream = written(numbers)
    assert decode_integers(head, memoryview(stream), len(numbers)).tolist() == numbers


@given(st.integers(-(1 << 40), 1 << 40), st.lists(st.integers(-200, 70_000)))
def test_registers_come_back(first, steps):
    numbers = [first]
    for step in steps:
        numbers.append(numbers[-1] + step)
    head, stream = written(numbers)
    assert decode_integers(head, memoryview(stream), len(numbers)).tolist() == numbers


@given(st.lists(st.floats(width=64) | st.floats(width=32) | st.sampled_from([0.0, -0.0, math.inf, math.nan, 5e-324])))
def test_floats_come_back_to_the_bit(numbers):
    column = array("d", numbers)
    head, stream = encode_floats(column)
    assert decode_floats(head, memoryview(stream), len(numbers)).tobytes() == column.tobytes()


@given(st.lists(st.integers(-(10**7), 10**7), min_size=1), st.integers(0, 9))
def test_decimal_fractions_come_back_and_are_written_as_integers(digits, scale):
    column = array("d", [digit / 10**scale for digit in digits])
    head, stream = encode_floats(column)
    assert decode_floats(head, memoryview(stream), len(digits)).tobytes() == column.tobytes()
    if not any("e" in repr(number) for number in column):  # 1e-07 is left to its bits
        assert head.transform in (Transform.PLAIN, Transform.DELTA)


@pytest.mark.parametrize("bits", [0x7FF8_0000_0000_0001, 0xFFF0_0000_0000_0000, 0x7FF4_DEAD_BEEF_0000, 1 << 63])
def test_what_is_no_decimal_fraction_keeps_its_bits(bits):
    column = array("d", [230.1, 230.2])
    column.frombytes(struct.pack("<Q", bits))
    head, stream = encode_floats(column)
    assert head.transform in (Transform.BITS, Transform.XOR)
    assert decode_floats(head, memoryview(stream), 3).tobytes() == column.tobytes()


def test_a_place_that_the_samples_did_not_show_is_found():
    numbers = [n / 10 for n in range(100)] + [12.345] + [n / 10 for n in range(100)]
    head, stream = written_floats(numbers)
    assert head.scale == 3
    assert decode_floats(head, memoryview(stream), 201).tolist() == numbers


def test_a_regular_column_has_no_stream():
    assert written(range(0, 60_000, 1000)) == (ColumnHead(Transform.DELTA, 0, 0, 1000, 0, 0), b"")
    assert written([7] * 100) == (ColumnHead(Transform.PLAIN, 0, 7, 0, 0, 0), b"")
    assert written([]) == (ColumnHead(Transform.PLAIN, 0, 0, 0, 0, 0), b"")


def test_the_smaller_transform_is_taken():
    growing = [n * n for n in range(1000)]
    assert written(growing)[0].transform is Transform.DELTA
    noise = random.Random(1).choices(range(200), k=1000)
    assert written(noise)[0].transform is Transform.PLAIN
    chance = random.Random(1)
    lasting = [number for _ in range(500) for number in [chance.random()] * chance.randrange(1, 4)]
    assert written_floats(lasting)[0].transform is Transform.XOR
    other = [math.pi * (1 + (n * 7) % 3) for n in range(1000)]
    assert written_floats(other)[0].transform is Transform.BITS


def test_numbers_too_far_apart_are_written_plain_from_nought():
    numbers = [-(1 << 63), (1 << 63) - 1, -(1 << 63)]
    head, stream = written(numbers)
    assert (head.transform, head.base) == (Transform.PLAIN, 0)
    assert decode_integers(head, memoryview(stream), 3).tolist() == numbers


def test_floats_beyond_2_to_the_53_are_left_to_their_bits():
    assert written_floats([float(1 << 54), 1.0])[0].transform in (Transform.BITS, Transform.XOR)
    head, stream = column(base=(1 << 53) + 1)
    with pytest.raises(ChunkError, match="more digits"):
        decode_floats(head, stream, 1)


def test_sums_beyond_64_bits_are_refused():
    with pytest.raises(ChunkError, match="64 bits"):
        decode_integers(*column(Transform.DELTA, base=(1 << 63) - 1, step=1), 3)
    with pytest.raises(ChunkError, match="64 bits"):
        decode_integers(*column(base=(1 << 63) - 1, planes=[b"\2"]), 1)


@pytest.mark.parametrize("transform", [Transform.BITS, Transform.XOR])
def test_transforms_of_floats_are_none_of_integers(transform):
    with pytest.raises(ChunkError, match="no transform of integers"):
        decode_integers(*column(transform), 1)
    for given_ in ({"scale": 1}, {"base": 1}, {"step": 1}):
        with pytest.raises(ChunkError, match="neither scale"):
            decode_floats(*column(transform, **given_), 1)


def test_streams_hold_exactly_what_they_should():
    stream = deflated(b"12345678")
    assert inflated(memoryview(stream), 8) == b"12345678"
    for size in (0, 1, 7, 9, 1 << 20):
        with pytest.raises(ChunkError):
            inflated(memoryview(stream), size)
    for damaged in (stream[:-1], stream + b"\0", b"", b"\xff" * 9):
        with pytest.raises(ChunkError):
            inflated(memoryview(damaged), 8)
    with pytest.raises(ChunkError, match="zeros has a stream"):
        decode_integers(ColumnHead(Transform.PLAIN, 0, 0, 0, 0, 1), memoryview(b"x"), 4)


@pytest.mark.parametrize(
    "head", [[4, 0, 0, 0, 0, 0], [0, 10, 0, 0, 0, 0], [0, 0, 1 << 63, 0, 0, 0], [0, 0, 0, 0, 9, 0], [0, 0, 0, 0, 0, -1]]
)
def test_heads_out_of_range_are_none(head):
    with pytest.raises(msgspec.ValidationError):
        msgspec.msgpack.decode(msgspec.msgpack.encode(head), type=ColumnHead)
