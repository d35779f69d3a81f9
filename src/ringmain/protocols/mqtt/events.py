"""What the machine of a connection says to its driver: phases, limits and events."""

from enum import StrEnum

import msgspec

from ringmain.protocols.mqtt.packets import Connect, Subscription
from ringmain.protocols.mqtt.properties import Properties
from ringmain.protocols.mqtt.reasons import Reason


class Phase(StrEnum):
    """Where the connection stands."""

    EXPECT_CONNECT = "expect_connect"
    AUTHENTICATING = "authenticating"
    CONNECTED = "connected"
    CLOSED = "closed"


class Limits(msgspec.Struct, frozen=True):
    """What a connection may ask for; the defaults are those of `docs/configuration.md`. The second half is what the
    server offers: a door without sessions offers neither QoS 2 nor anything else that has to be kept.
    """

    packet_bytes_max: int = 1_048_576
    receive_maximum: int = 32
    keep_alive_s_max: int = 1_200
    connect_deadline_s: float = 10.0
    maximum_qos: int = 2
    retain: bool = True
    shared: bool = True
    subscription_identifiers: bool = True
    topic_aliases: int = 10
    session_expiry_s_max: int = 7_200
    reason_strings: bool = True
    """Whether DISCONNECT explains itself to who did not say that it wants to hear (§3.1.2.11.7)."""
    flags_as_mosquitto: bool = False
    """Reserved flags of PUBREL and DISCONNECT are a protocol error, as mosquitto says and its sequences expect. The
    standard calls them malformed (§3.6.1, §3.14.1).
    """


NOTHING_KEPT = Limits(
    maximum_qos=1, retain=False, shared=False, subscription_identifiers=False, topic_aliases=0, session_expiry_s_max=0
)
"""A door whose sessions end with their connection."""


class Published(msgspec.Struct, gc=False):
    """All PUBLISH packets of one read, as parallel lists. `identifiers` holds raw two-byte packet identifiers, b"" at
    QoS 0; `firsts` the first byte of each packet, with QoS and RETAIN. A batch is `plain` where all of it is QoS 0 or
    1, not retained, and without properties: `properties` says nothing then.
    """

    topics: list[bytes]
    payloads: list[bytes]
    identifiers: list[bytes]
    firsts: list[int]
    properties: list[Properties]
    plain: bool = True

    @classmethod
    def empty(cls) -> "Published":
        """A batch to fill."""
        return cls([], [], [], [], [])


class ConnectAsked(msgspec.Struct, frozen=True):
    """Somebody wants in: answer with `accept` or `refuse`. Until then further bytes wait."""

    connect: Connect


class SubscribeAsked(msgspec.Struct, frozen=True):
    """Answer with `grant`, one code a subscription. `subscription_identifier` is 0 where there is none."""

    identifier: int
    subscriptions: tuple[Subscription, ...]
    subscription_identifier: int = 0


class UnsubscribeAsked(msgspec.Struct, frozen=True):
    """Answer with `release`, one code a filter."""

    identifier: int
    filters: tuple[str, ...]


class Delivered(msgspec.Struct, frozen=True):
    """A message of ours is over: PUBACK, PUBCOMP, or a PUBREC that refuses it."""

    identifier: int
    reason: int = 0


class Received(msgspec.Struct, frozen=True):
    """PUBREC for a message of ours at QoS 2: answer with `release_message` once that is durable [MQTT-4.3.3-5]."""

    identifier: int


class Released(msgspec.Struct, frozen=True):
    """PUBREL: the peer forgets a message of QoS 2. Answer with `complete` once that is durable [MQTT-4.3.3-11]."""

    identifier: bytes


class Closed(msgspec.Struct, frozen=True):
    """The connection is over: close the socket once `data_to_send` is written. `publish_will` as [MQTT-3.1.2-8];
    `session_expiry_s` where a DISCONNECT changed it (§3.14.2.2.2).
    """

    reason: Reason
    detail: str
    by_peer: bool
    publish_will: bool
    session_expiry_s: int | None = None


Event = Published | ConnectAsked | SubscribeAsked | UnsubscribeAsked | Delivered | Received | Released | Closed
