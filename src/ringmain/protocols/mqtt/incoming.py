"""Messages from one client that have no answer yet, or at QoS 2 are not released yet (§4.3): how many there are, and
what is said for each when it is durable.

The table, for a message of QoS 2 of the peer's:

    TAKEN --durable--> RECORDED (PUBREC) --PUBREL, durable--> over (PUBCOMP)        a PUBREC of 0x80 or more: over
"""

from collections.abc import Iterable, Sequence

from ringmain.protocols.mqtt import answers
from ringmain.protocols.mqtt.events import Limits, Published
from ringmain.protocols.mqtt.packets import PUBACK, PUBREC
from ringmain.protocols.mqtt.publishes import PublishReader, Unreleased
from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason


class Incoming:
    """Of one connection. `in_flight` counts those without an answer."""

    __slots__ = ("_receive_maximum", "_recorded", "in_flight", "reader")

    def __init__(self, limits: Limits) -> None:
        self.reader = PublishReader(limits)
        self.in_flight = 0
        self._recorded = 0
        self._receive_maximum = limits.receive_maximum

    def __contains__(self, identifier: bytes) -> bool:
        return identifier in self.reader.unreleased

    def restore(self, identifiers: Iterable[bytes]) -> None:
        """Messages of QoS 2 that an earlier connection has taken."""
        for identifier in identifiers:
            self.reader.unreleased[identifier] = Unreleased(None, recorded=True)

    def count(self, batch: Published) -> None:
        """A batch came; a violation of MQTT 5 where that is more than was offered [MQTT-3.3.4-9]."""
        self.in_flight += len(batch.identifiers) - batch.identifiers.count(b"")
        in_flight = self.in_flight + self._recorded
        if self.reader.level == 5 and in_flight > self._receive_maximum:
            detail = f"{in_flight} messages in flight, the limit is {self._receive_maximum}"
            raise ProtocolViolation(Reason.RECEIVE_MAXIMUM_EXCEEDED, detail, "MQTT-3.3.4-9")

    def again(self) -> list[bytes]:
        """PUBREC for messages that came again."""
        reader = self.reader
        if not reader.again:
            return []
        found = [answers.write_acknowledgement(PUBREC, reader.level, each) for each in reader.again]
        reader.again.clear()
        return found

    def acknowledge(self, identifiers: Sequence[bytes], reason: Reason) -> list[bytes]:
        """PUBACK or PUBREC, in this order. One of QoS 2 that is refused is over with its PUBREC [MQTT-4.3.3-9]."""
        self.in_flight -= len(identifiers)
        level, unreleased = self.reader.level, self.reader.unreleased
        if not unreleased:
            return [answers.write_pubacks(level, identifiers, reason)]
        found: list[bytes] = []
        for identifier in identifiers:
            known = unreleased.get(identifier)
            if known is None or known.recorded:
                found.append(answers.write_acknowledgement(PUBACK, level, identifier, reason))
                continue
            found.append(answers.write_acknowledgement(PUBREC, level, identifier, reason))
            known.recorded = True
            self._recorded += 1
            if reason >= 0x80:
                self.forget(identifier)
        return found

    def forget(self, identifier: bytes) -> None:
        """A message of QoS 2 is over, and counts no more against the receive maximum (§4.9). Those of an earlier
        connection did not count.
        """
        known = self.reader.unreleased.pop(identifier, None)
        self._recorded -= known is not None and known.crc is not None
