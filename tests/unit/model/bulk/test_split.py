"""Whatever a chunk holds, its pieces hold all of it, once, and each of them is one that the platform takes."""

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.model.bulk.conftest import rows_of

from ringmain.model.batch import DeadLetter, block_of
from ringmain.model.bulk.chunk import Chunk
from ringmain.model.bulk.codec import ChunkError, decode_chunk
from ringmain.model.bulk.layout import BLOCKS_MAX, CHANNELS_MAX, CHUNK_READINGS_MAX, LETTERS_BYTES_MAX, LETTERS_MAX
from ringmain.model.bulk.split import Piece, pieces
from ringmain.model.ids import DeviceId, DeviceKey

NAMES = tuple(DeviceId(f"m{at:03}") for at in range(300))
FAR = 1 << 30


def letter(payload: bytes, device: int = 0) -> DeadLetter:
    return DeadLetter(DeviceKey(device), 5, "mqtt", "telemetry", payload, "undecodable_payload", "no JSON")


def block(devices, stamps, values, channels=("e",), *, exact=True):
    return block_of(channels, devices, stamps, values, exact=exact)


def taken(found: list[Piece]) -> list[Chunk]:
    """As the platform decodes them."""
    return [decode_chunk(piece.body, readings_max=CHUNK_READINGS_MAX) for piece in found]


def single(chunks: list[Chunk]) -> list[tuple]:
    """Single readings."""
    return sorted(
        (device, stamp, channel, value)
        for chunk in chunks
        for channels, _, _, device, stamp, values in rows_of(chunk)
        for channel, value in zip(channels, values, strict=True)
    )


def letters(chunks: list[Chunk]) -> list[tuple]:
    return [(chunk.names[each.device], each.payload) for chunk in chunks for each in chunk.letters]


def test_what_fits_stays_one():
    chunk = Chunk(NAMES[:2], (block([0, 1], [1, 2], [3, 4]),), (letter(b"{", 1),))
    (piece,) = pieces(chunk, FAR, FAR)
    assert piece.chunk == chunk
    assert single(taken([piece])) == single([chunk])


def test_nothing_is_no_piece():
    assert pieces(Chunk(NAMES[:1], (block([], [], []), block([0], [1], [], ()))), FAR, FAR) == []


@pytest.mark.parametrize("readings", [CHUNK_READINGS_MAX, CHUNK_READINGS_MAX + 1, 86_400])
def test_no_piece_has_more_readings_than_the_platform_takes(readings):
    rows = block([0] * readings, range(readings), [7] * readings)
    found = taken(pieces(Chunk(NAMES[:1], (rows,)), FAR, FAR))
    assert len(found) == 1 + (readings > CHUNK_READINGS_MAX)
    assert sum(chunk.readings for chunk in found) == readings
    assert [stamp for chunk in found for stamp in chunk.blocks[0].stamps.cast("q")] == list(range(readings)), "in order"


def test_letters_count_as_readings_do():
    rows = block([0] * (CHUNK_READINGS_MAX - 1), range(CHUNK_READINGS_MAX - 1), [7] * (CHUNK_READINGS_MAX - 1))
    chunk = Chunk(NAMES[:1], (rows,), (letter(b"{"), letter(b"}")))
    found = taken(pieces(chunk, FAR, FAR))
    assert letters(found) == [("m000", b"{"), ("m000", b"}")]
    assert sum(each.readings for each in found) == CHUNK_READINGS_MAX - 1


def test_more_letters_than_a_chunk_may_have():
    chunk = Chunk(NAMES[:1], (), tuple(letter(b"%d" % at) for at in range(2 * LETTERS_MAX + 1)))
    assert letters(taken(pieces(chunk, FAR, FAR))) == [("m000", b"%d" % at) for at in range(2 * LETTERS_MAX + 1)]


def test_more_letters_than_a_chunk_may_have_bytes():
    payloads = [Random(at).randbytes(900_000) for at in range(5)]
    chunk = Chunk(NAMES[:1], (), tuple(map(letter, payloads)))
    found = pieces(chunk, 128 * 1024, 1_000_000)
    assert letters(taken(found)) == [("m000", payload) for payload in payloads]
    assert max(len(piece.body) for piece in found) <= 1_000_000


@pytest.mark.parametrize("payload", [Random(1).randbytes(60_000), b"a" * (LETTERS_BYTES_MAX + 1)])
def test_a_letter_larger_than_a_packet_is_cut_and_says_so(payload):
    found = pieces(Chunk(NAMES[:1], (), (letter(payload),)), 1000, 20_000)
    (chunk,) = taken(found)
    (cut,) = chunk.letters
    assert len(found[0].body) <= 20_000
    assert 10_000 < len(cut.payload) < len(payload)
    assert payload.startswith(cut.payload)
    said = f"only the first {len(cut.payload)} of {len(payload)} bytes are here: no packet carries more; no JSON"
    assert cut.detail == said


@pytest.mark.slow
def test_more_blocks_than_a_chunk_may_have():
    blocks = tuple(block([at % 2], [at], [at], (f"c{at}",)) for at in range(BLOCKS_MAX + 1))
    chunk = Chunk(NAMES[:2], blocks)
    assert single(taken(pieces(chunk, FAR, FAR))) == single([chunk])


def test_more_channels_than_a_block_may_have():
    channels = tuple(f"c{at}" for at in range(2 * CHANNELS_MAX + 3))
    chunk = Chunk(NAMES[:1], (block([0, 0], [1, 2], range(2 * len(channels)), channels),))
    assert single(taken(pieces(chunk, FAR, FAR))) == single([chunk])


def test_a_piece_has_the_names_that_it_needs_and_no_others():
    chunk = Chunk(NAMES, (block(range(300), [1] * 300, range(300)),))
    found = taken(pieces(chunk, 350, 350))
    assert len(found) > 1
    assert sorted(name for each in found for name in each.names) == sorted(NAMES)
    assert single(found) == single([chunk])


def test_a_single_message_is_cut_by_its_channels():
    channels = tuple(f"channel_number_{at}" for at in range(200))
    chunk = Chunk(NAMES[:1], (block([0], [1], [at * 0x1234567890ABCD for at in range(200)], channels),))
    found = pieces(chunk, 700, 700)
    assert len(found) > 3
    assert single(taken(found)) == single([chunk])


def test_a_packet_that_takes_no_value_is_an_error_and_no_loss():
    with pytest.raises(ChunkError, match="a packet has 20"):
        pieces(Chunk(NAMES[:1], (block([0], [1], [7]),)), 20, 20)
    with pytest.raises(ChunkError, match="without its payload"):
        pieces(Chunk(NAMES[:1], (), (letter(b"x" * 50),)), 20, 20)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([("a",), ("b", "c"), ("d", "e", "f")]),
            st.lists(st.tuples(st.integers(0, 299), st.integers(0, 1 << 40)), max_size=40),
        ),
        max_size=5,
    ),
    st.lists(st.tuples(st.binary(max_size=300), st.integers(0, 299)), max_size=8),
    st.integers(450, 3000),
)
def test_everything_is_in_exactly_one_piece_and_none_is_too_large(shapes, payloads, bytes_max):
    blocks = tuple(
        block([d for d, _ in rows], [s for _, s in rows], [s * k for _, s in rows for k in range(len(names))], names)
        for names, rows in shapes
    )
    chunk = Chunk(NAMES, blocks, tuple(letter(payload, device) for payload, device in payloads))
    found = pieces(chunk, bytes_max, bytes_max)
    assert all(len(piece.body) <= bytes_max for piece in found)
    chunks = taken(found)
    assert single(chunks) == single([chunk])
    assert letters(chunks) == letters([chunk])
