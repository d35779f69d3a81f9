r"""A message on its way to subscribers, and the bytes it has in the records.

Keys of records, which are read back in the order of their bytes:

    s<session>              a session: who it is, what it subscribes to, its will
    q<session><sequence>    a message of QoS 1 or 2 that waits for a session
    i<session><identifier>  a message of QoS 2 that a session has sent and not released
    r<tenant>\0<topic>       a retained message
    c<tenant>               messages that the tenant's clients have published at QoS 1 and 2
"""

import msgspec

from ringmain.model.ids import TenantId
from ringmain.protocols.mqtt import properties
from ringmain.protocols.mqtt.flight import UNKEPT_FROM
from ringmain.protocols.mqtt.properties import Properties, Property
from ringmain.protocols.mqtt.wire import Cursor

SESSIONS, QUEUED, UNRELEASED, RETAINED, COUNTED = b"s", b"q", b"i", b"r", b"c"


class Message(msgspec.Struct, frozen=True, gc=False):
    """One message as it was published. `expires_ms` is when it is of no use any more (§3.3.2.3.3), or None."""

    topic: str
    payload: bytes
    qos: int = 0
    retain: bool = False
    found: Properties = properties.NONE
    expires_ms: int | None = None


class Waiting(msgspec.Struct, gc=False):
    """A message that waits for one session, or is on its way to it. `sequence` orders those of QoS 1 and 2 within the
    session and gives their packet identifiers; it is 0 at QoS 0.
    """

    message: Message
    qos: int
    topic: str
    """What the subscriber is shown: its own name for the topic."""
    retain: bool = False
    numbers: tuple[int, ...] = ()
    """Subscription identifiers (§3.3.2.3.8)."""
    sequence: int = 0
    dup: bool = False
    released: bool = False
    begun: bool = False
    """It was sent in this process life, and so does not expire any more [MQTT-4.3.3-7]."""


class _Stored(msgspec.Struct, frozen=True, array_like=True, gc=False):
    topic: str
    payload: bytes
    qos: int
    retain: bool
    found: bytes
    expires_ms: int | None
    shown: str = ""
    numbers: tuple[int, ...] = ()
    released: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode


def packet_identifier(sequence: int) -> int:
    """The packet identifier of a message: the same after a restart, without a record of its own [MQTT-4.4.0-1]. The
    upper half of them belongs to `protocols.mqtt.flight`, for messages that no session keeps.
    """
    return (sequence - 1) % (UNKEPT_FROM - 1) + 1


def queued_key(session: int, sequence: int) -> bytes:
    """Of a message that waits."""
    return QUEUED + session.to_bytes(8, "big") + sequence.to_bytes(8, "big")


def unreleased_key(session: int, identifier: bytes) -> bytes:
    """Of a message of QoS 2 that was taken."""
    return UNRELEASED + session.to_bytes(8, "big") + identifier


def retained_key(tenant: TenantId, topic: str) -> bytes:
    """Of a retained message."""
    return RETAINED + tenant.encode() + b"\0" + topic.encode()


def encode_message(message: Message) -> bytes:
    """A retained message as it is kept."""
    return _encode(
        _Stored(
            message.topic,
            message.payload,
            message.qos,
            message.retain,
            _packed(message.found),
            message.expires_ms,
        )
    )


def decode_message(body: bytes) -> Message:
    """msgspec.DecodeError or ProtocolViolation where it is none."""
    return _message(_decode(body))


def encode_waiting(waiting: Waiting) -> bytes:
    """A message that waits, as it is kept. One that was received needs no payload any more: only its PUBREL is left."""
    message = waiting.message
    return _encode(
        _Stored(
            message.topic,
            b"" if waiting.released else message.payload,
            waiting.qos,
            waiting.retain,
            b"" if waiting.released else _packed(message.found),
            message.expires_ms,
            waiting.topic,
            waiting.numbers,
            waiting.released,
        )
    )


def decode_waiting(sequence: int, body: bytes) -> Waiting:
    """What was kept of a message; it may have been sent before, so it is marked as a duplicate (§3.3.1.1)."""
    stored = _decode(body)
    return Waiting(
        _message(stored), stored.qos, stored.shown, stored.retain, stored.numbers, sequence, dup=True,
        released=stored.released,
    )  # fmt: skip


def _message(stored: _Stored) -> Message:
    found: Properties = properties.NONE
    if stored.found:
        found = properties.decode(Cursor(stored.found), properties.IN_PUBLISH_FROM_CLIENT)
    return Message(stored.topic, stored.payload, stored.qos, stored.retain, found, stored.expires_ms)


def _packed(found: Properties) -> bytes:
    return properties.encode(found) if found else b""


def with_expiry(found: Properties, received_ms: int) -> int | None:
    """When a message with these properties expires."""
    expiry_s = found.get(Property.MESSAGE_EXPIRY)
    return received_ms + expiry_s * 1000 if isinstance(expiry_s, int) else None
