"""Blocks on their way into a chunk: rows in order and written once, values channel by channel. See `codec.py`."""

from array import array
from collections.abc import Sequence
from operator import itemgetter

from ringmain.model.batch import Block
from ringmain.model.bulk.columns import Column, ColumnHead, encode_floats, encode_integers
from ringmain.model.bulk.layout import BlockHead, RowsHead


class Writing:
    """Rows and streams so far, and the orders of rows already sorted."""

    def __init__(self) -> None:
        self.rows: list[RowsHead] = []
        self.row_streams: list[bytes] = []
        self.block_streams: list[bytes] = []
        self._known: dict[tuple[bytes, bytes], tuple[int, Sequence[int] | None]] = {}

    def block(self, block: Block) -> BlockHead:
        """Write a block's columns, and its rows where they are new."""
        key = bytes(block.devices), bytes(block.stamps)
        if key not in self._known:
            self._known[key] = self._sorted(*map(_int64, key))
        rows, order = self._known[key]
        k = len(block.channels)
        values: array[int] | array[float] = array("q" if block.exact else "d")
        values.frombytes(block.values)
        heads: list[ColumnHead] = []
        for at in range(k):
            column = values[at::k] if k > 1 else values
            if order is not None:
                column = array(column.typecode, itemgetter(*order)(column))
            head, stream = encode_integers(column) if block.exact else encode_floats(column)  # type: ignore[arg-type]
            heads.append(head)
            self.block_streams.append(stream)
        return BlockHead(rows, block.exact, block.stamped, block.channels, tuple(heads))

    def _sorted(self, devices: "array[int]", stamps: "array[int]") -> tuple[int, Sequence[int] | None]:
        """The index of these rows, and the order they were put in; None where they stood in it. A sort for each key,
        because what arrives is nearly in order of its stamps, and Python's sort is quick then.
        """
        order = sorted(range(len(stamps)), key=stamps.__getitem__)
        order.sort(key=devices.__getitem__)
        moved = any(map(int.__ne__, order, range(len(order))))
        if moved:
            devices = array("q", itemgetter(*order)(devices))
            stamps = array("q", itemgetter(*order)(stamps))
        runs, counts = _runs(devices)
        columns: list[Column] = [encode_integers(runs), encode_integers(counts), encode_integers(stamps)]
        self.rows.append(RowsHead(len(stamps), len(runs), *(head for head, _ in columns)))
        self.row_streams += [stream for _, stream in columns]
        return len(self.rows) - 1, order if moved else None


def _runs(devices: "array[int]") -> tuple["array[int]", "array[int]"]:
    """Sorted devices and how often each stands."""
    counts: dict[int, int] = dict.fromkeys(devices, 0)
    for device in devices:
        counts[device] += 1
    return array("q", counts), array("q", counts.values())


def _int64(column: bytes) -> "array[int]":
    found = array("q")
    found.frombytes(column)
    return found
