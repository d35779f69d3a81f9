"""The unit of work: a batch of readings in columns, and the bytes it has in the ingest log.

A `Block` holds the readings of messages that name the same channels: `n` devices and stamps, and `n * k` values
row by row. It is written as little-endian arrays, so that a reader maps it without touching a single reading.
Dead letters and rejections travel in the same batch: every record of a message has its outcome in one commit.
"""

import sys
from array import array
from collections.abc import Sequence
from enum import IntEnum

import msgspec

from ringmain.model.ids import DeviceKey

if sys.byteorder != "little":
    raise ImportError("the ingest log is little-endian; this machine is not")

FORMAT = 1
"""Version of the layout below; a reader refuses a newer one instead of guessing."""


class Stamped(IntEnum):
    """Who gave the event time. ARRIVAL: the payload had none, so it is at-least-once and marked so."""

    DEVICE = 0
    ARRIVAL = 1


class Block(msgspec.Struct, frozen=True, array_like=True):
    """Readings of `n` messages over the same `k` channels.

    `devices` and `stamps` are `n` int64 each; `values` is `n * k` int64 where `exact`, else float64, row by row.
    `quarantined` readings are kept apart until their device is active.
    """

    channels: tuple[str, ...]
    exact: bool
    stamped: Stamped
    quarantined: bool
    devices: memoryview
    stamps: memoryview
    values: memoryview

    @property
    def messages(self) -> int:
        """How many messages (rows before expansion by channel) it holds."""
        return len(self.devices) // 8


class DeadLetter(msgspec.Struct, frozen=True, array_like=True):
    """A payload that could not be decoded, whole, with the reason; it can be browsed and replayed."""

    device: DeviceKey
    received_ms: int
    door: str
    topic: str
    payload: bytes
    reason: str
    detail: str


class Rejection(msgspec.Struct, frozen=True, array_like=True):
    """`count` records of a device that were refused for one reason."""

    device: DeviceKey
    reason: str
    count: int


class Batch(msgspec.Struct, frozen=True, array_like=True):
    """What one commit of the ingest log holds."""

    version: int
    received_ms: int
    blocks: tuple[Block, ...] = ()
    dead_letters: tuple[DeadLetter, ...] = ()
    rejections: tuple[Rejection, ...] = ()

    @property
    def readings(self) -> int:
        """Single values, over all blocks."""
        return sum(block.messages * len(block.channels) for block in self.blocks)


class BatchError(ValueError):
    """The bytes are no batch that this version can read."""


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Batch).decode


def block_of(
    channels: tuple[str, ...],
    devices: Sequence[int],
    stamps: Sequence[int],
    values: Sequence[int] | Sequence[float],
    *,
    exact: bool,
    stamped: Stamped = Stamped.DEVICE,
    quarantined: bool = False,
) -> Block:
    """A block from plain columns. OverflowError where a value does not fit its 64 bits."""
    return Block(
        channels,
        exact,
        stamped,
        quarantined,
        memoryview(array("q", devices)).cast("B"),
        memoryview(array("q", stamps)).cast("B"),
        memoryview(array("q" if exact else "d", values)).cast("B"),
    )


def encode_batch(batch: Batch) -> bytes:
    """The bytes of a batch, as the log keeps them."""
    return _encode(batch)


def decode_batch(body: bytes | memoryview) -> Batch:
    """A batch whose columns are views into `body`, not copies. BatchError where it is none, or a newer one."""
    try:
        batch = _decode(body)
    except msgspec.DecodeError as error:
        raise BatchError(f"not a batch: {error}") from error
    if batch.version != FORMAT:
        raise BatchError(f"batch format {batch.version}, this version reads {FORMAT}")
    for block in batch.blocks:
        n, k = block.messages, len(block.channels)
        if len(block.devices) != 8 * n or len(block.stamps) != 8 * n or len(block.values) != 8 * n * k:
            raise BatchError("columns of one block differ in length")
    return batch
