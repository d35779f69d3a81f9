"""Chunks within bounds: what is too much for one becomes several, in the order in which it stood.

The bounds are those of the format, those of the platform, and a size in bytes. What can be counted is counted before
anything is encoded; where the bytes come out larger all the same, the chunk is halved and tried again. What can not be
halved any more is one value of one message, or one dead letter.

Every reading of the chunk is in exactly one of the pieces, and so is every letter. The payload of a letter that alone
is larger than a packet is cut, and the letter says so: that is the one thing that is ever left out.
"""

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import NamedTuple

import msgspec

from ringmain.model.batch import Block, DeadLetter
from ringmain.model.bulk.chunk import Chunk
from ringmain.model.bulk.codec import ChunkError, encode_chunk
from ringmain.model.bulk.gather import indexed
from ringmain.model.bulk.layout import BLOCKS_MAX, CHANNELS_MAX, CHUNK_READINGS_MAX, LETTERS_BYTES_MAX, LETTERS_MAX

LETTER_FRAME_MAX = 64 * 1024
"""Of a letter beyond its payload: topic, reason and detail."""


class Piece(NamedTuple):
    """A chunk and its bytes."""

    chunk: Chunk
    body: bytes


def pieces(chunk: Chunk, bytes_max: int, packet_max: int) -> list[Piece]:
    """`chunk` in pieces of at most `bytes_max` bytes, but for a letter that alone is larger: it may have `packet_max`.
    ChunkError where not even a single value fits.
    """
    found: list[Piece] = []
    narrowed = _narrowed(chunk)
    waiting = [narrowed] if narrowed.blocks or narrowed.letters else []
    while waiting:
        part = waiting.pop()
        body = _encoded(part) if _is_bounded(part, bytes_max) else None
        if body is not None and len(body) <= bytes_max:
            found.append(Piece(part, body))
        elif halves := _halves(part):
            waiting += reversed(halves)
        else:
            found.append(_alone(part, packet_max))
    return found


def _encoded(chunk: Chunk) -> bytes | None:
    """None where the format does not take it."""
    try:
        return encode_chunk(chunk)
    except ChunkError:
        return None


def _is_bounded(chunk: Chunk, bytes_max: int) -> bool:
    """As far as that can be counted. Letters are payloads that nobody understood: they may not become smaller."""
    return (
        chunk.readings + len(chunk.letters) <= CHUNK_READINGS_MAX
        and len(chunk.blocks) <= BLOCKS_MAX
        and len(chunk.letters) <= LETTERS_MAX
        and sum(len(letter.payload) for letter in chunk.letters) <= bytes_max
    )


def _alone(chunk: Chunk, packet_max: int) -> Piece:
    """What can not be halved, without the names of others. A letter is cut until it fits."""
    chunk = _made(chunk, chunk.blocks, chunk.letters)
    body = _encoded(chunk)
    if body is not None and len(body) <= packet_max:
        return Piece(chunk, body)
    if not chunk.letters:
        raise ChunkError(f"a single value takes {len(body or b'')} bytes; a packet has {packet_max}")
    (letter,) = chunk.letters
    keeps = min(len(letter.payload), LETTERS_BYTES_MAX - LETTER_FRAME_MAX)
    while keeps:
        part = msgspec.structs.replace(chunk, letters=(_cut(letter, keeps),))
        body = encode_chunk(part)
        if len(body) <= packet_max:
            return Piece(part, body)
        keeps = keeps * packet_max // len(body) * 15 // 16
    raise ChunkError(f"a letter does not fit a packet of {packet_max} bytes even without its payload")


def _cut(letter: DeadLetter, keeps: int) -> DeadLetter:
    whole = len(letter.payload)
    detail = f"only the first {keeps} of {whole} bytes are here: no packet carries more; {letter.detail}"
    return msgspec.structs.replace(letter, payload=letter.payload[:keeps], detail=detail) if keeps < whole else letter


# -- halving ------------------------------------------------------------------------------------------------------


def _halves(chunk: Chunk) -> tuple[Chunk, Chunk] | None:
    """Letters apart from readings; then by number, by rows, and a single row by channels."""
    letters, blocks = chunk.letters, chunk.blocks
    if letters and blocks:
        return _made(chunk, blocks, ()), _made(chunk, (), letters)
    if len(letters) > 1:
        middle = len(letters) // 2
        return _made(chunk, (), letters[:middle]), _made(chunk, (), letters[middle:])
    if sum(block.messages for block in blocks) > 1:
        first, second = _by_rows(blocks)
        return _made(chunk, first, ()), _made(chunk, second, ())
    if blocks and len(blocks[0].channels) > 1:
        middle = len(blocks[0].channels) // 2
        return _made(chunk, [_channels(blocks[0], 0, middle)], ()), _made(chunk, [_channels(blocks[0], middle)], ())
    return None


def _by_rows(blocks: Sequence[Block]) -> tuple[list[Block], list[Block]]:
    """Each block in its middle, so that blocks that share their rows go on sharing them; single rows in turn."""
    first: list[Block] = []
    second: list[Block] = []
    single = 0
    for block in blocks:
        if block.messages > 1:
            first.append(_rows(block, 0, block.messages // 2))
            second.append(_rows(block, block.messages // 2, block.messages))
        else:
            (second if single % 2 else first).append(block)
            single += 1
    return first, second


def _made(chunk: Chunk, blocks: Sequence[Block], letters: Sequence[DeadLetter]) -> Chunk:
    """A chunk with the names that it needs, and no others: they may be more than half of its bytes."""
    return indexed(blocks, letters, chunk.names.__getitem__)


def _narrowed(chunk: Chunk) -> Chunk:
    """Without empty blocks, and none with more channels than a block may have."""
    return msgspec.structs.replace(chunk, blocks=tuple(chain.from_iterable(map(_narrow, chunk.blocks))))


def _narrow(block: Block) -> Iterator[Block]:
    if block.messages:
        for at in range(0, len(block.channels), CHANNELS_MAX):
            yield block if len(block.channels) <= CHANNELS_MAX else _channels(block, at, at + CHANNELS_MAX)


def _rows(block: Block, start: int, stop: int) -> Block:
    k = len(block.channels)
    return msgspec.structs.replace(
        block,
        devices=block.devices[8 * start : 8 * stop],
        stamps=block.stamps[8 * start : 8 * stop],
        values=block.values[8 * k * start : 8 * k * stop],
    )


def _channels(block: Block, start: int, stop: int | None = None) -> Block:
    k = len(block.channels)
    channels = block.channels[start:stop]
    width = 8 * len(channels)
    begins = range(8 * start, 8 * k * block.messages, 8 * k)
    values = memoryview(b"".join(block.values[at : at + width] for at in begins))
    return msgspec.structs.replace(block, channels=channels, values=values)
