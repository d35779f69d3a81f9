"""SenML telemetry: resolved records become samples, their names channels, their units those of the profile.

A unit never gets lost: where the profile says another one for the channel, the payload is refused, but for kWh and kW
in channels that count Wh and W, whose factor is a whole thousand. Names lose the device's own id in front, which says
no more than who sent them.
"""

import re
from collections.abc import Sequence
from decimal import Decimal

from ringmain.gateway.translate.samples import CHANNELS_PER_MESSAGE_MAX, PayloadRefused, Sample
from ringmain.model.device import Profile
from ringmain.model.ids import DeviceId
from ringmain.model.time import INSTANT_MAX
from ringmain.protocols.senml.records import Record

THE_ONE_CHANNEL = "value"
"""Of a device that measures one thing, and gives it no name but its own."""

SUM_SUFFIX = "_sum"
"""The integral over time of a channel (RFC 8428 §4.5.5) is another quantity: a channel of its own."""

_NO_CHANNEL = re.compile(r"[^A-Za-z0-9_.:/ -]")
_FIRST = re.compile(r"[A-Za-z_]")
_SEPARATORS = ":/._-"
_THOUSANDS = {("kWh", "Wh"): "_wh", ("kW", "W"): "_w"}


def samples_of_records(records: Sequence[Record], device: DeviceId, profile: Profile) -> list[Sample]:
    """A sample for each moment, in the order in which they are first named. PayloadRefused where a record is no number,
    has another unit, or a time that there is not.
    """
    open_values: dict[int | tuple[int], dict[str, object]] = {}
    samples: list[Sample] = []
    for record in records:
        at_ms = record.time_ms
        if not record.is_relative and at_ms > INSTANT_MAX:
            raise PayloadRefused(f"{record.name[:80]}: its time is too late")
        # A relative moment and an absolute one are never the same.
        moment = (at_ms,) if record.is_relative else at_ms
        for channel, value in _readings(record, device, profile):
            values = open_values.get(moment)
            if values is None or channel in values or len(values) >= CHANNELS_PER_MESSAGE_MAX:
                values = open_values[moment] = {}
                samples.append(Sample(None, values, at_ms) if record.is_relative else Sample(at_ms, values))
            values[channel] = value
    return samples


def channel_of(name: str, device: DeviceId) -> str:
    """The channel of a resolved name: without the device's id or URN before it, and with `_` for what a channel can
    not have. One that would begin with a digit gets `_` in front, so that no two names of LwM2M become one.
    """
    rest = name
    at = 0 if name.startswith(device) else name.find(f":{device}") + 1 if name[:4].lower() == "urn:" else -1
    if at > 0 or name.startswith(device):
        behind = name[at + len(device) :]
        if not behind or behind[0] in _SEPARATORS:
            rest = behind.lstrip(_SEPARATORS)
    return as_channel(rest) or THE_ONE_CHANNEL


def as_channel(text: str) -> str:
    """`text` with `_` for every character that no channel may have; it may still be too long, or empty."""
    channel = _NO_CHANNEL.sub("_", text)
    return channel if not channel or _FIRST.match(channel) else f"_{channel}"


def in_unit_of(profile: Profile, channel: str, unit: str, value: int | float) -> int | float:
    """The value in the unit of its channel. PayloadRefused where it came in another one that is not converted."""
    declared = _unit_of(profile, channel)
    if not unit or not declared or unit == declared:
        return value
    suffix = _THOUSANDS.get((unit, declared))
    if suffix is None or not (channel.endswith(suffix) or profile.is_exact(channel)):
        raise PayloadRefused(f"{channel}: came in {unit[:20]}, and its profile {profile.name} says {declared}")
    if isinstance(value, int):
        return value * 1000
    exact = Decimal(repr(value)) * 1000
    if exact == exact.to_integral_value():
        return int(exact)
    if profile.is_exact(channel):
        raise PayloadRefused(f"{channel}: {value} {unit} is no whole number of {declared}")
    return float(exact)


def _unit_of(profile: Profile, channel: str) -> str:
    """What the profile says, or else the channel's name."""
    for known in profile.channels:
        if known.name == channel:
            return known.unit
    return "Wh" if channel.endswith("_wh") else "W" if channel.endswith("_w") else ""


def _readings(record: Record, device: DeviceId, profile: Profile) -> list[tuple[str, object]]:
    """Channel and value of a record, and of its sum where it has one."""
    channel = channel_of(record.name, device)
    found: list[tuple[str, object]] = []
    if isinstance(record.value, str | bytes):
        raise PayloadRefused(
            f"{record.name[:80]}: a {'string' if isinstance(record.value, str) else 'blob'} is no number"
        )
    if isinstance(record.value, bool):
        found.append((channel, int(record.value)))
    elif record.value is not None:
        found.append((channel, in_unit_of(profile, channel, record.unit, record.value)))
    if record.sum is not None:
        unit = f"{record.unit}.s" if record.unit else ""
        found.append((channel + SUM_SUFFIX, in_unit_of(profile, channel + SUM_SUFFIX, unit, record.sum)))
    return found
