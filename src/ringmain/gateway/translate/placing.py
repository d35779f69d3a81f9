"""Placing: samples become rows of the open batch, each value checked against its channel, all of a payload or nothing.

Booleans are 0 and 1. Strings are not numbers, whatever stands in them: who means a number can send one.
"""

import math
from collections.abc import Sequence
from typing import TypeAlias

from ringmain.gateway.columns import Growing, Lane, OpenBatch
from ringmain.gateway.translate.samples import READINGS_PER_PAYLOAD_MAX, PayloadRefused, Sample, too_many
from ringmain.model.batch import Stamped
from ringmain.model.ids import DeviceKey
from ringmain.model.time import INSTANT_MAX

Row: TypeAlias = tuple[Stamped, int, tuple[str, ...], bool, list[int | float]]
"""Who stamped it, when, its channels, whether they are EXACT, and a value for each."""


class Arrivals:
    """Stamps for messages that have none: when they came, and never the same twice for one device. One integer for
    each device that ever sent such a message.
    """

    def __init__(self) -> None:
        self._last: dict[DeviceKey, int] = {}

    def of(self, device: DeviceKey, received_ms: int, count: int) -> list[int]:
        """The next `count` of them."""
        first = max(received_ms, self._last.get(device, 0) + 1)
        self._last[device] = first + count - 1
        return list(range(first, first + count))


def rows_of(
    lane: Lane, device: DeviceKey, samples: Sequence[Sample], arrivals: Arrivals, received_ms: int
) -> list[Row]:
    """Every row of one payload, checked to the last value. PayloadRefused or ChannelRefused; then nothing of it may be
    taken.
    """
    rows: list[Row] = []
    for sample in samples:
        stamped, at_ms = Stamped.DEVICE, sample.at_ms
        if at_ms is None:
            stamped = Stamped.ARRIVAL
            at_ms = arrivals.of(device, received_ms, 1)[0] + sample.offset_ms
            if not 0 <= at_ms <= INSTANT_MAX:
                raise PayloadRefused("a time relative to now that is before 1970 or too late")
        exact = {name: _is_exact(lane, name, value) for name, value in sample.values.items()}
        for kind in (False, True):
            channels = tuple(name for name in exact if exact[name] is kind)
            if channels:
                numbers = [number(name, sample.values[name], exact=kind) for name in channels]
                rows.append((stamped, at_ms, channels, kind, numbers))
    if sum(len(row[2]) for row in rows) > READINGS_PER_PAYLOAD_MAX:
        raise too_many()
    return rows


def place(batch: OpenBatch, lane: Lane, device: DeviceKey, rows: Sequence[Row]) -> None:
    """Put checked rows into the batch."""
    for stamped, at_ms, channels, exact, values in rows:
        shapes = batch.shapes(lane, stamped)
        growing = shapes.get(channels)
        if growing is None:
            growing = shapes[channels] = Growing(channels, exact=exact)
        growing.add(device, at_ms, values)


def number(name: str, value: object, *, exact: bool) -> int | float:
    """The value as its channel keeps it: a whole number of 64 bits where EXACT, else a finite double. PayloadRefused
    where it is neither.
    """
    assert isinstance(value, int | float), "see `_is_exact`"
    if isinstance(value, float) and not math.isfinite(value):
        raise PayloadRefused(f"{name}: {value} is no reading")
    if not exact:
        try:
            return float(value)
        except OverflowError as error:
            raise PayloadRefused(f"{name}: {str(value)[:20]}... does not fit a double") from error
    if isinstance(value, float) and not value.is_integer():
        raise PayloadRefused(f"{name} counts whole units, got {value}")
    value = int(value)
    if not -(1 << 63) <= value < 1 << 63:
        raise PayloadRefused(f"{name}: does not fit 64 bits")
    return value


def _is_exact(lane: Lane, name: str, value: object) -> bool:
    """Whether the channel is EXACT, once its name and value are known to be acceptable."""
    exact = lane.names.get(name)
    if exact is None:
        lane.check(name)
    if not isinstance(value, int | float):
        raise PayloadRefused(f"{name}: expected a number, got {type(value).__name__}")
    return lane.learn(name) if exact is None else exact
