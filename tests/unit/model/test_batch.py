"""The bytes of a batch: back as they were, and refused where they are damaged or newer."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.model.batch import (
    FORMAT,
    Batch,
    BatchError,
    DeadLetter,
    Rejection,
    Stamped,
    block_of,
    decode_batch,
    encode_batch,
)

int64 = st.integers(-(2**63), 2**63 - 1)
words = st.text(max_size=20)


@st.composite
def blocks(draw):
    channels = tuple(draw(st.lists(words, min_size=1, max_size=4, unique=True)))
    n = draw(st.integers(0, 5))
    exact = draw(st.booleans())
    kind = int64 if exact else st.floats(allow_nan=False)
    column = lambda strategy, size: draw(st.lists(strategy, min_size=size, max_size=size))
    return block_of(
        channels,
        column(int64, n),
        column(int64, n),
        column(kind, n * len(channels)),
        exact=exact,
        stamped=draw(st.sampled_from(Stamped)),
        quarantined=draw(st.booleans()),
    )


batches = st.builds(
    Batch,
    st.just(FORMAT),
    int64,
    st.lists(blocks(), max_size=4).map(tuple),
    st.lists(st.builds(DeadLetter, int64, int64, words, words, st.binary(max_size=50), words, words), max_size=3).map(
        tuple
    ),
    st.lists(st.builds(Rejection, int64, words, st.integers(0, 2**40)), max_size=3).map(tuple),
)


@given(batches)
def test_round_trip(batch):
    data = encode_batch(batch)
    again = decode_batch(data)
    assert again == batch
    assert encode_batch(again) == data
    assert again.readings == sum(len(block.values) // 8 for block in batch.blocks)
    assert [block.messages for block in again.blocks] == [len(block.stamps) // 8 for block in batch.blocks]


@given(batches.filter(lambda it: it.blocks and it.blocks[0].messages))
def test_columns_are_views_into_the_body(batch):
    data = encode_batch(batch)
    block = decode_batch(data).blocks[0]
    assert block.devices.obj is data
    assert block.devices.readonly


@given(st.binary(max_size=60))
def test_noise_is_no_batch(data):
    with pytest.raises(BatchError):
        decode_batch(data)


@pytest.mark.parametrize("version", [0, FORMAT + 1])
def test_another_format_is_not_guessed_at(version):
    with pytest.raises(BatchError, match=f"batch format {version}, this version reads {FORMAT}"):
        decode_batch(encode_batch(Batch(version, 0)))


@pytest.mark.parametrize(
    ("devices", "stamps", "values"),
    [(8, 16, 16), (16, 8, 16), (16, 16, 8), (16, 16, 24), (7, 7, 7), (0, 0, 8), (12, 12, 12)],
)
def test_columns_that_do_not_belong_together(devices, stamps, values):
    block = [["a"], False, 0, False, bytes(devices), bytes(stamps), bytes(values)]
    with pytest.raises(BatchError, match="differ in length"):
        decode_batch(msgspec.msgpack.encode([FORMAT, 0, [block], [], []]))


@pytest.mark.parametrize(("exact", "value"), [(True, 2**63), (True, -(2**63) - 1), (False, 10**400)])
def test_a_value_that_does_not_fit(exact, value):
    with pytest.raises(OverflowError):
        block_of(("a",), [1], [1], [value], exact=exact)


def test_the_bytes_are_little_endian():
    block = block_of(("a",), [1], [2], [3], exact=True)
    assert bytes(block.devices) == b"\1" + bytes(7)
    assert bytes(block.values) == b"\3" + bytes(7)


def test_a_batch_of_the_first_release_is_still_read():
    """The layout on disk: if this fails, FORMAT has to grow and old logs need a reader."""
    data = bytes.fromhex(
        "9501cf000001" + "8bcfe5680091" + "9791a161c200c2" + "c4080700000000000000" + "c408e803000000000000"
        "c408000000000000f83f"
        + "9197"
        + "07cd03e8a46d717474a174"
        + "c4013f"
        + "a3626164a3776879"
        + "919307a3626164"
        + "02"
    )
    batch = decode_batch(data)
    (block,) = batch.blocks
    assert (block.channels, block.devices.cast("q").tolist(), block.stamps.cast("q").tolist()) == (("a",), [7], [1000])
    assert block.values.cast("d").tolist() == [1.5]
    assert batch.dead_letters == (DeadLetter(7, 1000, "mqtt", "t", b"?", "bad", "why"),)
    assert batch.rejections == (Rejection(7, "bad", 2),)
    assert batch.received_ms == 1_700_000_000_000
    assert encode_batch(batch) == data
