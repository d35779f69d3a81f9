"""What a host application knows of one edge node (Sparkplug 3.0.0 §5): whether it is there, what its births declared,
and which message comes next. One table, `NODE`; it reads no clock and sends nothing.

A host that lacks a message asks for a rebirth instead of guessing. What it still believes until then: names, for they
say themselves which metric they mean; not aliases, for the message that is missing could have been a birth that gave
them to others. There is no reorder timeout: the platform's own broker hands on what one node says in its order.
"""

from collections.abc import Mapping, Sequence

import msgspec

from ringmain.protocols.sparkplug.births import BD_SEQ, Birth, Declared, aliases_of, births_of, called, measuring
from ringmain.protocols.sparkplug.metric import Kind, Metric, Payload
from ringmain.protocols.sparkplug.node import NODE, NodeEvent, NodeState
from ringmain.protocols.sparkplug.topics import MessageType, Topic
from ringmain.protocols.sparkplug.wire import SparkplugError

SEQ_COUNT = 256
"""[payloads-sequence-num-incrementing] 0 to 255, and then 0 again."""

DECLARED_MAX = 10_000
"""Metrics of one node and all of its devices: two payloads full of them, and some 3 MB of memory."""

DEVICES_MAX = 1_000
"""Devices of one node at a time: a concentrator has some hundred."""

_BORN = frozenset({NodeState.ALIVE, NodeState.INCOMPLETE})
_NOTHING: Mapping[str, Declared] = {}


class Heard(msgspec.Struct, frozen=True):
    """What a message was. `metrics` are those of it that measure something, with what its birth declared; there are
    none where the event is UNDECLARED. `detail` says what is wrong where the event is one of `ASKS`. `gone` are the
    devices that are no longer there with it.
    """

    event: NodeEvent
    metrics: tuple[Birth, ...] = ()
    detail: str = ""
    gone: tuple[str, ...] = ()


class Session:
    """One edge node under one group, as seen by a host."""

    __slots__ = ("_aliases", "_declared", "bd_seq", "group", "next_seq", "state")

    def __init__(self, group: str) -> None:
        self.group = group
        self.state = NodeState.UNKNOWN
        self.bd_seq: int | None = None
        self.next_seq = 0
        self._declared: dict[str, dict[str, Declared]] = {}
        self._aliases: dict[int, Declared] = {}

    @property
    def declared(self) -> int:
        """Metrics of all births in force."""
        return sum(map(len, self._declared.values()))

    def take(self, topic: Topic, payload: Payload) -> Heard:
        """A message of the node. SparkplugError where it breaks a rule that makes it useless: nothing was taken of it,
        and unless it was an NDEATH, `lost` has to be told.
        """
        if topic.type is MessageType.NBIRTH:
            return self._born(payload)
        if topic.type is MessageType.NDEATH:
            return self._died(payload)
        return self._followed(topic, payload, _seq(payload))

    def _followed(self, topic: Topic, payload: Payload, seq: int) -> Heard:
        """A message that has a place in the sequence."""
        device = topic.device
        is_next = self.state is NodeState.ALIVE and seq == self.next_seq
        births: list[Birth] = []
        aliases: Mapping[int, Declared] = {}
        if topic.type is MessageType.DBIRTH:
            births = births_of(device, payload)
            aliases = self._checked(device, births, is_next=is_next)
        event = NodeEvent.NEXT if is_next else NodeEvent.GAP
        detail = "" if is_next else self._missing(seq)
        self._go(event)
        self.next_seq = (seq + 1) % SEQ_COUNT
        if topic.type in {MessageType.NDATA, MessageType.DDATA}:
            return self._said(device, payload, event, detail)
        self._forget(device)
        if topic.type is MessageType.DDEATH:
            return Heard(event, (), detail, (device,))
        if self.state in _BORN:
            self._declare(device, births, aliases)
        return Heard(event, measuring(births), detail)

    def lost(self) -> None:
        """A message of the node came that could not be read, so nobody knows what it said."""
        self._go(NodeEvent.GAP)

    def _go(self, event: NodeEvent) -> None:
        self.state = NODE[self.state, event]
        if self.state is not NodeState.ALIVE:
            self._aliases.clear()
        if self.state not in _BORN:
            self._declared.clear()

    def _missing(self, seq: int) -> str:
        if self.state is NodeState.ALIVE:
            return f"seq {seq} came where {self.next_seq} is the next"
        return "a message is missing" if self.state is NodeState.INCOMPLETE else "no NBIRTH is known"

    def _born(self, payload: Payload) -> Heard:
        """[payloads-nbirth-seq] [payloads-nbirth-bdseq]: with both numbers. Everything before it is over."""
        seq, bd_seq = _seq(payload), _bd_seq(payload)
        births = births_of("", payload)
        aliases = aliases_of(births, {})
        self._go(NodeEvent.BIRTH)
        self.bd_seq = bd_seq
        self.next_seq = (seq + 1) % SEQ_COUNT
        self._declared.clear()
        self._aliases.clear()
        self._declare("", births, aliases)
        return Heard(NodeEvent.BIRTH, measuring(births))

    def _died(self, payload: Payload) -> Heard:
        """[payloads-ndeath-bdseq]: the will of a connection that another one replaced comes late, and is not of it."""
        bd_seq = _bd_seq(payload)
        if self.state is NodeState.UNKNOWN or bd_seq != self.bd_seq:
            self._go(NodeEvent.OLD_DEATH)
            return Heard(NodeEvent.OLD_DEATH)
        gone = tuple(device for device in self._declared if device)
        self._go(NodeEvent.DEATH)
        return Heard(NodeEvent.DEATH, gone=gone)

    def _said(self, device: str, payload: Payload, event: NodeEvent, detail: str) -> Heard:
        found: list[Birth] = []
        for metric in payload.metrics:
            declared = self._find(device, metric)
            if declared is None:
                self._go(NodeEvent.UNDECLARED)
                undeclared = f"no birth in force declares {called(metric)}"
                return Heard(NodeEvent.UNDECLARED, (), f"{detail}; {undeclared}" if detail else undeclared)
            found.append((declared, metric))
        return Heard(event, measuring(found), detail)

    def _find(self, device: str, metric: Metric) -> Declared | None:
        if metric.name is not None:
            return self._declared.get(device, _NOTHING).get(metric.name)
        declared = self._aliases.get(-1 if metric.alias is None else metric.alias)
        return declared if declared and declared.device == device else None

    def _checked(self, device: str, births: Sequence[Birth], *, is_next: bool) -> dict[int, Declared]:
        """The aliases of a device's birth. SparkplugError where it breaks a limit or, as far as those of the others are
        still believed, a rule together with them.
        """
        if device not in self._declared and len(self._declared) > DEVICES_MAX:
            raise SparkplugError(f"more than {DEVICES_MAX} devices of one node")
        if self.declared - len(self._declared.get(device, _NOTHING)) + len(births) > DECLARED_MAX:
            raise SparkplugError(f"more than {DECLARED_MAX} metrics of one node and its devices")
        others = {alias: each for alias, each in self._aliases.items() if is_next and each.device != device}
        return aliases_of(births, others)

    def _declare(self, device: str, births: Sequence[Birth], aliases: Mapping[int, Declared]) -> None:
        self._declared[device] = {declared.name: declared for declared, _ in births}
        if self.state is NodeState.ALIVE:
            self._aliases.update(aliases)

    def _forget(self, device: str) -> None:
        if self._declared.pop(device, None) is not None:
            self._aliases = {alias: each for alias, each in self._aliases.items() if each.device != device}


def _seq(payload: Payload) -> int:
    """[payloads-sequence-num-always-included]."""
    if payload.seq is None or payload.seq >= SEQ_COUNT:
        raise SparkplugError(f"seq is {payload.seq}, and has to be 0 to {SEQ_COUNT - 1}")
    return payload.seq


def _bd_seq(payload: Payload) -> int:
    for metric in payload.metrics:
        if metric.name == BD_SEQ and metric.kind in {Kind.INT, Kind.LONG} and isinstance(metric.value, int):
            return metric.value
    raise SparkplugError(f"no metric {BD_SEQ} with a whole number")
