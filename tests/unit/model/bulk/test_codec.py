"""Chunks: all rows come back, whatever arrives raises `ChunkError` alone, and no claim is paid in advance."""

import re
import tracemalloc
import zlib
from array import array
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.model.bulk.conftest import rows_of

from ringmain.model.batch import DeadLetter, Stamped, block_of
from ringmain.model.bulk import codec, layout
from ringmain.model.bulk.chunk import Chunk
from ringmain.model.bulk.codec import ChunkError, decode_chunk, encode_chunk
from ringmain.model.bulk.columns import encode_integers
from ringmain.model.ids import DeviceId, DeviceKey

VECTORS = Path(__file__).parents[3] / "vectors" / "bulk" / "chunks.json"
DOCUMENT = Path(__file__).parents[4] / "docs" / "protocols" / "bulk.md"
READINGS_MAX = 50_000

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)


@st.composite
def chunks(draw):
    names = tuple(DeviceId(f"m{n}") for n in range(draw(st.integers(1, 5))))
    device = st.integers(0, len(names) - 1)
    stamp = st.integers(1_700_000_000_000, 1_700_000_000_009) | INT64
    blocks = []
    shared = draw(st.lists(st.tuples(device, stamp), min_size=1, max_size=12))
    for _ in range(draw(st.integers(0, 4))):
        rows = draw(st.sampled_from([shared, *([draw(st.lists(st.tuples(device, stamp), max_size=12))])]))
        channels = tuple(draw(st.lists(st.sampled_from("abc"), min_size=1, max_size=3, unique=True)))
        exact, n = draw(st.booleans()), len(rows) * len(channels)
        number = INT64 | st.integers(0, 99) if exact else st.floats() | st.integers(-999, 999).map(lambda i: i / 10)
        values = draw(st.lists(number, min_size=n, max_size=n))
        devices, stamps = zip(*rows, strict=True) if rows else ((), ())
        stamped = draw(st.sampled_from(Stamped))
        blocks.append(block_of(channels, devices, stamps, values, exact=exact, stamped=stamped))
    letter = st.builds(
        DeadLetter, device.map(DeviceKey), INT64, st.text(), st.text(), st.binary(), st.text(), st.text()
    )
    return Chunk(names, tuple(blocks), tuple(draw(st.lists(letter, max_size=3))))


def sample(n=20) -> Chunk:
    devices, stamps = [at % 3 for at in range(n)], [1_700_000_000_000 + 1000 * at for at in range(n)]
    letter = DeadLetter(DeviceKey(1), 7, "mqtt", "telemetry", b"{", "undecodable_payload", "")
    return Chunk(
        (DeviceId("a"), DeviceId("b"), DeviceId("c")),
        (
            block_of(("e", "f"), devices, stamps, range(2 * n), exact=True),
            block_of(("p",), devices, stamps, [at / 10 for at in range(n)], exact=False),
        ),
        (letter,),
    )


def take_apart(body: bytes) -> tuple[list, bytes]:
    """The header as plain lists, and what stands behind it."""
    end = 5 + int.from_bytes(body[1:5], "little")
    return msgspec.msgpack.decode(zlib.decompress(body[5:end], -15)), body[end:-4]


def put_together(header: object, rest: bytes, *, version=1) -> bytes:
    """A chunk with whatever header, under a right checksum."""
    packed = header if isinstance(header, bytes) else msgspec.msgpack.encode(header)
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    head = compressor.compress(packed) + compressor.flush()
    return with_checksum(bytes([version]) + len(head).to_bytes(4, "little") + head + rest)


def with_checksum(body: bytes) -> bytes:
    return body + zlib.crc32(body).to_bytes(4, "little")


def refused(body: bytes, match: str = ".", *, readings_max=READINGS_MAX) -> None:
    with pytest.raises(ChunkError, match=match):
        decode_chunk(body, readings_max=readings_max)


@pytest.mark.slow
@given(chunks())
def test_every_row_and_letter_comes_back(chunk):
    again = decode_chunk(encode_chunk(chunk), readings_max=READINGS_MAX)
    assert rows_of(again) == rows_of(chunk)
    assert again.letters == chunk.letters
    assert again.names == chunk.names
    assert decode_chunk(encode_chunk(again), readings_max=READINGS_MAX) == again, "in order already"


def test_duplicates_and_conflicts_survive_in_the_order_of_their_arrival():
    chunk = Chunk((DeviceId("a"),), (block_of(("e",), [0] * 4, [5, 5, 4, 5], [1, 1, 0, 2], exact=True),))
    (block,) = decode_chunk(encode_chunk(chunk), readings_max=4).blocks
    assert list(block.values.cast("q")) == [0, 1, 1, 2]


def test_blocks_of_the_same_messages_share_their_rows():
    header, _ = take_apart(encode_chunk(sample()))
    assert len(header[1]) == 1
    assert [block[0] for block in header[2]] == [0, 0]


def test_blocks_that_hold_nothing_are_left_out():
    empty = (block_of(("e",), [], [], [], exact=True), block_of((), [0], [1], [], exact=True))
    assert decode_chunk(encode_chunk(Chunk((DeviceId("a"),), empty)), readings_max=0).blocks == ()


def test_a_minute_of_two_hundred_meters_takes_few_bytes():
    """Regular stamps, a register, and a measurement with one decimal place of noise: below 1.5 bytes a reading."""
    devices = [device for _ in range(60) for device in range(200)]
    stamps = [1_700_000_000_000 + 1000 * second for second in range(60) for _ in range(200)]
    noise = [(at * 2_654_435_761 >> 7) % 200 for at in range(12_000)]
    chunk = Chunk(
        tuple(DeviceId(f"meter-{n:04}") for n in range(200)),
        (
            block_of(
                ("e",),
                devices,
                stamps,
                [1_000_000 * d + s // 10 for d, s in zip(devices, noise, strict=True)],
                exact=True,
            ),
            block_of(("p",), devices, stamps, [230 + at / 10 for at in noise], exact=False),
        ),
    )
    body = encode_chunk(chunk)
    assert len(body) < 1.5 * chunk.readings
    assert rows_of(decode_chunk(body, readings_max=24_000)) == rows_of(chunk)


@pytest.mark.parametrize("vector", msgspec.json.decode(VECTORS.read_bytes()), ids=lambda vector: vector["name"])
def test_vectors(vector):
    """Read as they say; and what we write of it is read alike (deflate leaves freedom, so bytes may differ)."""
    chunk = decode_chunk(bytes.fromhex(vector["hex"]), readings_max=READINGS_MAX)
    assert list(chunk.names) == vector["names"]
    listed = [
        (tuple(row["channels"]), row["exact"], row["stamped"], row["device"], row["at_ms"], tuple(row["values"]))
        for row in vector["rows"]
    ]
    assert rows_of(chunk) == sorted(listed), "values of floats are listed as the int64 of their bits"
    assert [letter.payload.hex() for letter in chunk.letters] == vector["letters"]
    again = decode_chunk(encode_chunk(chunk), readings_max=READINGS_MAX)
    assert rows_of(again) == rows_of(chunk)


def test_the_encoder_of_the_documentation_is_understood():
    source = re.search(r"```python\n(.*?)```", DOCUMENT.read_text(encoding="utf-8"), re.DOTALL).group(1)
    names: dict = {}
    exec(compile(source, str(DOCUMENT), "exec"), names)  # our own text
    readings = [("b", 1_700_000_000_000, 5), ("a", 1_700_000_001_000, -7), ("b", 1_700_000_002_000, 1 << 62)]
    chunk = decode_chunk(names["chunk"]("energy", readings), readings_max=3)
    assert rows_of(chunk) == sorted((("energy",), True, 0, device, at, (value,)) for device, at, value in readings)


def test_the_limits_of_the_documentation_are_those_of_the_code():
    text = DOCUMENT.read_text(encoding="utf-8")
    limits = (layout.HEADER_BYTES_MAX, layout.DELEGATIONS_MAX, layout.BLOCKS_MAX, layout.CHANNELS_MAX)
    for limit in (*limits, layout.LETTERS_MAX, layout.LETTERS_BYTES_MAX):
        assert f" {limit:,}" in text


class TestHostile:
    @pytest.mark.parametrize("body", [b"", b"\1", b"\1\0\0\0\0", bytes(9), b"\1" + bytes(40), b"\xff" * 64])
    def test_what_is_no_chunk(self, body):
        refused(body)
        refused(with_checksum(body))

    def test_another_version(self):
        header, rest = take_apart(encode_chunk(sample()))
        refused(put_together(header, rest, version=2), "version 1")

    def test_a_flipped_bit_anywhere(self):
        body = encode_chunk(sample(5))
        for at in range(8 * len(body)):
            damaged = bytearray(body)
            damaged[at // 8] ^= 1 << at % 8
            refused(bytes(damaged))

    def test_cut_or_with_something_behind(self):
        body = encode_chunk(sample(5))
        for at in range(len(body)):
            refused(body[:at])
        for rest in (b"\0", b"\0\0\0\0"):
            refused(with_checksum(body[:-4] + rest), "behind the last column")
        refused(with_checksum(body[:-5]))

    def test_more_readings_than_allowed(self):
        refused(encode_chunk(sample(20)), "more than 60 readings", readings_max=60)
        assert decode_chunk(encode_chunk(sample(20)), readings_max=61).readings == 60

    @pytest.mark.parametrize(
        ("path", "value", "match"),
        [
            ((1, 0, 0), 21, "do not add up"),
            ((1, 0, 0), 0, "without"),
            ((1, 0, 1), 0, "without"),
            ((1, 0, 1), 21, "without"),
            ((1, 0, 0), (1 << 32) - 1, "more than"),
            ((2, 0, 0), 1, "does not have"),
            ((2, 0, 3), ["e"], "column for each channel"),
            ((2, 0, 3), [], "header is none"),
            ((2, 0, 2), 2, "header is none"),
            ((0,), ["a", "b"], "without a name"),
            ((2, 0, 4, 0, 5), 1 << 31, "within a column"),
            ((2, 1), [0, True, 0, ["p"], [[2, 0, 0, 0, 0, 0]]], "no transform of integers"),
            ((3, 0), 2, "letters more or fewer"),
            ((3, 0), 0, "letters more or fewer"),
            ((3, 2), 5 << 20, "at most"),
            ((3,), [0, 0, 0], "."),
            ((2,), [], "rows of no block"),
        ],
    )
    def test_a_header_that_lies(self, path, value, match):
        header, rest = take_apart(encode_chunk(sample()))
        at = header
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = value
        refused(put_together(header, rest), match)

    def test_runs_below_one_row(self):
        """Counts 21 and -1 add up to the rows, and a device is below the names."""
        stream = encode_integers(array("q", [21, -1]))
        value = encode_integers(array("q", range(20)))
        plain = [0, 0, 0, 0, 0, 0]
        block = [0, True, 0, ["e"], [value[0]]]
        refused(put_together([["a"], [[20, 2, plain, stream[0], plain]], [block]], stream[1] + value[1]), "add up")
        below = [0, 0, -1, 0, 0, 0]
        block = [0, True, 0, ["e"], [plain]]
        refused(put_together([["a"], [[1, 1, below, [0, 0, 1, 0, 0, 0], plain]], [block]], b""), "without a name")

    def test_letters_of_nobody(self):
        letter = DeadLetter(DeviceKey(1), 7, "mqtt", "telemetry", b"{", "undecodable_payload", "")
        refused(encode_chunk(Chunk((DeviceId("a"),), (), (letter,))), "without a name")

    def test_letters_that_are_none(self):
        header, rest = take_apart(encode_chunk(Chunk((DeviceId("a"),), ())))
        packed = codec._deflated(b"\x93\1\2")
        header[3] = [3, len(packed), 3]
        refused(put_together(header, packed + rest), "letters are none")
        packed = codec._deflated(b"\x91\x97\0\0\xa1\x80\xa0\xc4\0\xa0\xa0")
        header[3] = [1, len(packed), 11]
        refused(put_together(header, packed + rest), "letters are none")

    def test_an_encoder_refuses_what_no_reader_takes(self):
        names = tuple(DeviceId(f"{n:064}") for n in range(20_001))
        with pytest.raises(ChunkError, match="too large for one"):
            encode_chunk(Chunk(names, ()))
        letter = DeadLetter(DeviceKey(0), 7, "mqtt", "t", bytes(3 << 20), "r", "")
        with pytest.raises(ChunkError, match="too large for one"):
            encode_chunk(Chunk((DeviceId("a"),), (), (letter, letter)))

    @given(st.data())
    def test_damage_under_a_right_checksum_raises_nothing_else(self, data):
        body = bytearray(encode_chunk(sample(data.draw(st.integers(1, 30))))[:-4])
        for _ in range(data.draw(st.integers(1, 4))):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        with suppress(ChunkError):
            decode_chunk(with_checksum(bytes(body)), readings_max=1000)

    @given(st.data())
    def test_a_damaged_header_raises_nothing_else(self, data):
        header, rest = take_apart(encode_chunk(sample(data.draw(st.integers(1, 30)))))
        packed = bytearray(msgspec.msgpack.encode(header))
        for _ in range(data.draw(st.integers(1, 4))):
            packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
        with suppress(ChunkError):
            decode_chunk(put_together(bytes(packed), rest), readings_max=1000)

    @pytest.mark.parametrize(
        "claim",
        [
            b"\x94\xdd\xff\xff\xff\xff",
            b"\x94\x91\xdb\xff\xff\xff\xff",
            b"\x94\x90\xdd\xff\xff\xff\xff",
            b"\x94\x90\x90\x91\x95\0\xc3\0\xdd\xff\xff\xff\xff",
            b"\x91" * 100_000,
            b"\x95\x90\x90\x90\x93\0\0\0" + b"\x91" * 100_000,
            b"\x94\x91\xa1\x80\x90\x90\x93\0\0\0",
            b"\x94\xdd\0\x00\x4e\x20" + b"\xa0" * 20_000,
            b"\x94\x90\x90\xdd\0\0\x40\0" + b"\x95\0\xc3\0\x91\xa0\x91\x96\0\0\0\0\0\0" * 16_384,
            bytes(32 << 20),
        ],
        ids=[
            "names",
            "name",
            "rows",
            "channels",
            "nested",
            "nested behind",
            "no UTF-8",
            "empty names",
            "empty blocks",
            "bomb",
        ],
    )
    @pytest.mark.slow
    def test_no_claim_of_a_header_is_paid_in_advance(self, claim):
        body = put_together(claim, b"")
        assert len(body) < 100_000
        assert peak_bytes(body) < 16 << 20

    @pytest.mark.slow
    def test_a_bomb_in_a_column_is_cut_at_its_size(self):
        header, _ = take_apart(encode_chunk(Chunk((DeviceId("a"),), (block_of(("e",), [0], [1], [1], exact=True),))))
        bomb = codec._deflated(bytes(64 << 20))
        header[2][0][4][0] = [0, 0, 0, 0, 8, len(bomb)]
        assert peak_bytes(put_together(header, bomb)) < 1 << 20


def peak_bytes(body: bytes) -> int:
    """What is allocated at most until it is refused."""
    tracemalloc.start()
    try:
        refused(body)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
