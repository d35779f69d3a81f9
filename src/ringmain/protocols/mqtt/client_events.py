"""What the client's machine is told and what it says: settings, phases and events."""

from enum import StrEnum

import msgspec

from ringmain.protocols.mqtt.reasons import Reason

PACKET_BYTES_MAX = 16 * 1024 * 1024
"""What we take from a server: the roster of 20,000 meters has some 5 MB."""

IN_FLIGHT_MAX = 16
"""Our own limit, below every server's receive maximum that we know of (mosquitto 20, EMQX and Ringmain 32)."""


class ClientSettings(msgspec.Struct, frozen=True):
    """Who connects, and how patient it is. Without `user_name` the certificate of the TLS link says who it is."""

    client_id: str
    user_name: str | None = None
    password: bytes | None = None
    keep_alive_s: int = 20
    answer_s: float = 15.0


class ClientPhase(StrEnum):
    """Where the connection stands."""

    CONNECTING = "connecting"
    CONNECTED = "connected"
    CLOSED = "closed"


class Accepted(msgspec.Struct, frozen=True):
    """The server let us in; at most so many messages in flight, and none larger than this."""

    in_flight_max: int
    packet_bytes_max: int


class Received(msgspec.Struct, frozen=True):
    """A message from the server; at QoS 1 its PUBACK is written already."""

    topic: str
    payload: bytes


class Acknowledged(msgspec.Struct, frozen=True):
    """PUBACK: the server answers for the message from here on, or refuses it (`reason` of 0x80 and above)."""

    identifier: int
    reason: Reason
    detail: str


class Granted(msgspec.Struct, frozen=True):
    """SUBACK: one code a filter."""

    identifier: int
    codes: tuple[int, ...]


class Ended(msgspec.Struct, frozen=True):
    """The connection is over: close the socket once `data_to_send` is written. What is in flight may or may not have
    arrived.
    """

    reason: Reason
    detail: str


ClientEvent = Accepted | Received | Acknowledged | Granted | Ended
