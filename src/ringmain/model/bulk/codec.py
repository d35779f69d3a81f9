"""A chunk as bytes: what an edge gateway keeps in its buffer and sends to the platform.

    byte     0   version, 1
    bytes    4   H, the size of the header, little-endian
    bytes    H   header: deflated (raw, RFC 1951) msgpack array, see `layout.py`
    bytes    …   letters, deflated msgpack, where there are any; then the streams of all columns in the order in which
                 the header names them: for each of `rows` devices, counts, stamps; for each of `blocks` its channels
    bytes    4   CRC-32 (as of zlib) of all before it, little-endian

Rows are sorted by device and stamp; devices are written as runs; blocks with the same devices and stamps (a message
with a register and a measurement makes two) share them. `columns.py` says how numbers are written, and
docs/protocols/bulk.md has all of it for those who write an encoder.

It must never raise anything but `ChunkError` for whatever bytes come, and never allocate much more than `readings_max`
and the sizes below allow: nothing a header claims is believed before it is compared with them.
"""

import zlib
from array import array
from collections.abc import Iterator

import msgspec

from ringmain.model.batch import Block, DeadLetter
from ringmain.model.bulk.chunk import Chunk
from ringmain.model.bulk.columns import (
    ChunkError,
    decode_floats,
    decode_integers,
    inflated,
)
from ringmain.model.bulk.layout import (
    BLOCKS_MAX,
    CRC,
    HEADER_BYTES_MAX,
    LETTERS_BYTES_MAX,
    LETTERS_MAX,
    PREFIX,
    VERSION,
    BlockHead,
    Header,
    Letters,
    RowsHead,
)
from ringmain.model.bulk.writing import Writing
from ringmain.model.gateway import DELEGATIONS_MAX

__all__ = ["ChunkError", "decode_chunk", "encode_chunk"]

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What msgspec raises for bytes that are no msgpack, text that is no UTF-8, and arrays in arrays in arrays."""

_pack = msgspec.msgpack.Encoder().encode
_unpack_header = msgspec.msgpack.Decoder(Header).decode
_unpack_letters = msgspec.msgpack.Decoder(Letters).decode


# -- writing ------------------------------------------------------------------------------------------------------


def encode_chunk(chunk: Chunk) -> bytes:
    """The bytes of a chunk. Rows are put in order, `quarantined` is not written. ChunkError where it is larger than
    `decode_chunk` takes: cut it in two.
    """
    writing = Writing()
    blocks = tuple(writing.block(block) for block in chunk.blocks if block.messages and block.channels)
    letters = _pack(chunk.letters) if chunk.letters else b""
    deflated = _deflated(letters) if letters else b""
    header = _pack(Header(chunk.names, tuple(writing.rows), blocks, (len(chunk.letters), len(deflated), len(letters))))
    if len(header) > HEADER_BYTES_MAX or len(letters) > LETTERS_BYTES_MAX or len(chunk.letters) > LETTERS_MAX:
        raise ChunkError(f"a chunk of {len(blocks)} blocks and {len(chunk.letters)} letters is too large for one")
    if len(blocks) > BLOCKS_MAX or len(chunk.names) > DELEGATIONS_MAX:
        raise ChunkError(f"a chunk of {len(blocks)} blocks and {len(chunk.names)} devices is too large for one")
    head = _deflated(header)
    body = b"".join(
        [
            bytes((VERSION,)),
            len(head).to_bytes(4, "little"),
            head,
            deflated,
            *writing.row_streams,
            *writing.block_streams,
        ]
    )
    return body + zlib.crc32(body).to_bytes(CRC, "little")


def _deflated(body: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -15)
    return compressor.compress(body) + compressor.flush()


# -- reading ------------------------------------------------------------------------------------------------------


def decode_chunk(body: bytes | memoryview, *, readings_max: int) -> Chunk:
    """The chunk of these bytes, of at most `readings_max` readings and letters; ChunkError for anything else."""
    view = memoryview(body)
    header, at = _header(view)
    _check(header, readings_max)
    number, deflated, size = header.letters
    streams = _Streams(view[at:-CRC])
    letters: tuple[DeadLetter, ...] = ()
    if number or deflated or size:
        if size > LETTERS_BYTES_MAX:
            raise ChunkError(f"letters of {size} bytes, at most {LETTERS_BYTES_MAX}")
        letters = _unpacked_letters(inflated(streams.take(deflated), size), number, len(header.names))
    rows = [_decoded_rows(row, streams, len(header.names)) for row in header.rows]
    blocks = tuple(_decoded_block(block, rows[block.rows], streams) for block in header.blocks)
    streams.end()
    return Chunk(header.names, blocks, letters)


class _Streams:
    """What stands behind the header, taken piece by piece."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._at = 0

    def take(self, size: int) -> memoryview:
        """The next `size` bytes."""
        taken = self._view[self._at : self._at + size]
        if len(taken) != size:
            raise ChunkError("the chunk ends within a column")
        self._at += size
        return taken

    def end(self) -> None:
        """All of it was taken."""
        if self._at != len(self._view):
            raise ChunkError(f"{len(self._view) - self._at} bytes stand behind the last column")


def _header(view: memoryview) -> tuple[Header, int]:
    if view.nbytes < PREFIX + CRC or view[0] != VERSION:
        raise ChunkError(f"not a chunk of version {VERSION}")
    if zlib.crc32(view[:-CRC]) != int.from_bytes(view[-CRC:], "little"):
        raise ChunkError("the chunk does not match its checksum")
    end = PREFIX + int.from_bytes(view[1:PREFIX], "little")
    if end > view.nbytes - CRC:
        raise ChunkError("the chunk ends within its header")
    decompressor = zlib.decompressobj(-15)
    try:
        header = decompressor.decompress(view[PREFIX:end], HEADER_BYTES_MAX)
        if not decompressor.eof or decompressor.unused_data:
            raise ChunkError(f"the header is cut, followed by something, or larger than {HEADER_BYTES_MAX} bytes")
        return _unpack_header(header), end
    except (zlib.error, *_UNREADABLE) as error:
        raise ChunkError(f"the header is none: {error}") from error


def _check(header: Header, readings_max: int) -> None:
    """Whether what the header claims fits together, before anything is allocated for it."""
    readings = header.letters[0] + sum(
        header.rows[block.rows].messages * len(block.channels) if block.rows < len(header.rows) else readings_max + 1
        for block in header.blocks
    )
    if readings > readings_max:
        raise ChunkError(f"a chunk of more than {readings_max} readings, or blocks of rows that it does not have")
    if {block.rows for block in header.blocks} != set(range(len(header.rows))):
        raise ChunkError("the chunk has rows of no block")
    if any(not 1 <= row.runs <= row.messages for row in header.rows):
        raise ChunkError("rows without devices, or devices without rows")
    if any(len(block.columns) != len(block.channels) for block in header.blocks):
        raise ChunkError("a block does not have a column for each channel")


def _unpacked_letters(body: bytes, number: int, names: int) -> tuple[DeadLetter, ...]:
    try:
        letters: tuple[DeadLetter, ...] = _unpack_letters(body)
    except _UNREADABLE as error:
        raise ChunkError(f"the letters are none: {error}") from error
    if len(letters) != number or any(not 0 <= letter.device < names for letter in letters):
        raise ChunkError("letters more or fewer than the header says, or of devices without a name")
    return letters


def _decoded_rows(rows: RowsHead, streams: _Streams, names: int) -> tuple[memoryview, memoryview]:
    """Devices and stamps, one int64 for each message."""
    runs = decode_integers(rows.devices, streams.take(rows.devices.size), rows.runs)
    counts = decode_integers(rows.counts, streams.take(rows.counts.size), rows.runs)
    if min(runs) < 0 or max(runs) >= names:
        raise ChunkError("a row of a device without a name")
    if min(counts) < 1 or sum(counts) != rows.messages:
        raise ChunkError("runs of devices do not add up to the rows")
    devices = b"".join(_repeated(runs, counts))
    stamps = decode_integers(rows.stamps, streams.take(rows.stamps.size), rows.messages)
    return memoryview(devices), memoryview(stamps).cast("B")


def _repeated(devices: "array[int]", counts: "array[int]") -> Iterator[bytes]:
    for device, count in zip(devices, counts, strict=True):
        yield device.to_bytes(8, "little") * count


def _decoded_block(block: BlockHead, rows: tuple[memoryview, memoryview], streams: _Streams) -> Block:
    devices, stamps = rows
    n, k = len(stamps) // 8, len(block.channels)
    values: array[int] | array[float] = array("q" if block.exact else "d", bytes(8)) * (n * k)
    for at, head in enumerate(block.columns):
        stream = streams.take(head.size)
        values[at::k] = decode_integers(head, stream, n) if block.exact else decode_floats(head, stream, n)  # type: ignore[assignment]
    return Block(block.channels, block.exact, block.stamped, False, devices, stamps, memoryview(values).cast("B"))
