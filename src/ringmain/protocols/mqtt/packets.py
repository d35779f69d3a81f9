"""Packets that a server reads, for 3.1 (level 3), 3.1.1 (4) and 5.0 (5); what it writes is in `answers`.

Pure functions of bytes. Whatever is wrong with a packet is a `ProtocolViolation`; nothing else comes out.
PUBLISH with its hot path is read by `publishes`; `read_publish_properties` serves it for MQTT 5.
"""

from collections.abc import Sequence

import msgspec

from ringmain.protocols.mqtt import properties
from ringmain.protocols.mqtt.properties import Properties, Property
from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason, Unreadable
from ringmain.protocols.mqtt.topics import topic_filter, topic_name
from ringmain.protocols.mqtt.wire import Cursor, utf8

FILTERS_MAX = 100
"""Filters in one SUBSCRIBE; a device's own tree has a handful."""

CONNECT, CONNACK, PUBLISH, PUBACK = 1, 2, 3, 4
PUBREC, PUBREL, PUBCOMP = 5, 6, 7
SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 8, 9, 10, 11
PINGREQ, PINGRESP, DISCONNECT, AUTH = 12, 13, 14, 15

FIVE = b"\0\4MQTT\5"
"""How the body of a CONNECT of MQTT 5 begins: who came so far may be told what is wrong with the rest."""

CONFUSED_VERSIONS = (b"\0\6MQIsdp\4", b"\0\4MQTT\3")
"""Clients that mix up 3.1 and 3.1.1: they are refused in words of those. Any other version is one of after 5.0."""

OLD_NAME = b"\0\6MQIsdp\3"
"""MQTT 3.1, whose CONNECT may carry any flags in its first byte (3.1 §3.1)."""


class Will(msgspec.Struct, frozen=True):
    """What the server publishes for a client that is lost (§3.1.2.5). `properties` go with the message; the delay is
    not one of them.
    """

    topic: str
    payload: bytes
    qos: int
    retain: bool
    delay_s: int = 0
    properties: Properties = properties.NONE


class Connect(msgspec.Struct, frozen=True):
    """CONNECT (§3.1). `keep_alive_s` 0 means none. Absent user name and password are None."""

    level: int
    client_id: str
    clean_start: bool
    keep_alive_s: int
    will: Will | None
    user_name: str | None
    password: bytes | None
    properties: Properties = properties.NONE


class Subscription(msgspec.Struct, frozen=True):
    """One filter of a SUBSCRIBE. A filter that is not well-formed carries its `refusal`."""

    filter: str
    qos: int
    no_local: bool = False
    refusal: Reason | None = None
    retain_as_published: bool = False
    retain_handling: int = 0


def read_connect(body: bytes) -> Connect:
    """CONNECT. An unknown protocol level is UNSUPPORTED_PROTOCOL_VERSION [MQTT-3.1.2-2]. `MQIsdp` of level 3 is
    MQTT 3.1: the same but for its name and its shorter client ids.
    """
    cursor = Cursor(body)
    level, flags, keep_alive_s = _head(cursor)
    has_user, has_password, has_will = flags & 0x80, flags & 0x40, flags & 0x04
    found = properties.decode(cursor, properties.IN_CONNECT) if level == 5 else properties.NONE
    if Property.AUTHENTICATION_DATA in found and Property.AUTHENTICATION_METHOD not in found:
        raise ProtocolViolation(Reason.PROTOCOL_ERROR, "authentication data without a method", "MQTT-3.1.2.11.10")
    client_id = _client_id(cursor)
    will = _will(cursor, level, flags >> 3 & 3, retain=bool(flags & 0x20)) if has_will else None
    try:
        user_name = cursor.text() if has_user else None
        password = cursor.binary() if has_password else None
    except ProtocolViolation as violation:  # nobody can be told apart from an attacker here
        raise Unreadable(violation.detail, violation.clause) from violation
    _at_end(cursor)
    return Connect(level, client_id, bool(flags & 2), keep_alive_s, will, user_name, password, found)


def _client_id(cursor: Cursor) -> str:
    raw = cursor.binary()
    try:
        return utf8(raw)
    except ProtocolViolation as violation:
        raise ProtocolViolation(Reason.CLIENT_IDENTIFIER_NOT_VALID, violation.detail, "MQTT-3.1.3-4") from violation


def _head(cursor: Cursor) -> tuple[int, int, int]:
    """Protocol level, flags and keep-alive (§3.1.2)."""
    name, level = cursor.binary(), cursor.byte()
    if (name == b"MQIsdp" and level != 3) or (name == b"MQTT" and level not in (4, 5)):
        raise ProtocolViolation(Reason.UNSUPPORTED_PROTOCOL_VERSION, f"protocol level {level}", "MQTT-3.1.2-2")
    if name not in (b"MQTT", b"MQIsdp"):
        raise ProtocolViolation(Reason.PROTOCOL_ERROR, "protocol name is not MQTT", "MQTT-3.1.2-1")
    try:
        flags, keep_alive_s = cursor.byte(), cursor.two_bytes()
    except ProtocolViolation as violation:
        raise Unreadable(violation.detail, "MQTT-3.1.2") from violation
    will_qos = flags >> 3 & 3
    if flags & 1 and level != 3:
        raise ProtocolViolation(Reason.MALFORMED_PACKET, "reserved connect flag is set", "MQTT-3.1.2-3")
    if will_qos == 3 or (not flags & 0x04 and flags & 0x38):
        raise Unreadable("will flags contradict each other", "MQTT-3.1.2-11")
    if level < 5 and flags & 0x40 and not flags & 0x80:
        raise ProtocolViolation(Reason.MALFORMED_PACKET, "password without user name", "MQTT-3.1.2-22")
    return level, flags, keep_alive_s


def _will(cursor: Cursor, level: int, qos: int, *, retain: bool) -> Will:
    found = properties.decode(cursor, properties.IN_WILL) if level == 5 else properties.NONE
    _response_topic(found)
    raw, payload = cursor.binary(), cursor.binary()
    if not raw:
        raise ProtocolViolation(Reason.PROTOCOL_ERROR, "empty will topic", "MQTT-4.7.3-1")
    topic = topic_name(raw)
    delay_s = found.get(Property.WILL_DELAY, 0)
    if Property.WILL_DELAY in found:
        found = {name: value for name, value in found.items() if name is not Property.WILL_DELAY}
    return Will(topic, payload, qos, retain, delay_s if isinstance(delay_s, int) else 0, found)


def _at_end(cursor: Cursor) -> None:
    if cursor.at != cursor.end:
        raise ProtocolViolation(Reason.MALFORMED_PACKET, f"{cursor.end - cursor.at} bytes too many in the packet")


def _packet_id(cursor: Cursor) -> int:
    if identifier := cursor.two_bytes():
        return identifier
    raise ProtocolViolation(Reason.PROTOCOL_ERROR, "packet identifier is 0", "MQTT-2.2.1-3")


def read_subscribe(body: bytes, level: int) -> tuple[int, tuple[Subscription, ...], Properties]:
    """SUBSCRIBE: packet identifier, filters, properties (§3.8)."""
    cursor = Cursor(body)
    identifier, found = _asked(cursor, level, properties.IN_SUBSCRIBE)
    asked: list[Subscription] = []
    while cursor.at < cursor.end:
        raw, options = cursor.binary(), cursor.byte()
        if options & 3 == 3 or options & (0xFC if level == 4 else 0xC0) or options >> 4 & 3 == 3:
            raise ProtocolViolation(Reason.MALFORMED_PACKET, "subscription options", "MQTT-3.8.3-5")
        asked.append(_subscription(raw, options, level))
    _counted(asked)
    return identifier, tuple(asked), found


def _asked(cursor: Cursor, level: int, allowed: frozenset[Property]) -> tuple[int, Properties]:
    """What SUBSCRIBE and UNSUBSCRIBE begin with: packet identifier and properties."""
    identifier = cursor.two_bytes()
    if not identifier:
        raise ProtocolViolation(Reason.MALFORMED_PACKET, "packet identifier is 0", "MQTT-2.2.1-3")
    if level < 5:
        return identifier, properties.NONE
    return identifier, properties.decode(cursor, allowed, foreign=Reason.MALFORMED_PACKET)


def _subscription(raw: bytes, options: int, level: int) -> Subscription:
    """MQTT 5 refuses a filter that is not well-formed with its SUBACK (§3.9.3); 3.1.1 knows no such answer."""
    qos, no_local = options & 3, bool(options & 4)
    kept, handling = bool(options & 8), options >> 4 & 3
    try:
        pattern = topic_filter(raw)
    except ProtocolViolation as violation:
        if violation.reason is not Reason.TOPIC_FILTER_INVALID:
            raise
        if level == 5:
            return Subscription("", qos, no_local, Reason.TOPIC_FILTER_INVALID, kept, handling)
        raise ProtocolViolation(Reason.MALFORMED_PACKET, violation.detail, violation.clause) from violation
    if no_local and pattern.startswith("$share/"):
        raise ProtocolViolation(Reason.PROTOCOL_ERROR, "no local on a shared subscription", "MQTT-3.8.3-4")
    return Subscription(pattern, qos, no_local, None, kept, handling)


def _counted(items: Sequence[object]) -> None:
    """[MQTT-3.8.3-2] [MQTT-3.10.3-2]: at least one; and our limit."""
    if not items:
        raise ProtocolViolation(Reason.MALFORMED_PACKET, "no topic filter", "MQTT-3.8.3-2")
    if len(items) > FILTERS_MAX:
        raise ProtocolViolation(
            Reason.QUOTA_EXCEEDED, f"{len(items)} filters in one packet, the limit is {FILTERS_MAX}"
        )


def read_unsubscribe(body: bytes, level: int) -> tuple[int, tuple[str, ...]]:
    """UNSUBSCRIBE: packet identifier and filters (§3.10)."""
    cursor = Cursor(body)
    identifier, _ = _asked(cursor, level, properties.IN_UNSUBSCRIBE)
    filters = []
    while cursor.at < cursor.end:
        filters.append(_subscription(cursor.binary(), 0, 4).filter)
    _counted(filters)
    return identifier, tuple(filters)


_ACCEPTED = frozenset({0x00, 0x10})
_REFUSED = frozenset({0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99})
ACKNOWLEDGEMENT_REASONS = {
    PUBACK: _ACCEPTED | _REFUSED,
    PUBREC: _ACCEPTED | _REFUSED,
    PUBREL: frozenset({0x00, 0x92}),
    PUBCOMP: frozenset({0x00, 0x92}),
}
"""Which codes each of the four may carry (§3.4.2.1, §3.5.2.1, §3.6.2.1, §3.7.2.1)."""


def read_acknowledgement(kind: int, body: bytes, level: int) -> tuple[int, int]:
    """PUBACK, PUBREC, PUBREL or PUBCOMP: packet identifier and reason, 0 where there is none (§3.4 to §3.7)."""
    cursor = Cursor(body)
    identifier = _packet_id(cursor)
    reason = 0
    if level == 5 and cursor.at < cursor.end:
        reason = cursor.byte()
        if reason not in ACKNOWLEDGEMENT_REASONS[kind]:
            raise ProtocolViolation(Reason.PROTOCOL_ERROR, f"reason 0x{reason:02x} in packet type {kind}")
        if cursor.at < cursor.end:
            properties.decode(cursor, properties.IN_ACKNOWLEDGEMENT)
    _at_end(cursor)
    return identifier, reason


def read_ping(body: bytes) -> None:
    """PINGREQ and PINGRESP have nothing in them (§3.12, §3.13)."""
    if body:
        raise Unreadable(f"{len(body)} bytes in a PINGREQ or PINGRESP", "MQTT-3.12.1")


def read_disconnect(body: bytes, level: int) -> tuple[int, Properties]:
    """DISCONNECT: its reason (0 is normal) and properties (§3.14)."""
    cursor = Cursor(body)
    reason, found = 0, properties.NONE
    if level == 5 and body:
        reason = cursor.byte()
        if cursor.at < cursor.end:
            found = properties.decode(cursor, properties.IN_DISCONNECT_FROM_CLIENT)
    _at_end(cursor)
    return reason, found


def read_publish_properties(data: bytes, start: int, end: int) -> tuple[int, Properties]:
    """Where the payload of an MQTT 5 PUBLISH starts, and its properties (§3.3.2.3)."""
    cursor = Cursor(data, start, end)
    found = properties.decode(cursor, properties.IN_PUBLISH_FROM_CLIENT)
    _response_topic(found)
    return cursor.at, found


def _response_topic(found: Properties) -> None:
    if Property.RESPONSE_TOPIC not in found:
        return
    try:
        topic_name(str(found[Property.RESPONSE_TOPIC]).encode())
    except ProtocolViolation as violation:
        raise ProtocolViolation(Reason.PROTOCOL_ERROR, violation.detail, "MQTT-3.3.2-14") from violation
