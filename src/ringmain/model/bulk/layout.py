"""The frame of a chunk: what its header says, as msgpack arrays, and how much of each there may be. See `codec.py`."""

from typing import Annotated

import msgspec
from msgspec import Meta

from ringmain.model.batch import DeadLetter, Stamped
from ringmain.model.bulk.columns import ColumnHead
from ringmain.model.gateway import DELEGATIONS_MAX
from ringmain.model.ids import DeviceId

VERSION = 1

HEADER_BYTES_MAX = 2 << 20
"""Inflated: the names of all meters behind one gateway at their greatest length, and as much again for blocks."""

BLOCKS_MAX = 16_384
"""Sets of channels in one chunk. Meters of one kind have one or two; beyond it a chunk is cut in two."""

CHANNELS_MAX = 256
"""Of one block, as of one message."""

LETTERS_MAX = 4_096
LETTERS_BYTES_MAX = 4 << 20
"""Inflated: a few payloads of the size that a packet may have."""

CHUNK_READINGS_MAX = 50_000
"""Readings and letters of a chunk that goes up, as of a JSON payload: some 25 ms of the platform's loop, and a second
of a gateway with 10,000 meters at 5 readings/s. The format would take more; the platform takes no such chunk.
"""

CHUNK_BYTES_MAX = 128 * 1024
"""Of a chunk that we make, where it can be cut: 12,000 doubles of full precision fit in, and a line of 9,600 bit/s has
an answer every two minutes.
"""

PREFIX = 5
CRC = 4

Count = Annotated[int, Meta(ge=0, le=(1 << 32) - 1)]


class RowsHead(msgspec.Struct, frozen=True, array_like=True):
    """`messages` rows in `runs` of one device each: their devices, how many rows each has, and all stamps."""

    messages: Count
    runs: Count
    devices: ColumnHead
    counts: ColumnHead
    stamps: ColumnHead


class BlockHead(msgspec.Struct, frozen=True, array_like=True):
    """One block over the rows with that index: a column for each channel."""

    rows: Count
    exact: bool
    stamped: Stamped
    channels: Annotated[tuple[str, ...], Meta(min_length=1, max_length=CHANNELS_MAX)]
    columns: Annotated[tuple[ColumnHead, ...], Meta(min_length=1, max_length=CHANNELS_MAX)]


class Header(msgspec.Struct, frozen=True, array_like=True):
    """What stands in the chunk. `letters` says how many, their deflated size, their size."""

    names: Annotated[tuple[DeviceId, ...], Meta(max_length=DELEGATIONS_MAX)]
    rows: Annotated[tuple[RowsHead, ...], Meta(max_length=BLOCKS_MAX)]
    blocks: Annotated[tuple[BlockHead, ...], Meta(max_length=BLOCKS_MAX)]
    letters: tuple[Count, Count, Count] = (0, 0, 0)


Letters = Annotated[tuple[DeadLetter, ...], Meta(max_length=LETTERS_MAX)]
