"""PUBLISH from a client (§3.3): the one packet that comes a hundred thousand times a second.

`read` checks every rule of one packet. `run` takes those that follow it on the same topic: it knows what such a packet
looks like to the byte, takes nothing else, and leaves whatever is in doubt to `read`.
"""

import zlib
from itertools import repeat

from ringmain.protocols.mqtt import packets, properties
from ringmain.protocols.mqtt.events import Limits, Published
from ringmain.protocols.mqtt.properties import Properties, Property
from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason
from ringmain.protocols.mqtt.topics import REMEMBERED_BYTES_MAX, topic_name

TOPICS_REMEMBERED = 256
"""Topic names already validated on this connection; when full it starts over."""

REPEATS_MAX = 1
"""How often a message of QoS 2 may come again as if it were new (DUP not set, the same bytes) before its PUBREL: a
client that does not keep count of its own identifiers [MQTT-2.2.1-3]. Mosquitto closes at the second one too.
"""


class Unreleased:
    """A message of QoS 2 whose PUBREL has not come: whether its PUBREC went, and what it was."""

    __slots__ = ("crc", "recorded", "repeats")

    def __init__(self, crc: int | None, *, recorded: bool) -> None:
        self.crc = crc
        self.recorded = recorded
        self.repeats = 0


class PublishReader:
    """Reads the PUBLISH packets of one connection into batches. `unreleased` are its messages of QoS 2 by raw packet
    identifier; `again` are those whose PUBREC is to be said once more.
    """

    __slots__ = ("_aliases", "_bytes_max", "_head", "_limits", "_topics", "again", "level", "unreleased")

    def __init__(self, limits: Limits) -> None:
        self.level = 4
        self.unreleased: dict[bytes, Unreleased] = {}
        self.again: list[bytes] = []
        self._limits = limits
        self._bytes_max = limits.packet_bytes_max
        self._topics: set[bytes] = set()
        self._aliases: dict[int, bytes] = {}
        self._head = b""

    def run(self, data: bytes, at: int, end: int, batch: Published) -> int:
        """The hot loop: PUBLISH at QoS 1, first time, on the topic of the message before. It stops, without having
        taken it, at the first packet that is anything else, and answers where that is.
        """
        head, bytes_max, five = self._head, self._bytes_max, self.level == 5
        if not head:
            return at
        skip, starts = len(head) + 2, data.startswith
        payloads, identifiers = batch.payloads, batch.identifiers
        taken = len(payloads)
        while end - at > 3 and data[at] == 0x32:
            length, start = data[at + 1], at + 2
            if length & 0x80:
                high = data[start]
                if high & 0x80 or not high:
                    break
                length, start = length & 0x7F | high << 7, start + 1
            stop, body = start + length, start + skip
            if stop > end or body > stop or stop - at > bytes_max or not starts(head, start):
                break
            identifier = data[body - 2 : body]
            if identifier == b"\0\0":
                break
            if five:
                if body == stop or data[body]:
                    break
                body += 1
            payloads.append(data[body:stop])
            identifiers.append(identifier)
            at = stop
        batch.topics.extend(repeat(head[2:], len(payloads) - taken))
        if not batch.plain:
            self._pad(batch)
        return at

    def read(self, data: bytes, first: int, start: int, stop: int, batch: Published) -> None:
        """One PUBLISH (§3.3), every rule checked; its topic is what `run` will look for. A message of QoS 2 that was
        taken already is not taken again [MQTT-4.3.3-10].
        """
        body = start + 2 + int.from_bytes(data[start : start + 2], "big")
        head = data[start:body]
        identifier = b""
        if first & 0x06:
            identifier, body = data[body : body + 2], body + 2
        self._check(first, identifier, truncated=body > stop)
        topic, found = head[2:], properties.NONE
        if topic and topic not in self._topics:
            self._remember(topic)
        if self.level == 5:
            body, found = packets.read_publish_properties(data, body, stop)
        self._head = head if topic else b""
        if Property.TOPIC_ALIAS in found:
            topic, found = self._aliased(topic, found)
        elif not topic:
            raise ProtocolViolation(Reason.MALFORMED_PACKET, "empty topic name", "MQTT-4.7.3-1")
        payload = data[body:stop]
        if first & 0x04 and not self._is_new(identifier, topic, payload, dup=bool(first & 8)):
            return
        if batch.plain and (first & 0x05 or found):
            batch.plain = False
            self._pad(batch)
        batch.topics.append(topic)
        batch.payloads.append(payload)
        batch.identifiers.append(identifier)
        if not batch.plain:
            batch.firsts.append(first)
            batch.properties.append(found)

    def _pad(self, batch: Published) -> None:
        """The plain ones so far: what is not said of them while all are plain."""
        missing = batch.identifiers[len(batch.firsts) :]
        batch.firsts.extend(0x32 if identifier else 0x30 for identifier in missing)
        batch.properties.extend(repeat(properties.NONE, len(missing)))

    def _remember(self, topic: bytes) -> None:
        topic_name(topic)
        if len(topic) > REMEMBERED_BYTES_MAX:
            return
        if len(self._topics) >= TOPICS_REMEMBERED:
            self._topics.clear()
        self._topics.add(topic)

    def _aliased(self, topic: bytes, found: Properties) -> tuple[bytes, Properties]:
        """The topic that an alias stands for, or that it will stand for (§3.3.2.3.4)."""
        alias = found[Property.TOPIC_ALIAS]
        if not isinstance(alias, int) or alias > self._limits.topic_aliases:
            detail = f"topic alias {alias!r} above the maximum of {self._limits.topic_aliases}"
            raise ProtocolViolation(Reason.TOPIC_ALIAS_INVALID, detail, "MQTT-3.3.2-8")
        if topic:
            self._aliases[alias] = topic
        else:
            known = self._aliases.get(alias)
            if known is None:
                raise ProtocolViolation(Reason.PROTOCOL_ERROR, f"topic alias {alias} is unknown", "MQTT-3.3.2-7")
            topic = known
        return topic, {name: value for name, value in found.items() if name is not Property.TOPIC_ALIAS}

    def _is_new(self, identifier: bytes, topic: bytes, payload: bytes, *, dup: bool) -> bool:
        """Whether a message of QoS 2 has to be taken (§4.3.3, method A)."""
        crc = zlib.crc32(payload, zlib.crc32(topic))
        known = self.unreleased.get(identifier)
        if known is None or (known.crc is not None and known.crc != crc and not dup):
            self.unreleased[identifier] = Unreleased(crc, recorded=False)
            return True
        known.repeats += not dup
        if known.repeats > REPEATS_MAX:
            raise ProtocolViolation(Reason.PROTOCOL_ERROR, "packet identifier is in use", "MQTT-2.2.1-3")
        if known.recorded:
            self.again.append(identifier)
        return False

    def _check(self, first: int, identifier: bytes, *, truncated: bool) -> None:
        qos, limits = first >> 1 & 3, self._limits
        if truncated:
            raise ProtocolViolation(Reason.MALFORMED_PACKET, "PUBLISH ends too early")
        if qos == 3 or (first & 8 and not qos):
            raise ProtocolViolation(Reason.MALFORMED_PACKET, "PUBLISH flags", "MQTT-3.3.1-2")
        if identifier == b"\0\0":
            raise ProtocolViolation(Reason.PROTOCOL_ERROR, "packet identifier is 0", "MQTT-2.2.1-3")
        if qos > limits.maximum_qos:
            detail = f"QoS {qos} above the maximum of {limits.maximum_qos}"
            raise ProtocolViolation(Reason.QOS_NOT_SUPPORTED, detail, "MQTT-3.2.2-11")
        if first & 1 and not limits.retain and self.level == 5:
            raise ProtocolViolation(Reason.RETAIN_NOT_SUPPORTED, "retain is not available", "MQTT-3.2.2-14")
