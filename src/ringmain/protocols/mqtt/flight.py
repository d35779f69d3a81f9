"""Messages from the server to one client that are on their way: packet identifiers and what each waits for (§4.3).

The table, for a message of ours:

    QoS 1   SENT --PUBACK--> over
    QoS 2   SENT --PUBREC--> RECORDED --release--> RELEASED --PUBCOMP--> over        PUBREC of 0x80 or more: over

RECORDED waits for the owner, who makes it durable before PUBREL leaves: after a crash the message must not come again.
"""

from enum import IntEnum

from ringmain.protocols.mqtt import answers, packets
from ringmain.protocols.mqtt.events import Delivered, Event, Received
from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason

UNKEPT_FROM = 32_768
"""Packet identifiers from here on are given by `Flight.identifier`; those below belong to the owner's own numbering."""


class Waiting(IntEnum):
    """What a message waits for."""

    PUBACK = 1
    PUBREC = 2
    OWNER = 3
    PUBCOMP = 4


class Flight:
    """By packet identifier. `maximum` is the peer's receive maximum (§3.1.2.11.3)."""

    def __init__(self) -> None:
        self.maximum = 65_535
        self._waiting: dict[int, Waiting] = {}
        self._next = UNKEPT_FROM

    def __contains__(self, identifier: int) -> bool:
        return identifier in self._waiting

    @property
    def room(self) -> int:
        """How many more may be sent now [MQTT-3.3.4-9]."""
        return self.maximum - len(self._waiting)

    def identifier(self) -> int:
        """One that is free; there is room."""
        while self._next in self._waiting:
            self._next = _behind(self._next)
        found, self._next = self._next, _behind(self._next)
        return found

    def sent(self, identifier: int, qos: int) -> None:
        """A PUBLISH went out."""
        self._waiting[identifier] = Waiting.PUBACK if qos == 1 else Waiting.PUBREC

    def release(self, identifier: int, level: int) -> bytes:
        """PUBREL, for a message whose PUBREC is durable."""
        self._waiting[identifier] = Waiting.PUBCOMP
        return answers.write_acknowledgement(packets.PUBREL, level, identifier.to_bytes(2, "big"))

    def heard(self, kind: int, identifier: int, reason: int, level: int) -> tuple[Event | None, bytes]:
        """PUBACK, PUBREC or PUBCOMP from the peer: what follows, and what is answered. One that nobody waits for is
        no violation: it may belong to a connection before this one.
        """
        waiting = self._waiting.get(identifier)
        if kind == packets.PUBREC:
            return self._recorded(identifier, reason, level, waiting)
        if waiting is None:
            return None, b""
        if (kind == packets.PUBACK) != (waiting is Waiting.PUBACK) or waiting is Waiting.PUBREC:
            raise ProtocolViolation(Reason.PROTOCOL_ERROR, "acknowledgement of another QoS", "MQTT-4.3.3-1")
        if waiting is Waiting.OWNER:
            return None, b""
        del self._waiting[identifier]
        return Delivered(identifier, reason), b""

    def _recorded(
        self, identifier: int, reason: int, level: int, waiting: Waiting | None
    ) -> tuple[Event | None, bytes]:
        if waiting is Waiting.PUBACK:
            raise ProtocolViolation(Reason.PROTOCOL_ERROR, "PUBREC for a message of QoS 1", "MQTT-4.3.2-3")
        if reason >= 0x80:
            if waiting is None:
                return None, b""
            del self._waiting[identifier]
            return Delivered(identifier, reason), b""
        if waiting is Waiting.PUBREC:
            self._waiting[identifier] = Waiting.OWNER
            return Received(identifier), b""
        if waiting is Waiting.OWNER:
            return None, b""
        # Of an earlier connection, or said twice: the peer waits for a PUBREL (mosquitto answers so too).
        return None, answers.write_acknowledgement(packets.PUBREL, level, identifier.to_bytes(2, "big"))


def _behind(identifier: int) -> int:
    return identifier + 1 if identifier < 65_535 else UNKEPT_FROM
