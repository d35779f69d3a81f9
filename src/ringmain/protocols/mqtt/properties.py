"""Properties of MQTT 5 (§2.2.2.2): one table of identifier, type and the packets that may carry each.

A property that does not exist is MALFORMED_PACKET; one that a packet may not carry, and one that appears twice, except
User Property, are PROTOCOL_ERROR (§4.13.1 leaves the choice; mosquitto chooses so too).
"""

from enum import IntEnum
from types import MappingProxyType

from ringmain.protocols.mqtt import wire
from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason
from ringmain.protocols.mqtt.wire import Cursor


class Property(IntEnum):
    """§2.2.2.2, Table 2-4."""

    PAYLOAD_FORMAT = 0x01
    MESSAGE_EXPIRY = 0x02
    CONTENT_TYPE = 0x03
    RESPONSE_TOPIC = 0x08
    CORRELATION_DATA = 0x09
    SUBSCRIPTION_IDENTIFIER = 0x0B
    SESSION_EXPIRY = 0x11
    ASSIGNED_CLIENT_IDENTIFIER = 0x12
    SERVER_KEEP_ALIVE = 0x13
    AUTHENTICATION_METHOD = 0x15
    AUTHENTICATION_DATA = 0x16
    REQUEST_PROBLEM_INFORMATION = 0x17
    WILL_DELAY = 0x18
    REQUEST_RESPONSE_INFORMATION = 0x19
    RESPONSE_INFORMATION = 0x1A
    SERVER_REFERENCE = 0x1C
    REASON_STRING = 0x1F
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS_MAXIMUM = 0x22
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    RETAIN_AVAILABLE = 0x25
    USER_PROPERTY = 0x26
    MAXIMUM_PACKET_SIZE = 0x27
    WILDCARD_AVAILABLE = 0x28
    SUBSCRIPTION_IDENTIFIER_AVAILABLE = 0x29
    SHARED_AVAILABLE = 0x2A


Value = int | str | bytes | tuple[tuple[str, str], ...] | tuple[int, ...]
"""Of User Property pairs of text; of Subscription Identifier, which a server may send several times, numbers."""
Properties = MappingProxyType[Property, Value] | dict[Property, Value]
NONE: Properties = MappingProxyType({})

USER_PROPERTIES_MAX = 64
"""Per packet. Mosquitto 2.0.12 was driven to quadratic time by tens of thousands of them."""

_P = Property
_BOOLEAN, _BYTE, _TWO, _FOUR, _VARIABLE, _TEXT, _BINARY, _PAIR = range(8)
_TYPES = {
    _P.PAYLOAD_FORMAT: _BOOLEAN,
    _P.MESSAGE_EXPIRY: _FOUR,
    _P.CONTENT_TYPE: _TEXT,
    _P.RESPONSE_TOPIC: _TEXT,
    _P.CORRELATION_DATA: _BINARY,
    _P.SUBSCRIPTION_IDENTIFIER: _VARIABLE,
    _P.SESSION_EXPIRY: _FOUR,
    _P.ASSIGNED_CLIENT_IDENTIFIER: _TEXT,
    _P.SERVER_KEEP_ALIVE: _TWO,
    _P.AUTHENTICATION_METHOD: _TEXT,
    _P.AUTHENTICATION_DATA: _BINARY,
    _P.REQUEST_PROBLEM_INFORMATION: _BOOLEAN,
    _P.WILL_DELAY: _FOUR,
    _P.REQUEST_RESPONSE_INFORMATION: _BOOLEAN,
    _P.RESPONSE_INFORMATION: _TEXT,
    _P.SERVER_REFERENCE: _TEXT,
    _P.REASON_STRING: _TEXT,
    _P.RECEIVE_MAXIMUM: _TWO,
    _P.TOPIC_ALIAS_MAXIMUM: _TWO,
    _P.TOPIC_ALIAS: _TWO,
    _P.MAXIMUM_QOS: _BOOLEAN,
    _P.RETAIN_AVAILABLE: _BOOLEAN,
    _P.USER_PROPERTY: _PAIR,
    _P.MAXIMUM_PACKET_SIZE: _FOUR,
    _P.WILDCARD_AVAILABLE: _BOOLEAN,
    _P.SUBSCRIPTION_IDENTIFIER_AVAILABLE: _BOOLEAN,
    _P.SHARED_AVAILABLE: _BOOLEAN,
}

_U = _P.USER_PROPERTY
_MESSAGE = {_P.PAYLOAD_FORMAT, _P.MESSAGE_EXPIRY, _P.CONTENT_TYPE, _P.RESPONSE_TOPIC, _P.CORRELATION_DATA, _U}
_RESULT = frozenset({_P.REASON_STRING, _U})
IN_CONNECT = frozenset(
    {
        _P.SESSION_EXPIRY, _P.RECEIVE_MAXIMUM, _P.MAXIMUM_PACKET_SIZE, _P.TOPIC_ALIAS_MAXIMUM,
        _P.REQUEST_RESPONSE_INFORMATION, _P.REQUEST_PROBLEM_INFORMATION, _P.AUTHENTICATION_METHOD,
        _P.AUTHENTICATION_DATA, _U,
    }
)  # fmt: skip
IN_WILL = frozenset(_MESSAGE | {_P.WILL_DELAY})
IN_CONNACK = frozenset(
    {
        _P.SESSION_EXPIRY, _P.RECEIVE_MAXIMUM, _P.MAXIMUM_QOS, _P.RETAIN_AVAILABLE, _P.MAXIMUM_PACKET_SIZE,
        _P.ASSIGNED_CLIENT_IDENTIFIER, _P.TOPIC_ALIAS_MAXIMUM, _P.REASON_STRING, _P.WILDCARD_AVAILABLE,
        _P.SUBSCRIPTION_IDENTIFIER_AVAILABLE, _P.SHARED_AVAILABLE, _P.SERVER_KEEP_ALIVE,
        _P.RESPONSE_INFORMATION, _P.SERVER_REFERENCE, _P.AUTHENTICATION_METHOD, _P.AUTHENTICATION_DATA, _U,
    }
)  # fmt: skip
IN_PUBLISH_FROM_CLIENT = frozenset(_MESSAGE | {_P.TOPIC_ALIAS})
IN_PUBLISH_FROM_SERVER = frozenset(_MESSAGE | {_P.TOPIC_ALIAS, _P.SUBSCRIPTION_IDENTIFIER})
IN_ACKNOWLEDGEMENT = _RESULT
IN_SUBSCRIBE = frozenset({_P.SUBSCRIPTION_IDENTIFIER, _U})
IN_UNSUBSCRIBE = frozenset({_U})
IN_DISCONNECT_FROM_CLIENT = frozenset(_RESULT | {_P.SESSION_EXPIRY, _P.SERVER_REFERENCE})  # odd, and not forbidden
IN_DISCONNECT_FROM_SERVER = frozenset(_RESULT | {_P.SERVER_REFERENCE})
IN_AUTH = frozenset(_RESULT | {_P.AUTHENTICATION_METHOD, _P.AUTHENTICATION_DATA})

_NOT_ZERO = frozenset({_P.RECEIVE_MAXIMUM, _P.MAXIMUM_PACKET_SIZE, _P.SUBSCRIPTION_IDENTIFIER, _P.TOPIC_ALIAS})


def _value(kind: int, cursor: Cursor) -> Value:
    match kind:
        case 0 | 1:
            return cursor.byte()
        case 2:
            return cursor.two_bytes()
        case 3:
            return cursor.four_bytes()
        case 4:
            return cursor.variable()
        case 5:
            return cursor.text()
        case 6:
            return cursor.binary()
        case _:
            return ((cursor.text(), cursor.text()),)


def decode(cursor: Cursor, allowed: frozenset[Property], *, foreign: Reason = Reason.PROTOCOL_ERROR) -> Properties:
    """The properties at the cursor, which moves behind them. `foreign` is what one is that may not stand there."""
    length = cursor.variable()
    if not length:
        return NONE
    body = Cursor(cursor.data, cursor.at, cursor.at + length)
    cursor.take(length)
    found: dict[Property, Value] = {}
    pairs: list[tuple[str, str]] = []
    while body.at < body.end:
        number = body.variable()
        try:
            name = Property(number)
        except ValueError as error:
            raise ProtocolViolation(Reason.MALFORMED_PACKET, f"property 0x{number:02x} does not exist") from error
        value = _value(_TYPES[name], body)
        if name not in allowed:
            raise ProtocolViolation(foreign, f"{name.name} may not stand in this packet")
        if isinstance(value, tuple):
            pairs.extend(value)  # type: ignore[arg-type]  # only User Property is read as a tuple
            if len(pairs) > USER_PROPERTIES_MAX:
                raise ProtocolViolation(Reason.QUOTA_EXCEEDED, f"more than {USER_PROPERTIES_MAX} user properties")
            continue
        if name in found:
            raise ProtocolViolation(Reason.PROTOCOL_ERROR, f"{name.name} stands twice")
        if (value == 0 and name in _NOT_ZERO) or (_TYPES[name] == _BOOLEAN and value not in (0, 1)):
            raise ProtocolViolation(Reason.PROTOCOL_ERROR, f"{name.name} may not be {value!r}")
        found[name] = value
    if pairs:
        found[Property.USER_PROPERTY] = tuple(pairs)
    return found


def encode(properties: Properties) -> bytes:
    """Properties with their length in front."""
    out = bytearray()
    for name, value in properties.items():
        if isinstance(value, tuple):
            for item in value:
                out.append(name)
                out += wire.variable(item) if isinstance(item, int) else wire.text(item[0]) + wire.text(item[1])
            continue
        out.append(name)
        match _TYPES[name], value:
            case (0 | 1, int()):
                out.append(value)
            case (2, int()):
                out += value.to_bytes(2, "big")
            case (3, int()):
                out += value.to_bytes(4, "big")
            case (4, int()):
                out += wire.variable(value)
            case (5, str()):
                out += wire.text(value)
            case (6, bytes()):
                out += wire.binary(value)
            case _:
                raise ValueError(f"{name.name} can not be {value!r}")
    return wire.variable(len(out)) + bytes(out)
