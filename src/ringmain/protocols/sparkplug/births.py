"""Births: what a node says its metrics are (Sparkplug 3.0.0 §6.4.19-20), and the aliases it gives them."""

from collections.abc import Mapping, Sequence
from typing import TypeAlias

import msgspec

from ringmain.protocols.sparkplug.metric import Metric, Payload
from ringmain.protocols.sparkplug.wire import SparkplugError

BD_SEQ = "bdSeq"
CONTROLS = ("Node Control/", "Device Control/")


class Declared(msgspec.Struct, frozen=True, gc=False):
    """What a birth says of a metric. `device` is empty for those of the node itself."""

    device: str
    name: str
    datatype: int


Birth: TypeAlias = tuple[Declared, Metric]


def births_of(device: str, payload: Payload) -> list[Birth]:
    """The metrics of a birth with what it declares. SparkplugError for one without a name or datatype
    [payloads-name-requirement] [payloads-metric-datatype-req].
    """
    births: list[Birth] = []
    for metric in payload.metrics:
        if not metric.name:
            raise SparkplugError("a metric of a birth has no name")
        if metric.datatype is None and not is_control(metric.name):
            raise SparkplugError(f"{called(metric)} has no datatype in its birth")
        births.append((Declared(device, metric.name, metric.datatype or 0), metric))
    return births


def aliases_of(births: Sequence[Birth], others: Mapping[int, Declared]) -> dict[int, Declared]:
    """[payloads-alias-uniqueness]: one alias, one metric, over a node and all of its devices."""
    aliases: dict[int, Declared] = {}
    for declared, metric in births:
        if metric.alias is None:
            continue
        other = others.get(metric.alias) or aliases.setdefault(metric.alias, declared)
        if (other.device, other.name) != (declared.device, declared.name):
            raise SparkplugError(f"alias {metric.alias} is that of {other.name[:80]!r} and of {declared.name[:80]!r}")
    return aliases


def measuring(births: Sequence[Birth]) -> tuple[Birth, ...]:
    """Those that are no controls."""
    return tuple(birth for birth in births if not is_control(birth[0].name))


def is_control(name: str) -> bool:
    """Whether a metric is about the session or a command, and measures nothing."""
    return name == BD_SEQ or name.startswith(CONTROLS)


def called(metric: Metric) -> str:
    """A metric by its name or alias, for a text."""
    return f"metric {metric.name[:80]!r}" if metric.name is not None else f"alias {metric.alias}"
