"""What a Sparkplug B payload holds (3.0.0 §6.4.5-6), and how much of it is taken. `payload.py` reads and writes it."""

from enum import IntEnum

import msgspec

METRICS_MAX = 5_000
"""In one payload: a birth names every metric of a node or device at once, and big PLCs have some thousand. It is also
some 40 ms of the loop, near to what a bulk chunk may take."""

NAME_BYTES_MAX = 1_024
"""Folders included; the specification has no limit, OPC UA browse paths end at a few hundred."""

VALUE_BYTES_MAX = 65_536
"""Of one string or bytes value. None of them is stored; this is what an MQTT string may have at most."""


class Kind(IntEnum):
    """Which field of a metric carries its value: the numbers of the `oneof`."""

    NONE = 0
    INT = 10
    LONG = 11
    FLOAT = 12
    DOUBLE = 13
    BOOLEAN = 14
    STRING = 15
    BYTES = 16
    DATASET = 17
    TEMPLATE = 18
    EXTENSION = 19


class Metric(msgspec.Struct, frozen=True, gc=False):
    """One metric. `timestamp` is milliseconds since 1970 in UTC. `value` is as it stands in the field: an INT or LONG
    still has no sign (`values.py` gives it one). It is None where there is none, and for a DATASET, TEMPLATE or
    EXTENSION, which are not opened; `annotated` says that there was a PropertySet or MetaData, not opened either.
    """

    name: str | None = None
    alias: int | None = None
    timestamp: int | None = None
    datatype: int | None = None
    is_historical: bool = False
    is_transient: bool = False
    is_null: bool = False
    kind: Kind = Kind.NONE
    value: int | float | str | bytes | None = None
    annotated: bool = False


class Payload(msgspec.Struct, frozen=True):
    """One payload. `timestamp` is when it was sent, in milliseconds since 1970 in UTC."""

    timestamp: int | None = None
    metrics: tuple[Metric, ...] = ()
    seq: int | None = None
    uuid: str | None = None
    body: bytes | None = None
