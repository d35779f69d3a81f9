"""Chunks from what the buffer holds: many batches become one, and an old one becomes a thinner one.

Nothing leaves unseen: what `thin` leaves out is counted for each device. Rejections are not in a chunk; they were
counted at the door.
"""

from array import array
from collections.abc import Callable, Mapping, Sequence
from itertools import chain, compress
from typing import TypeAlias

import msgspec

from ringmain.model.batch import Batch, Block, DeadLetter, Stamped
from ringmain.model.bulk.chunk import Chunk
from ringmain.model.ids import DeviceId, DeviceKey
from ringmain.model.time import SECOND_MS

Shape: TypeAlias = "tuple[tuple[str, ...], bool, Stamped]"


def chunk_of(batches: Sequence[Batch], names: Mapping[DeviceKey, DeviceId]) -> Chunk:
    """One chunk of all readings and dead letters of `batches`, in which blocks of the same channels, exactness and
    kind of stamp are one. KeyError where a device has no name.
    """
    shapes: dict[Shape, list[Block]] = {}
    for block in chain.from_iterable(batch.blocks for batch in batches):
        if block.messages and block.channels:
            shapes.setdefault(_shape(block), []).append(block)
    letters = [letter for batch in batches for letter in batch.dead_letters]
    return indexed(
        [_joined(shape, blocks) for shape, blocks in shapes.items()], letters, lambda key: names[DeviceKey(key)]
    )


def indexed(blocks: Sequence[Block], letters: Sequence[DeadLetter], name_of: Callable[[int], DeviceId]) -> Chunk:
    """The chunk of blocks and letters of whose devices `name_of` knows the names; it has those names and no others."""
    keys = {letter.device for letter in letters}.union(*(_integers(block.devices) for block in blocks))
    ordered = sorted((name_of(key), key) for key in keys)
    index = {key: at for at, (_, key) in enumerate(ordered)}
    return Chunk(
        tuple(name for name, _ in ordered),
        tuple(
            msgspec.structs.replace(block, devices=_bytes(array("q", map(index.__getitem__, _integers(block.devices)))))
            for block in blocks
        ),
        tuple(msgspec.structs.replace(letter, device=DeviceKey(index[letter.device])) for letter in letters),
    )


def thin(chunk: Chunk, step_s: int) -> tuple[Chunk, dict[DeviceId, int]]:
    """What is left when of each step of `step_s` (of event time, from the epoch on) only the last reading of each
    device and channel set stays; and how many single readings of each device went. Letters stay, and so do all
    names. Of readings with the same stamp the one that came last stays.
    """
    step_ms = step_s * SECOND_MS
    last: dict[tuple[Shape, int, int], tuple[int, int, int]] = {}
    for number, block in enumerate(chunk.blocks):
        shape = _shape(block)
        for row, (device, stamp) in enumerate(zip(_integers(block.devices), _integers(block.stamps), strict=True)):
            key = shape, device, stamp // step_ms
            last[key] = max(last.get(key, (stamp, 0, 0)), (stamp, number, row))
    kept = [bytearray(block.messages) for block in chunk.blocks]
    for _, number, row in last.values():
        kept[number][row] = 1
    dropped: dict[DeviceId, int] = {}
    for block, stays in zip(chunk.blocks, kept, strict=True):
        for device in compress(_integers(block.devices), stays.translate(_INVERTED)):
            name = chunk.names[device]
            dropped[name] = dropped.get(name, 0) + len(block.channels)
    blocks = (_compressed(block, stays) for block, stays in zip(chunk.blocks, kept, strict=True))
    return Chunk(chunk.names, tuple(block for block in blocks if block.messages), chunk.letters), dropped


_INVERTED = bytes((1, 0)) + bytes(254)


def _shape(block: Block) -> Shape:
    return block.channels, block.exact, block.stamped


def _joined(shape: Shape, blocks: Sequence[Block]) -> Block:
    return Block(
        *shape,
        False,
        memoryview(b"".join(block.devices for block in blocks)),
        memoryview(b"".join(block.stamps for block in blocks)),
        memoryview(b"".join(block.values for block in blocks)),
    )


def _compressed(block: Block, stays: bytearray) -> Block:
    if all(stays):
        return block
    k = len(block.channels)
    rows = array("q", compress(range(block.messages), stays))
    return msgspec.structs.replace(
        block,
        devices=memoryview(b"".join(block.devices[8 * row : 8 * row + 8] for row in rows)),
        stamps=memoryview(b"".join(block.stamps[8 * row : 8 * row + 8] for row in rows)),
        values=memoryview(b"".join(block.values[8 * k * row : 8 * k * (row + 1)] for row in rows)),
    )


def _integers(column: memoryview) -> "array[int]":
    """A copy: a column may be a slice of the log's bytes, which need not lie as a cast asks for."""
    found = array("q")
    found.frombytes(column)
    return found


def _bytes(column: "array[int]") -> memoryview:
    return memoryview(column).cast("B")
