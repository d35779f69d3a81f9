"""What the machine of a connection says to its driver: phases, limits and events."""

from enum import StrEnum

import msgspec

from ringmain.protocols.mqtt.packets import Connect, Subscription
from ringmain.protocols.mqtt.reasons import Reason


class Phase(StrEnum):
    """Where the connection stands."""

    EXPECT_CONNECT = "expect_connect"
    AUTHENTICATING = "authenticating"
    CONNECTED = "connected"
    CLOSED = "closed"


class Limits(msgspec.Struct, frozen=True):
    """What a connection may ask for; the defaults are those of `docs/configuration.md`."""

    packet_bytes_max: int = 1_048_576
    receive_maximum: int = 32
    keep_alive_s_max: int = 1_200
    connect_deadline_s: float = 10.0


class Published(msgspec.Struct, gc=False):
    """All PUBLISH packets of one read, as parallel lists. `identifiers` holds raw two-byte packet identifiers,
    b"" at QoS 0.
    """

    topics: list[bytes]
    payloads: list[bytes]
    identifiers: list[bytes]


class ConnectAsked(msgspec.Struct, frozen=True):
    """Somebody wants in: answer with `accept` or `refuse`. Until then further bytes wait."""

    connect: Connect


class SubscribeAsked(msgspec.Struct, frozen=True):
    """Answer with `grant`, one code a subscription."""

    identifier: int
    subscriptions: tuple[Subscription, ...]


class UnsubscribeAsked(msgspec.Struct, frozen=True):
    """Answer with `release`, one code a filter."""

    identifier: int
    filters: tuple[str, ...]


class Delivered(msgspec.Struct, frozen=True):
    """The peer acknowledged a message of ours."""

    identifier: int


class Closed(msgspec.Struct, frozen=True):
    """The connection is over: close the socket once `data_to_send` is written. `publish_will` as [MQTT-3.1.2-8]."""

    reason: Reason
    detail: str
    by_peer: bool
    publish_will: bool


Event = Published | ConnectAsked | SubscribeAsked | UnsubscribeAsked | Delivered | Closed
