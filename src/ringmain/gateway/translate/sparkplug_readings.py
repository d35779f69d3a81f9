"""Readings of one Sparkplug payload on their way into the open batch: checked to the last value before one is taken."""

import math
from collections import Counter
from collections.abc import Sequence

import msgspec

from ringmain.gateway.columns import Growing, Lane, OpenBatch
from ringmain.gateway.translate.sparkplug_channels import Channels
from ringmain.gateway.translate.sparkplug_counted import Counted, no_reading
from ringmain.model.batch import Stamped
from ringmain.model.device import PERMISSIONS, LifecycleState, Telemetry
from ringmain.model.ids import DeviceKey
from ringmain.model.standing import Standing
from ringmain.model.time import INSTANT_MAX
from ringmain.protocols.sparkplug.births import Birth, Declared, called
from ringmain.protocols.sparkplug.metric import Metric
from ringmain.protocols.sparkplug.values import NUMBERS, number_of
from ringmain.protocols.sparkplug.wire import SparkplugError

_INT64_FIRST, _INT64_END = -(1 << 63), 1 << 63


class Target(msgspec.Struct, frozen=True):
    """Whose readings they become: the node's own, or (`standing`) those of the delegated device that a topic names."""

    key: DeviceKey
    lane: Lane
    standing: Standing | None = None

    @property
    def is_own(self) -> bool:
        """Whether the Sparkplug device has channels of its own."""
        return self.standing is not None


Row = dict[str, int | float]


class Read(msgspec.Struct, frozen=True):
    """`rows` of (event time in ms, values by channel), at most one value of a channel in each; and what was no reading,
    by its reason.
    """

    rows: list[tuple[int, Row]]
    counts: Counter[Counted]


def read_metrics(metrics: Sequence[Birth], sent_ms: int | None, target: Target, channels: Channels) -> Read:
    """What metrics say. `sent_ms`, the payload's time, is that of metrics without one. SparkplugError where a value is
    not of its datatype, does not fit its channel, or has no time that there can be; ChannelRefused for a channel too
    many.
    """
    counts = Counter(Counted.ANNOTATED for _, metric in metrics if metric.annotated)
    # All of them first: whether a channel is shared must not depend on who comes first.
    for declared, metric in metrics:
        if declared.datatype in NUMBERS and not metric.is_transient:
            channels.claim(declared, own=target.is_own)
    rows: dict[int, list[Row]] = {}
    for declared, metric in metrics:
        if why := no_reading(declared.datatype, metric):
            counts[why] += 1
            continue
        value = _value(declared, metric)
        channel = channels.of(declared, own=target.is_own)
        if not channel or not math.isfinite(value):
            counts[Counted.NOT_FINITE if channel else Counted.COLLISION] += 1
            continue
        at_ms = sent_ms if metric.timestamp is None else metric.timestamp
        if at_ms is None or at_ms > INSTANT_MAX:
            raise SparkplugError(f"{called(metric)} has the time {at_ms}; it is milliseconds since 1970 in UTC")
        same = rows.setdefault(at_ms, [{}])
        if channel in same[-1]:
            same.append({})
        same[-1][channel] = _fitted(declared.name, value, exact=_is_exact(target.lane, channel))
    return Read([(at_ms, row) for at_ms, same in rows.items() for row in same], counts)


def _value(declared: Declared, metric: Metric) -> int | float:
    try:
        return number_of(declared.datatype, metric)
    except SparkplugError as error:
        raise SparkplugError(f"metric {declared.name[:80]!r}: {error}") from error


def _is_exact(lane: Lane, channel: str) -> bool:
    if channel not in lane.names:
        lane.check(channel)
    return lane.names[channel] if channel in lane.names else lane.learn(channel)


def _fitted(name: str, value: float, *, exact: bool) -> int | float:
    """A finite number as its channel keeps it: doubles, or whole numbers of 64 bits with a sign."""
    if not exact:
        return float(value)
    if value != int(value):
        raise SparkplugError(f"metric {name[:80]!r} counts whole units, got {value}")
    if not _INT64_FIRST <= value < _INT64_END:
        raise SparkplugError(f"metric {name[:80]!r}: {value} does not fit 64 bits with a sign")
    return int(value)


def add_rows(batch: OpenBatch, target: Target, rows: Sequence[tuple[int, Row]]) -> bool:
    """Put into the batch what the device of `target` may say, and count the rest as rejected; whether it was any."""
    accepted = False
    for at_ms, row in rows:
        if reason := refusal(target.standing, at_ms):
            batch.reject(target.key, reason, len(row))
            continue
        accepted = True
        for exact in (False, True):
            channels = tuple(sorted(name for name in row if target.lane.names[name] is exact))
            if channels:
                shapes = batch.shapes(target.lane, Stamped.DEVICE)
                growing = shapes.get(channels)
                if growing is None:
                    growing = shapes[channels] = Growing(channels, exact=exact)
                growing.add(target.key, at_ms, [row[name] for name in channels])
    return accepted


def refusal(standing: Standing | None, at_ms: int) -> str:
    """Why a reading of that time may not be brought for a device, as for a chunk (`bulk_named.Named.judge`): who may
    not speak for it is not told how it is. Empty where it may.
    """
    if standing is None:
        return ""
    if not standing.covers(at_ms):
        return "not_delegated"
    device = standing.device
    if PERMISSIONS[device.state].telemetry is not Telemetry.REFUSED:
        return ""
    if device.state is not LifecycleState.SUSPENDED:
        return "device_not_active"
    return "device_suspended" if at_ms >= device.state_since_ms else ""
