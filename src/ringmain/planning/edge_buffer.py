"""How much disk an edge gateway's buffer takes in an outage, and how long it drains afterwards.

The bytes of a reading were measured with the gateway's own chunks of 12,000 readings (`docs/edge.md`): they depend on
what the values are like and on whether stamps are regular, far less on how many meters there are. A test compares the
prediction with the real file; it has to agree within 20 %.
"""

from enum import StrEnum

import msgspec


class Values(StrEnum):
    """What the values are like. REGISTER: integers that grow slowly. DECIMAL: noise with two decimals, such as a
    voltage. FULL: doubles of full precision.
    """

    REGISTER = "register"
    DECIMAL = "decimal"
    FULL = "full"


VALUE_BYTES = {Values.REGISTER: 0.30, Values.DECIMAL: 1.4, Values.FULL: 6.2}
"""Of one value in a sealed chunk; measured 0.2-0.35, 1.4 (two decimals; one takes 0.95, three 1.75) and 6.2."""

STAMP_BYTES_JITTER, STAMP_BYTES_REGULAR = 1.2, 0.01
"""Of one message's stamp: with milliseconds of jitter, and where every meter keeps its step. Shared by its channels."""

NAME_BYTES = 3.0
"""Of one meter in one chunk: its compressed name and run."""

CHUNK_BYTES = 130.0
"""Of one chunk besides: header, checksum, dictionaries."""

CHUNK_READINGS, CHUNK_S = 12_000, 120.0
"""A chunk is sealed when it has so many readings, or after so long (`services.forwarding.keeping`)."""

PAGE_BYTES, ROW_BYTES = 4096, 30
"""SQLite's page, of which half is lost at the end of a row that is larger than one; and its own bytes of a row."""

RAW_BYTES = 26.0
"""Of a reading that is not sealed yet, in the file."""

FILE_BYTES, LOG_BYTES, RESERVE_BYTES = 60_000, 2_100_000, 2 << 20
"""The empty file, the write-ahead log (it is folded in at 500 pages), and what is held for the day the disk is full."""

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

    @property
    def value_bytes(self) -> float:
        """Of an average value without its share of the stamp."""
        counts = {Values.REGISTER: self.registers, Values.DECIMAL: self.decimals, Values.FULL: self.fulls}
        return sum(VALUE_BYTES[kind] * count for kind, count in counts.items()) / self.channels


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
    stamp_bytes = STAMP_BYTES_JITTER if load.jitter else STAMP_BYTES_REGULAR
    per_reading = load.value_bytes + stamp_bytes / load.channels
    present = min(load.meters, per_chunk / load.channels)
    chunk = per_chunk * per_reading + present * NAME_BYTES + CHUNK_BYTES
    row = chunk + ROW_BYTES + (PAGE_BYTES / 2 if chunk > PAGE_BYTES / 4 else 0)
    raw = min(readings, per_chunk) * RAW_BYTES
    log = min(LOG_BYTES, 20_000 + 3 * (chunks * row + raw))
    return Size(round(readings), round(chunks * chunk), round(chunks * row + raw + log + FILE_BYTES + RESERVE_BYTES))


def hours_that_fit(load: Load, disk_bytes: int) -> float:
    """How long an outage may last before a buffer of that size is full: 0 where it is too small for anything."""
    low, high = 0.0, 24.0 * 366 * 20
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if size(load, middle).file_bytes <= disk_bytes else (low, middle)
    return low


def drain_s(load: Load, held: Size, uplink_bytes_s: float) -> float | None:
    """How long the backlog takes while live readings go first; None where the uplink is not even enough for those."""
    per_reading = held.chunk_bytes / held.readings if held.readings else 0.0
    live = load.readings_s * max(per_reading, load.value_bytes + STAMP_BYTES_JITTER) * UPLINK_OVERHEAD * 1.5
    left = uplink_bytes_s - live
    return held.chunk_bytes * UPLINK_OVERHEAD / left if left > 0 else None
