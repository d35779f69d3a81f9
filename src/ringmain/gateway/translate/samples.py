"""Samples: what every form of telemetry comes down to before it goes into the batch, and the shapes of plain objects.

    {"ts": ms, "values": {"channel": number}}      {"channel": number, "ts": ms}      a list of either

come as JSON, as MessagePack and as CBOR, and are read here once for all three. Nothing is checked against a profile
yet: see `placing`.
"""

from collections.abc import Mapping

import msgspec

from ringmain.model.time import INSTANT_MAX

CHANNELS_PER_MESSAGE_MAX = 256
"""A concentrator has some hundred registers; more channels in one object is a mistake."""

READINGS_PER_PAYLOAD_MAX = 50_000
"""A day of five channels at 10 s is 43,200; a bulk upload is split by its sender."""


class PayloadRefused(Exception):
    """A payload that can not be taken; all of it is a dead letter. `reason` is a code of `model.errors`."""

    def __init__(self, detail: str, reason: str = "undecodable_payload") -> None:
        super().__init__(detail)
        self.reason = reason


class Sample(msgspec.Struct, frozen=True, gc=False):
    """Values of one moment, by channel. Without `at_ms` that is the arrival, `offset_ms` earlier or later; a value is
    a number or a boolean, and anything else is refused when it is placed.
    """

    at_ms: int | None
    values: Mapping[str, object]
    offset_ms: int = 0


def samples_of(found: object) -> list[Sample]:
    """The samples of one object of either shape, or of a list of them. PayloadRefused for everything else."""
    items = found if isinstance(found, list | tuple) else [found]
    if not items:
        raise PayloadRefused("an empty list carries no reading")
    if len(items) > READINGS_PER_PAYLOAD_MAX:
        raise too_many()
    return [_sample(item) for item in items]


def too_many() -> PayloadRefused:
    """For a payload with more readings than it may have."""
    return PayloadRefused(f"more than {READINGS_PER_PAYLOAD_MAX} readings in one payload", "too_large")


def stamp_of(value: object) -> int:
    """An instant in milliseconds. PayloadRefused where it is none."""
    if isinstance(value, bool) or not isinstance(value, int):
        raise PayloadRefused(f"ts: expected an integer, got {type(value).__name__}; it is milliseconds since 1970")
    if not 0 <= value <= INSTANT_MAX:
        raise PayloadRefused("ts: before 1970 or too late; it is milliseconds since 1970 in UTC")
    return value


def _sample(item: object) -> Sample:
    if not isinstance(item, Mapping):
        raise PayloadRefused(f"expected an object of channels, got {type(item).__name__}")
    values = dict(item)
    ts = values.pop("ts", None)
    if isinstance(inner := values.get("values"), Mapping):
        del values["values"]
        if values:
            raise PayloadRefused(f"unknown member {str(next(iter(values)))[:80]!r} beside ts and values")
        values = dict(inner)
    if not values:
        raise PayloadRefused("it names no channel")
    if len(values) > CHANNELS_PER_MESSAGE_MAX:
        raise PayloadRefused(f"{len(values)} channels in one message, the limit is {CHANNELS_PER_MESSAGE_MAX}")
    if not all(isinstance(name, str) for name in values):
        raise PayloadRefused("a channel is named by a string")
    return Sample(None if ts is None else stamp_of(ts), values)
