"""Packets from the client's end: what a client writes and a server does not, and the reverse (MQTT 5 only).

Pure functions of bytes. Whatever is wrong with a packet is a `ProtocolViolation`; nothing else comes out.
"""

from collections.abc import Sequence

from ringmain.protocols.mqtt import packets, properties, wire
from ringmain.protocols.mqtt.client_events import (
    IN_FLIGHT_MAX,
    PACKET_BYTES_MAX,
    Accepted,
    Acknowledged,
    ClientSettings,
    Ended,
    Granted,
)
from ringmain.protocols.mqtt.properties import Property, Value
from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason
from ringmain.protocols.mqtt.topics import topic_name
from ringmain.protocols.mqtt.wire import Cursor


def write_connect(settings: ClientSettings) -> bytes:
    """CONNECT (§3.1) with Clean Start; no will, no session expiry."""
    flags = 0x02 | (settings.user_name is not None) << 7 | (settings.password is not None) << 6
    found: dict[Property, Value] = {
        Property.RECEIVE_MAXIMUM: IN_FLIGHT_MAX,
        Property.MAXIMUM_PACKET_SIZE: PACKET_BYTES_MAX,
    }
    body = packets.FIVE + bytes((flags,)) + settings.keep_alive_s.to_bytes(2, "big") + properties.encode(found)
    body += wire.text(settings.client_id)
    if settings.user_name is not None:
        body += wire.text(settings.user_name)
    if settings.password is not None:
        body += wire.binary(settings.password)
    return wire.packet(packets.CONNECT << 4, body)


def write_subscribe(identifier: int, filters: Sequence[str]) -> bytes:
    """SUBSCRIBE (§3.8) at QoS 1."""
    asked = b"".join(wire.text(each) + b"\x01" for each in filters)
    return wire.packet(packets.SUBSCRIBE << 4 | 2, identifier.to_bytes(2, "big") + b"\0" + asked)


def read_connack(body: bytes, keep_alive_s: int) -> tuple[Accepted | Ended, int]:
    """CONNACK (§3.2), and the keep-alive in force: the server's, where it gives one."""
    cursor = Cursor(body)
    cursor.byte()
    code = cursor.byte()
    found = properties.decode(cursor, properties.IN_CONNACK) if cursor.at < cursor.end else properties.NONE
    if code:
        detail = _explained(found) or f"the server refused the connection (0x{code:02x})"
        return Ended(_reason(code), detail), keep_alive_s
    accepted = Accepted(
        min(IN_FLIGHT_MAX, _number(found, Property.RECEIVE_MAXIMUM, 65_535)),
        _number(found, Property.MAXIMUM_PACKET_SIZE, wire.VARIABLE_INTEGER_MAX),
    )
    return accepted, _number(found, Property.SERVER_KEEP_ALIVE, keep_alive_s)


def read_publish(first: int, body: bytes) -> tuple[str, bytes, bytes]:
    """PUBLISH from a server (§3.3): topic, payload, raw packet identifier (b"" at QoS 0)."""
    cursor = Cursor(body)
    topic = topic_name(cursor.binary())
    qos = first >> 1 & 3
    if qos > 1:
        raise ProtocolViolation(Reason.QOS_NOT_SUPPORTED, "QoS 2, where we asked for 1 at most", "MQTT-3.8.4-8")
    identifier = cursor.take(2) if qos else b""
    if identifier == b"\0\0":
        raise ProtocolViolation(Reason.PROTOCOL_ERROR, "packet identifier is 0", "MQTT-2.2.1-3")
    properties.decode(cursor, properties.IN_PUBLISH_FROM_SERVER - {Property.TOPIC_ALIAS})
    return topic, cursor.rest(), identifier


def read_puback(body: bytes) -> Acknowledged:
    """PUBACK (§3.4) with its reason."""
    cursor = Cursor(body)
    identifier = cursor.two_bytes()
    code = cursor.byte() if cursor.at < cursor.end else 0
    found = properties.decode(cursor, properties.IN_ACKNOWLEDGEMENT) if cursor.at < cursor.end else properties.NONE
    return Acknowledged(identifier, _reason(code), _explained(found))


def read_suback(body: bytes) -> Granted:
    """SUBACK (§3.9)."""
    cursor = Cursor(body)
    identifier = cursor.two_bytes()
    properties.decode(cursor, properties.IN_ACKNOWLEDGEMENT)
    return Granted(identifier, tuple(cursor.rest()))


def read_disconnect(body: bytes) -> Ended:
    """DISCONNECT from a server (§3.14)."""
    cursor = Cursor(body)
    code = cursor.byte() if body else 0
    found = properties.NONE
    if cursor.at < cursor.end:
        found = properties.decode(cursor, properties.IN_DISCONNECT_FROM_SERVER)
    return Ended(_reason(code), _explained(found) or f"the server ended the connection (0x{code:02x})")


def _reason(code: int) -> Reason:
    try:
        return Reason(code)
    except ValueError:
        return Reason.UNSPECIFIED if code >= 0x80 else Reason.SUCCESS


def _explained(found: properties.Properties) -> str:
    return str(found.get(Property.REASON_STRING, ""))


def _number(found: properties.Properties, name: Property, default: int) -> int:
    value = found.get(name, default)
    return value if isinstance(value, int) else default
