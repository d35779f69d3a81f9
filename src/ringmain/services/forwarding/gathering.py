"""Gathering: what rows of the buffer become when they are sealed, or go up: chunks that the platform takes.

Raw rows become one chunk, or several where one would be too much; a sealed row goes up as it lies there, unless the
platform does not take it so. A row that can not become a chunk (it can not be read, or a device has no name) stays
where it is, is told of once, and is left out until there are new names.

It must never let one such row hold up the others, and never leave a row out without saying so.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from ringmain.model.batch import BatchError, Block, decode_batch
from ringmain.model.bulk.chunk import Chunk
from ringmain.model.bulk.codec import ChunkError, decode_chunk
from ringmain.model.bulk.gather import chunk_of
from ringmain.model.bulk.layout import CHUNK_BYTES_MAX, CHUNK_READINGS_MAX, LETTERS_MAX
from ringmain.model.bulk.split import Piece, pieces
from ringmain.model.ids import DeviceId, DeviceKey, Offset
from ringmain.ports.buffer import Row, SealedRow

log = logging.getLogger(__name__)

OWN_READINGS_MAX = 10_000_000
"""Of chunks in our own buffer, which an earlier version may have made larger than the platform takes them."""

Names = Callable[[], Mapping[DeviceKey, DeviceId]]
Gathered = tuple[list[Row], list[Piece]]
"""Rows, and the pieces that hold all of them."""


class Gathering:
    """Knows the names of devices, and the rows that have to stay."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._left: dict[Offset, int] = {}
        """Rows that could not be gathered, and how many names were known then."""

    def may(self, row: Row) -> bool:
        """Whether it can be gathered, as far as that is known."""
        return self._left.get(row.offset) != len(self._names())

    def raw(self, rows: Sequence[Row], packet_max: int) -> Gathered:
        """Pieces of raw rows. A row that can not be gathered is left out."""
        try:
            chunk = chunk_of([decode_batch(row.body) for row in rows], self._names())
            found = pieces(chunk, min(CHUNK_BYTES_MAX, packet_max), packet_max)
        except (BatchError, ChunkError, KeyError) as error:
            return self._one_by_one(rows, packet_max, error)
        return list(rows), found

    def messages(self, rows: Sequence[Row], packet_max: int) -> tuple[list[Row], list[bytes]]:
        """Raw rows, or one sealed row, as payloads; the rows are settled when all of these are acknowledged."""
        row = rows[0]
        if not row.sealed:
            taken, found = self.raw(rows, packet_max)
        elif len(row.body) <= packet_max and row.readings <= CHUNK_READINGS_MAX - LETTERS_MAX:
            return [row], [row.body]
        else:
            taken, found = self._again(row, packet_max)
        return taken, [piece.body for piece in found]

    def _again(self, row: Row, packet_max: int) -> Gathered:
        """A sealed row that the platform does not take as it is."""
        try:
            chunk = decode_chunk(row.body, readings_max=OWN_READINGS_MAX)
            return [row], pieces(chunk, min(CHUNK_BYTES_MAX, packet_max), packet_max)
        except ChunkError as error:
            return self._leave(row, error)

    def _one_by_one(self, rows: Sequence[Row], packet_max: int, error: Exception) -> Gathered:
        """One of them is at fault."""
        if len(rows) == 1:
            return self._leave(rows[0], error)
        taken: list[Row] = []
        found: list[Piece] = []
        for row in rows:
            some, more = self.raw([row], packet_max)
            taken += some
            found += more
        return taken, found

    def _leave(self, row: Row, error: Exception) -> Gathered:
        if row.offset not in self._left:
            log.error("row %d of the buffer can not go up and stays where it is: %r", row.offset, error)
        self._left[row.offset] = len(self._names())
        return [], []


def sealed_row(chunk: Chunk, body: bytes) -> SealedRow:
    """A piece as the buffer keeps it."""
    stamps = [stamp for block in chunk.blocks for stamp in _extremes(block)]
    return SealedRow(chunk.readings, min(stamps, default=0), max(stamps, default=0), body)


def _extremes(block: Block) -> tuple[int, ...]:
    stamps = block.stamps.cast("q")
    return (min(stamps), max(stamps)) if len(stamps) else ()


def held_by(row: Row) -> tuple[Counter[DeviceId], Counter[DeviceId]]:
    """Single readings and dead letters of each device in a sealed row; readings of no device where it is unreadable."""
    counts: Counter[DeviceId] = Counter()
    try:
        chunk = decode_chunk(row.body, readings_max=OWN_READINGS_MAX)
    except ChunkError as error:
        log.error("row %d of the buffer can not be read and is counted as a whole: %s", row.offset, error)
        return Counter({DeviceId(""): row.readings}), counts
    for block in chunk.blocks:
        for index, count in Counter(block.devices.cast("q")).items():
            counts[chunk.names[index]] += count * len(block.channels)
    return counts, Counter(chunk.names[letter.device] for letter in chunk.letters)
