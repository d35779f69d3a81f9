"""PUBLISH from a client (§3.3) at QoS 0 and 1: the one packet that comes a hundred thousand times a second.

`read` checks every rule of one packet. `run` takes those that follow it on the same topic: it knows what such a packet
looks like to the byte, takes nothing else, and leaves whatever is in doubt to `read`.
"""

from itertools import repeat

from ringmain.protocols.mqtt import packets
from ringmain.protocols.mqtt.events import Published
from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason
from ringmain.protocols.mqtt.topics import topic_name

TOPICS_REMEMBERED = 256
"""Topic names already validated on this connection; when full it starts over."""


class PublishReader:
    """Reads the PUBLISH packets of one connection into batches."""

    __slots__ = ("_bytes_max", "_head", "_topics", "level")

    def __init__(self, bytes_max: int) -> None:
        self.level = 4
        self._bytes_max = bytes_max
        self._topics: set[bytes] = set()
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
        return at

    def read(self, data: bytes, first: int, start: int, stop: int, batch: Published) -> None:
        """One PUBLISH (§3.3), every rule checked; its topic is what `run` will look for."""
        body = start + 2 + int.from_bytes(data[start : start + 2], "big")
        head = data[start:body]
        identifier = b""
        if first & 0x06:
            identifier, body = data[body : body + 2], body + 2
        self._check(first, identifier, truncated=body > stop)
        topic = head[2:]
        if topic not in self._topics:
            self._remember(topic)
        self._head = head
        if self.level == 5:
            body, _ = packets.read_publish_properties(data, body, stop)
        batch.topics.append(topic)
        batch.payloads.append(data[body:stop])
        batch.identifiers.append(identifier)

    def _remember(self, topic: bytes) -> None:
        topic_name(topic)
        if len(self._topics) >= TOPICS_REMEMBERED:
            self._topics.clear()
        self._topics.add(topic)

    def _check(self, first: int, identifier: bytes, *, truncated: bool) -> None:
        qos = first >> 1 & 3
        if truncated:
            raise ProtocolViolation(Reason.MALFORMED_PACKET, "PUBLISH ends too early")
        if qos == 3 or (first & 8 and not qos):
            raise ProtocolViolation(Reason.MALFORMED_PACKET, "PUBLISH flags", "MQTT-3.3.1-2")
        if identifier == b"\0\0":
            raise ProtocolViolation(Reason.PROTOCOL_ERROR, "packet identifier is 0", "MQTT-2.2.1-3")
        if qos == 2:
            raise ProtocolViolation(Reason.QOS_NOT_SUPPORTED, "QoS 2 above the maximum of 1", "MQTT-3.2.2-11")
        if first & 1 and self.level == 5:
            raise ProtocolViolation(Reason.RETAIN_NOT_SUPPORTED, "retain is not available", "MQTT-3.2.2-14")
