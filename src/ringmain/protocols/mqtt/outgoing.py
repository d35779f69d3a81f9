"""Messages from the server to one client (§3.3): whether it has room for one, takes one of that size, and knows the
topic by a number.
"""

from enum import IntEnum

from ringmain.protocols.mqtt import answers
from ringmain.protocols.mqtt.events import Limits
from ringmain.protocols.mqtt.flight import Flight
from ringmain.protocols.mqtt.handshake import number_of
from ringmain.protocols.mqtt.packets import Connect
from ringmain.protocols.mqtt.properties import NONE, Properties, Property
from ringmain.protocols.mqtt.topics import REMEMBERED_BYTES_MAX
from ringmain.protocols.mqtt.wire import VARIABLE_INTEGER_MAX

ALIASES_OUT_MAX = 64
"""Topics that get an alias towards one peer, however many more it would take: each is remembered twice."""

TEXT_BYTES_MAX = 65_535
"""A text's length has two bytes (§1.5.4), and each of its characters up to four."""

UTF8_BYTES_MAX = 4

PACKET_BYTES_MAX = VARIABLE_INTEGER_MAX + 5
"""What a packet can have where the peer sets no limit (§2.1.4)."""


class Sending(IntEnum):
    """What became of a `publish`."""

    SENT = 0
    NO_ROOM = 1
    """The peer's receive maximum is reached: later."""
    TOO_LARGE = 2
    """Never to this peer [MQTT-3.1.2-25]."""


class Outgoing:
    """Of one connection."""

    __slots__ = ("_aliases", "_aliases_max", "flight", "packet_bytes_max")

    def __init__(self) -> None:
        self.flight = Flight()
        self.packet_bytes_max = PACKET_BYTES_MAX
        self._aliases: dict[str, int] = {}
        self._aliases_max = 0

    def agree(self, connect: Connect, limits: Limits) -> None:
        """What the peer takes, within what we would send."""
        self.flight.maximum = min(number_of(connect, Property.RECEIVE_MAXIMUM, 65_535), limits.receive_maximum)
        self.packet_bytes_max = number_of(connect, Property.MAXIMUM_PACKET_SIZE, PACKET_BYTES_MAX)
        self._aliases_max = min(number_of(connect, Property.TOPIC_ALIAS_MAXIMUM, 0), ALIASES_OUT_MAX)

    def publish(
        self,
        level: int,
        topic: str,
        payload: bytes,
        qos: int,
        *,
        identifier: int = 0,
        found: Properties = NONE,
        retain: bool = False,
        dup: bool = False,
    ) -> tuple[Sending, bytes]:
        """The packet of a message, if it may go: one whose topic has become too long for any packet never may.
        `identifier` is the owner's choice, and free; 0 leaves it to us.
        """
        if qos and self.flight.room <= 0:
            return Sending.NO_ROOM, b""
        if len(topic) > TEXT_BYTES_MAX // UTF8_BYTES_MAX and len(topic.encode()) > TEXT_BYTES_MAX:
            return Sending.TOO_LARGE, b""
        if qos and not identifier:
            identifier = self.flight.identifier()
        shown, found = self._alias(topic, found)
        data = answers.write_publish(level, shown, payload, qos, identifier, found, retain=retain, dup=dup)
        if len(data) > self.packet_bytes_max:
            return Sending.TOO_LARGE, b""
        if Property.TOPIC_ALIAS in found:
            self._aliases.setdefault(topic, len(self._aliases) + 1)
        if qos:
            self.flight.sent(identifier, qos)
        return Sending.SENT, data

    def _alias(self, topic: str, found: Properties) -> tuple[str, Properties]:
        """What the peer is shown instead of a topic that it knows by a number (§3.3.2.3.4)."""
        if not self._aliases_max:
            return topic, found
        known = self._aliases.get(topic)
        if known:
            return "", {**found, Property.TOPIC_ALIAS: known}
        if len(self._aliases) < self._aliases_max and len(topic) <= REMEMBERED_BYTES_MAX:
            return topic, {**found, Property.TOPIC_ALIAS: len(self._aliases) + 1}
        return topic, found
