"""How much disk an edge gateway's buffer takes in an outage, and how long it drains afterwards.

The bytes of a reading were measured with the gateway's own chunks of 12,000 readings (`docs/edge.md`): they depend on
what the values are like and on whether stamps are regular, far less on how many meters there are. A test compares the
prediction with the real file; it has to agree within 20 %.
"""

from math import log, log2

import msgspec

DECIMAL_BYTES, FULL_BYTES = 1.38, 6.2
"""Of one value in a sealed chunk: noise with two decimals (one takes 0.95, three 1.75), and full doubles."""

REGISTER_BYTES_MIN, REGISTER_SPREAD, REGISTER_LOSS = 0.16, 0.413, 1.08
"""Of one value of a register: what it grew by since the last. A household's power differs from one value to the next by
a third of itself, around 1 kW: that is log2(0.413 * seconds) bits, written with a loss of 8 %; never less than the
first figure, which is what growing by 0 or 1 takes.
"""

RUN_BYTES, RUN_BYTES_RARE = 2.9, 1.25
"""Of the first value of a register in a chunk, more (times the logarithm of the values that follow) the rarer it is."""

STAMP_BYTES_JITTER, STAMP_BYTES_REGULAR = 1.4, 0.01
"""Of one message's stamp: with a second of jitter, and where every meter keeps its step. Shared by its channels."""

NAME_BYTES = 2.2
"""Of one meter in one chunk: its compressed name."""

CHUNK_BYTES = 200.0
"""Of one chunk besides: header, checksum, dictionaries."""

CHUNK_READINGS, CHUNK_S = 12_000, 120.0
"""A chunk is sealed when it has so many readings, or after so long (`services.forwarding.keeping`)."""

PAGE_BYTES, ROW_BYTES = 4096, 40
"""SQLite's page, a quarter of which is lost with a row that is larger than that; and its own bytes of a row."""

RAW_BYTES = 26.0
"""Of a reading that is not sealed yet, in the file."""

FILE_BYTES, LOG_BYTES, AHEAD_BYTES, RESERVE_BYTES = 28_672, 4 << 20, 1 << 19, 2 << 20
"""The empty file; the write-ahead log, allocated whole; what is allocated of the file before it is needed, on average
half a step of 1 MiB; and what is held for the day the disk is full. A test compares with the buffer's own figures.
"""

FIXED_BYTES = FILE_BYTES + LOG_BYTES + AHEAD_BYTES + RESERVE_BYTES

UPLINK_OVERHEAD = 1.06
"""TLS, TCP and MQTT on top of a chunk of some 10 KB: headers of 1,460-byte segments and their acknowledgements."""


class Load(msgspec.Struct, frozen=True):
    """What the meters say: each of `meters` sends a message every `every_s` with so many values of each kind."""

    meters: int
    every_s: float
    registers: int = 1
    decimals: int = 0
    fulls: int = 0
    jitter: bool = True

    @property
    def channels(self) -> int:
        """Values of one message."""
        return self.registers + self.decimals + self.fulls

    @property
    def readings_s(self) -> float:
        """Single values a second, of all meters."""
        return self.meters * self.channels / self.every_s

    def chunk_bytes(self, readings: float) -> float:
        """Of a chunk of so many readings."""
        messages = readings / self.channels
        meters = min(float(self.meters), messages)
        stamp = STAMP_BYTES_JITTER if self.jitter else STAMP_BYTES_REGULAR
        noise = self.decimals * DECIMAL_BYTES + self.fulls * FULL_BYTES
        first = RUN_BYTES + RUN_BYTES_RARE * log(messages / meters)
        growth = max(REGISTER_BYTES_MIN, REGISTER_LOSS * log2(REGISTER_SPREAD * self.every_s) / 8)
        registers = self.registers * (meters * first + (messages - meters) * growth)
        return CHUNK_BYTES + meters * NAME_BYTES + messages * (stamp + noise) + registers


class Size(msgspec.Struct, frozen=True):
    """`chunk_bytes` go up the uplink, `file_bytes` lie on the disk, everything included."""

    readings: int
    chunk_bytes: int
    file_bytes: int

    @property
    def bytes_per_reading(self) -> float:
        """On the disk."""
        return self.file_bytes / self.readings if self.readings else 0.0


def size(load: Load, hours: float) -> Size:
    """The buffer after an outage of `hours`. ValueError where the load says nothing."""
    if load.meters < 1 or load.every_s <= 0 or load.channels < 1 or hours < 0:
        raise ValueError("at least one meter with one value, an interval above 0, and an outage of 0 hours or more")
    readings = load.readings_s * hours * 3600
    per_chunk = min(CHUNK_READINGS, max(1.0, load.readings_s * CHUNK_S))
    chunks = readings / per_chunk
    chunk = load.chunk_bytes(per_chunk)
    row = chunk + ROW_BYTES + (PAGE_BYTES / 4 if chunk > PAGE_BYTES / 4 else 0)
    raw = min(readings, per_chunk) * RAW_BYTES
    return Size(round(readings), round(chunks * chunk), round(chunks * row + raw + FIXED_BYTES))


def hours_that_fit(load: Load, disk_bytes: int) -> float:
    """How long an outage may last before a buffer of that size is full: 0 where it is too small for anything."""
    low, high = 0.0, 24.0 * 366 * 20
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if size(load, middle).file_bytes <= disk_bytes else (low, middle)
    return low


def drain_s(load: Load, held: Size, uplink_bytes_s: float) -> float | None:
    """How long the backlog takes while live readings go first; None where the uplink is not even enough for those."""
    per_chunk = max(float(load.channels), load.readings_s)
    live = load.readings_s / per_chunk * load.chunk_bytes(per_chunk) * UPLINK_OVERHEAD
    left = uplink_bytes_s - live
    return held.chunk_bytes * UPLINK_OVERHEAD / left if left > 0 else None
