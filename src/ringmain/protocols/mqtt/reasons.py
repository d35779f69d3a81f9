"""Reason codes of MQTT 5 (§2.4) and what a 3.1.1 CONNACK says instead (3.1.1 §3.2.2.3).

`ProtocolViolation` is the one error the decoder raises: the peer broke the standard, and `reason` says how.
"""

from enum import IntEnum


class Reason(IntEnum):
    """MQTT 5 §2.4, Table 2-6."""

    SUCCESS = 0x00
    GRANTED_QOS_1 = 0x01
    GRANTED_QOS_2 = 0x02
    DISCONNECT_WITH_WILL = 0x04
    NO_MATCHING_SUBSCRIBERS = 0x10
    NO_SUBSCRIPTION_EXISTED = 0x11
    CONTINUE_AUTHENTICATION = 0x18
    RE_AUTHENTICATE = 0x19
    UNSPECIFIED = 0x80
    MALFORMED_PACKET = 0x81
    PROTOCOL_ERROR = 0x82
    IMPLEMENTATION_SPECIFIC = 0x83
    UNSUPPORTED_PROTOCOL_VERSION = 0x84
    CLIENT_IDENTIFIER_NOT_VALID = 0x85
    BAD_USER_NAME_OR_PASSWORD = 0x86
    NOT_AUTHORIZED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_BUSY = 0x89
    BANNED = 0x8A
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    SESSION_TAKEN_OVER = 0x8E
    TOPIC_FILTER_INVALID = 0x8F
    TOPIC_NAME_INVALID = 0x90
    PACKET_IDENTIFIER_IN_USE = 0x91
    PACKET_IDENTIFIER_NOT_FOUND = 0x92
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    MESSAGE_RATE_TOO_HIGH = 0x96
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE_ACTION = 0x98
    PAYLOAD_FORMAT_INVALID = 0x99
    RETAIN_NOT_SUPPORTED = 0x9A
    QOS_NOT_SUPPORTED = 0x9B
    USE_ANOTHER_SERVER = 0x9C
    SERVER_MOVED = 0x9D
    SHARED_SUBSCRIPTIONS_NOT_SUPPORTED = 0x9E
    CONNECTION_RATE_EXCEEDED = 0x9F
    MAXIMUM_CONNECT_TIME = 0xA0
    SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED = 0xA1
    WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED = 0xA2


CONNACK_311 = {
    Reason.SUCCESS: 0,
    Reason.UNSUPPORTED_PROTOCOL_VERSION: 1,
    Reason.CLIENT_IDENTIFIER_NOT_VALID: 2,
    Reason.SERVER_UNAVAILABLE: 3,
    Reason.SERVER_BUSY: 3,
    Reason.SERVER_SHUTTING_DOWN: 3,
    Reason.CONNECTION_RATE_EXCEEDED: 3,
    Reason.USE_ANOTHER_SERVER: 3,
    Reason.QUOTA_EXCEEDED: 3,
    Reason.BAD_USER_NAME_OR_PASSWORD: 4,
    Reason.NOT_AUTHORIZED: 5,
}
"""3.1.1 has five refusals; where it has none that fits, the connection is closed without a CONNACK."""


NOT_IN_CONNACK = {
    Reason.SERVER_SHUTTING_DOWN: Reason.SERVER_UNAVAILABLE,
    Reason.KEEP_ALIVE_TIMEOUT: Reason.UNSPECIFIED,
    Reason.SESSION_TAKEN_OVER: Reason.UNSPECIFIED,
    Reason.TOPIC_FILTER_INVALID: Reason.PROTOCOL_ERROR,
    Reason.PACKET_IDENTIFIER_IN_USE: Reason.PROTOCOL_ERROR,
    Reason.PACKET_IDENTIFIER_NOT_FOUND: Reason.PROTOCOL_ERROR,
    Reason.MAXIMUM_CONNECT_TIME: Reason.UNSPECIFIED,
    Reason.RECEIVE_MAXIMUM_EXCEEDED: Reason.QUOTA_EXCEEDED,
    Reason.TOPIC_ALIAS_INVALID: Reason.PROTOCOL_ERROR,
    Reason.MESSAGE_RATE_TOO_HIGH: Reason.CONNECTION_RATE_EXCEEDED,
    Reason.ADMINISTRATIVE_ACTION: Reason.NOT_AUTHORIZED,
    Reason.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED: Reason.IMPLEMENTATION_SPECIFIC,
    Reason.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED: Reason.IMPLEMENTATION_SPECIFIC,
    Reason.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED: Reason.IMPLEMENTATION_SPECIFIC,
}
"""What CONNACK says for a code that it may not carry (§3.2.2.2, Table 3-1)."""

NOT_IN_DISCONNECT = {
    Reason.UNSUPPORTED_PROTOCOL_VERSION: Reason.PROTOCOL_ERROR,
    Reason.CLIENT_IDENTIFIER_NOT_VALID: Reason.PROTOCOL_ERROR,
    Reason.BAD_USER_NAME_OR_PASSWORD: Reason.NOT_AUTHORIZED,
    Reason.SERVER_UNAVAILABLE: Reason.SERVER_BUSY,
    Reason.BANNED: Reason.NOT_AUTHORIZED,
    Reason.PACKET_IDENTIFIER_IN_USE: Reason.PROTOCOL_ERROR,
    Reason.PACKET_IDENTIFIER_NOT_FOUND: Reason.PROTOCOL_ERROR,
    Reason.BAD_AUTHENTICATION_METHOD: Reason.NOT_AUTHORIZED,
}
"""What DISCONNECT says for a code that it may not carry (§3.14.2.1, Table 3-13)."""


class ProtocolViolation(Exception):
    """The peer sent what MQTT forbids. `reason` is the code of MQTT 5 §2.4, `clause` the rule it broke."""

    def __init__(self, reason: Reason, detail: str, clause: str = "") -> None:
        super().__init__(f"{detail} [{clause}]" if clause else detail)
        self.silent = False
        """Whether the peer is left without an answer."""
        self.reason = reason
        self.detail = detail
        self.clause = clause


class Unreadable(ProtocolViolation):
    """Where the packet ends, or who it comes from, can not be told any more: closed without a word, as §4.13.2 permits
    and mosquitto does.
    """

    def __init__(self, detail: str, clause: str = "") -> None:
        super().__init__(Reason.MALFORMED_PACKET, detail, clause)
        self.silent = True
