"""Chunks as plain rows, so that two of them can be compared whatever order their rows stand in."""

import struct

import pytest

from ringmain.model.bulk.chunk import Chunk


def rows_of(chunk: Chunk) -> list[tuple]:
    """(channels, exact, stamped, device, stamp, values) of every row, sorted; floats as their bits."""
    rows = []
    for block in chunk.blocks:
        n, k = block.messages, len(block.channels)
        devices = struct.unpack(f"<{n}q", block.devices)
        stamps = struct.unpack(f"<{n}q", block.stamps)
        values = struct.unpack(f"<{n * k}q", block.values)
        for at in range(n):
            key = block.channels, block.exact, int(block.stamped), chunk.names[devices[at]], stamps[at]
            rows.append((*key, values[k * at : k * (at + 1)]))
    return sorted(rows)


@pytest.fixture(name="rows_of")
def _rows_of():
    return rows_of
