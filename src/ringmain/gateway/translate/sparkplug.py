"""Sparkplug B: what edge nodes publish below `spBv1.0/` becomes readings, and what the platform lacks is asked for.

The edge node is the device that signed in: the node id of the topic is its device id, whatever the group, and anything
else is rejected as `foreign_device`. (An id of group and node together would be ambiguous: `a_b` and `c` make the same
as `a` and `b_c`.) A Sparkplug device below it is the delegated device of that id, if there is one in any span of time;
then the delegation and the device's own lifecycle decide on each reading, as they do for a chunk. Otherwise its metrics
are channels of the node, behind the device's id and `_`.

A payload is stored whole or kept whole as a dead letter of the node. Births are believed even then: a birth with one
value that does not fit still says what its metrics are.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ringmain.gateway.columns import ChannelRefused, Lanes, OpenBatch
from ringmain.gateway.translate.sparkplug_counted import Counted
from ringmain.gateway.translate.sparkplug_host import Node, SparkplugHost
from ringmain.gateway.translate.sparkplug_readings import Target, add_rows, read_metrics
from ringmain.model.batch import DeadLetter
from ringmain.model.device import PERMISSIONS, Device, Principal, Telemetry
from ringmain.model.ids import DeviceId, DeviceKey
from ringmain.model.standing import Standing
from ringmain.protocols.sparkplug.metric import Payload
from ringmain.protocols.sparkplug.node import ASKS, NodeEvent
from ringmain.protocols.sparkplug.payload import decode_payload
from ringmain.protocols.sparkplug.session import Heard
from ringmain.protocols.sparkplug.topics import BIRTHS, FROM_NODES, MessageType, Topic, parse_topic
from ringmain.protocols.sparkplug.wire import SparkplugError

DETAIL_MAX = 500
"""Characters kept of why a payload is a dead letter."""

CLASHES_TOLD_MAX = 3
"""Collisions named in one dead letter: they fit its detail, and the next birth names those that are left."""

OnDevices = Callable[[Device, Sequence[Standing]], None]
"""Told of a node and of delegated devices behind it."""


class Delegates(Protocol):
    """Who may speak for whom, from memory: what it says holds for the next payload."""

    def of(self, gateway: DeviceKey) -> Mapping[DeviceId, Standing]:
        """Every device that is or was delegated to the gateway, by its id."""
        ...


def refusal_of(device: Device, topic: str) -> str:
    """The code of `model.errors` for which a device may not publish on a topic below `spBv1.0/`; empty where it may."""
    try:
        parsed = parse_topic(topic)
    except SparkplugError:
        return "unknown_topic"
    if parsed.type not in FROM_NODES:
        return "not_authorized"
    return "" if parsed.node == device.id else "foreign_device"


class SparkplugTelemetry:
    """Translates the payloads of all edge nodes. `on_seen` is told of delegated devices of which something was
    accepted, `on_gone` of those that their node says are no longer there.
    """

    def __init__(
        self, host: SparkplugHost, delegates: Delegates, lanes: Lanes, *, on_seen: OnDevices, on_gone: OnDevices
    ) -> None:
        self._host = host
        self._delegates = delegates
        self._lanes = lanes
        self._on_seen = on_seen
        self._on_gone = on_gone

    def translate(
        self, batch: OpenBatch, who: Principal, payloads: Sequence[bytes], door: str, topic: str
    ) -> list[DeadLetter]:
        """Put the readings of `payloads` into `batch`; returns the dead letters among them, all of the node and also in
        `batch`. Where `refusal_of` has a reason, they are counted as rejected for it.
        """
        batch.messages += len(payloads)
        if reason := refusal_of(who.device, topic):
            batch.reject(who.device.key, reason, len(payloads))
            return []
        dead: list[DeadLetter] = []
        parsed = parse_topic(topic)
        for payload in payloads:
            batch.payload_bytes += len(payload)
            reason, detail = self._take(batch, who, parsed, payload)
            if reason:
                letter = DeadLetter(
                    who.device.key, batch.received_ms, door, topic, payload, reason, detail[:DETAIL_MAX]
                )
                dead.append(letter)
        batch.dead_letters.extend(dead)
        return dead

    def _take(self, batch: OpenBatch, who: Principal, topic: Topic, data: bytes) -> tuple[str, str]:
        """One payload; reason and detail of the dead letter that it becomes, or two empty texts."""
        node = self._host.node(who.device, topic)
        try:
            payload = decode_payload(data)
            heard = node.session.take(topic, payload)
        except SparkplugError as error:
            if topic.type is not MessageType.NDEATH:
                node.session.lost()
                self._host.weigh(node)
            return "undecodable_payload", str(error)
        if heard.event in ASKS:
            self._host.ask_rebirth(who.device, topic.group, batch.received_ms)
        self._settle(who.device, node, topic, heard)
        if heard.event is NodeEvent.UNDECLARED:
            return "undecodable_payload", f"{heard.detail}; a rebirth is asked for"
        return self._store(batch, who, node, topic, payload, heard)

    def _settle(self, device: Device, node: Node, topic: Topic, heard: Heard) -> None:
        """What a message changes beside its readings."""
        if heard.event is NodeEvent.OLD_DEATH:
            self._host.count(Counted.OLD_DEATH, 1)
        if heard.event is NodeEvent.BIRTH:
            node.channels.clear()
        elif topic.type in {MessageType.DBIRTH, MessageType.DDEATH}:
            node.channels.forget(topic.device)
        if topic.type not in {MessageType.NDATA, MessageType.DDATA} or heard.event in ASKS:
            self._host.weigh(node)
        if heard.gone:
            delegated = self._delegates.of(device.key)
            if gone := [delegated[DeviceId(id)] for id in heard.gone if id in delegated]:
                self._on_gone(device, gone)

    def _store(
        self, batch: OpenBatch, who: Principal, node: Node, topic: Topic, payload: Payload, heard: Heard
    ) -> tuple[str, str]:
        target = self._target(who, topic.device)
        try:
            read = read_metrics(heard.metrics, payload.timestamp, target, node.channels)
        except SparkplugError as error:
            return "undecodable_payload", str(error)
        except ChannelRefused as refused:
            return refused.reason, str(refused)
        for why, count in read.counts.items():
            self._host.count(why, count)
        if add_rows(batch, target, read.rows) and target.standing:
            self._on_seen(who.device, [target.standing])
        clashes = _clashes(node, heard, target) if topic.type in BIRTHS else ""
        if not node.session.declared:
            node.channels.clear()
        return ("undecodable_payload", clashes) if clashes else ("", "")

    def _target(self, who: Principal, device: str) -> Target:
        standing = self._delegates.of(who.device.key).get(DeviceId(device)) if device else None
        owner, profile = (standing.device, standing.profile) if standing else (who.device, who.profile)
        quarantined = PERMISSIONS[owner.state].telemetry is Telemetry.QUARANTINED
        return Target(owner.key, self._lanes.of(owner.tenant, profile, quarantined=quarantined), standing)


def _clashes(node: Node, heard: Heard, target: Target) -> str:
    """What is wrong with the names of a birth; empty where nothing is."""
    told: dict[str, str] = {}
    for declared, _ in heard.metrics:
        channel, names = node.channels.sharing(declared, own=target.is_own)
        if len(names) > 1 and len(told) < CLASHES_TOLD_MAX:
            told[channel] = f"{' and '.join(repr(name[:60]) for name in names[:2])} would both be {channel}"
    return f"{'; '.join(told.values())}: neither is stored" if told else ""
