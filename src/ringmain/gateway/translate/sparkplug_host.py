"""The platform as a Sparkplug host application: which nodes it follows, whom it asked for a rebirth, and its STATE.

Nodes are followed in memory alone. After a restart the platform knows no birth, and the next message of each node makes
it ask for one, once. It must never ask a node more often than `REBIRTH_INTERVAL_MS`: a node answers with everything it
has.
"""

from collections.abc import Callable, Iterable
from typing import TypeAlias

import msgspec

from ringmain.gateway.translate.sparkplug_channels import Channels
from ringmain.gateway.translate.sparkplug_counted import Counted, OnCounted
from ringmain.model.device import Device
from ringmain.model.ids import DeviceKey, TenantId
from ringmain.protocols.sparkplug.metric import Payload
from ringmain.protocols.sparkplug.payload import encode_payload
from ringmain.protocols.sparkplug.session import Session
from ringmain.protocols.sparkplug.topics import MessageType, Topic, is_id
from ringmain.protocols.sparkplug.values import DataType, metric_of

REBIRTH = "Node Control/Rebirth"
"""[operational-behavior-data-commands-ncmd-rebirth-name]."""

REBIRTH_INTERVAL_MS = 10_000
"""Between two requests to one node: a birth of 5,000 metrics is 250 KB, which a slow line carries in that time."""

NODES_MAX = 20_000
"""Nodes followed at a time: twice as many as the connections that the MQTT door takes."""

DECLARED_TOTAL_MAX = 1_000_000
"""Metrics of all nodes together: some 300 MB. Beyond it the node that was born longest ago is forgotten, and asked for
a rebirth when it says something."""

Publish: TypeAlias = Callable[[TenantId, str, bytes, int, bool], None]
"""Hand (tenant, topic, payload, qos, retain) to whoever subscribed."""


class Node:
    """An edge node that is followed."""

    __slots__ = ("channels", "declared", "session")

    def __init__(self, group: str) -> None:
        self.session = Session(group)
        self.channels = Channels()
        self.declared = 0


class SparkplugHost:
    """One for all tenants. `publish` is called from within `translate`, before anything of the batch is durable."""

    def __init__(self, host_id: str, publish: Publish, on_counted: OnCounted) -> None:
        """ValueError where `host_id` could not stand in a topic."""
        if not is_id(host_id):
            raise ValueError(f"{host_id!r} can not be the id of a Sparkplug host application: none of / + #")
        self.count = on_counted
        self._state_topic = str(Topic("", MessageType.STATE, host_id))
        self._publish = publish
        self._nodes: dict[DeviceKey, Node] = {}  # in the order of their births
        self._asked_ms: dict[DeviceKey, int] = {}
        self._declared = 0
        self._announced: dict[TenantId, None] = {}

    def announce(self, tenants: Iterable[TenantId], now_ms: int) -> None:
        """Tell the nodes of these tenants that the platform is there: at the start, and for a new tenant
        [host-topic-phid-birth-payload].
        """
        for tenant in tenants:
            self._announced[tenant] = None
            self._state(tenant, now_ms, online=True)

    def withdraw(self, now_ms: int) -> None:
        """Tell all who were told so that it goes [operational-behavior-host-application-termination]."""
        for tenant in self._announced:
            self._state(tenant, now_ms, online=False)
        self._announced.clear()

    def _state(self, tenant: TenantId, now_ms: int, *, online: bool) -> None:
        self._publish(tenant, self._state_topic, state_payload(now_ms, online=online), 1, True)

    def node(self, device: Device, topic: Topic) -> Node:
        """The node that a message on `topic` is of. A node is followed under one group, that of its last NBIRTH; what
        it says under another one comes to a node that nothing is known of.
        """
        node = self._nodes.get(device.key)
        if topic.type is MessageType.NBIRTH and node is not None:
            self._nodes[device.key] = self._nodes.pop(device.key)
            if node.session.group != topic.group:
                node.session = Session(topic.group)
                node.channels.clear()
        elif node is None or node.session.group != topic.group:
            known, node = node, Node(topic.group)
            if known is None:
                self._nodes[device.key] = node
        return node

    def weigh(self, node: Node) -> None:
        """A node was born or died: forget others where there is no room for all."""
        declared = node.session.declared
        self._declared += declared - node.declared
        node.declared = declared
        while self._declared > DECLARED_TOTAL_MAX or len(self._nodes) > NODES_MAX:
            oldest = next(iter(self._nodes))
            self._declared -= self._nodes.pop(oldest).declared
            self.count(Counted.NODE_FORGOTTEN, 1)

    def ask_rebirth(self, device: Device, group: str, now_ms: int) -> None:
        """Ask a node for all of its births, unless that was just done. `now_ms` is the wall clock's, so a step back of
        it lets the request through.
        """
        last_ms = self._asked_ms.get(device.key)
        if last_ms is not None and 0 <= now_ms - last_ms < REBIRTH_INTERVAL_MS:
            self.count(Counted.REBIRTH_HELD, 1)
            return
        if len(self._asked_ms) >= NODES_MAX:
            since_ms = now_ms - REBIRTH_INTERVAL_MS
            self._asked_ms = {key: at_ms for key, at_ms in self._asked_ms.items() if at_ms > since_ms}
        self._asked_ms[device.key] = now_ms
        topic = str(Topic(group, MessageType.NCMD, device.id))
        self._publish(device.tenant, topic, rebirth_payload(now_ms), 0, False)
        self.count(Counted.REBIRTH_ASKED, 1)


def state_payload(now_ms: int, *, online: bool) -> bytes:
    """What a host says of itself: JSON, not Protocol Buffers [host-topic-phid-birth-payload]."""
    return msgspec.json.encode({"online": online, "timestamp": now_ms})


def rebirth_payload(now_ms: int) -> bytes:
    """A rebirth request: no seq [payloads-ncmd-seq], and no alias. The datatype should be left out, and is not, because
    the specification's own example has it and nodes exist that read no value without one.
    """
    return encode_payload(Payload(now_ms, (metric_of(REBIRTH, DataType.BOOLEAN, True, timestamp=now_ms),)))
