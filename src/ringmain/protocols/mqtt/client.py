"""The client's side of one MQTT 5 connection, without I/O: what an edge gateway speaks on its uplink.

    receive(data, now) -> events      bytes from the server
    data_to_send() -> bytes           bytes for the server; the first are its CONNECT
    deadline() -> seconds | None      when `wake` wants to be called
    wake(now) -> events               the deadline has passed

It publishes at QoS 1 and listens at QoS 0 and 1. It never says that a message arrived before the server's PUBACK, and
it gives a connection up when an answer is overdue (`client_patience.py`): a link that was cut without a word looks like
a slow server until then. The session ends with the connection (Clean Start, no expiry): who uses this keeps what is
unacknowledged.

Phases: CONNECTING → CONNECTED → CLOSED.
"""

from collections.abc import Iterator, Sequence

from ringmain.protocols.mqtt import answers, client_packets, packets, wire
from ringmain.protocols.mqtt.client_events import (
    PACKET_BYTES_MAX,
    Accepted,
    Acknowledged,
    ClientEvent,
    ClientPhase,
    ClientSettings,
    Ended,
    Received,
)
from ringmain.protocols.mqtt.client_patience import NO_LINE, Line, Patience
from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason


class ClientMachine:
    """One connection. `line` tells how many bytes have left, of any beginning, and how many have not."""

    def __init__(self, settings: ClientSettings, now: float, line: Line = NO_LINE) -> None:
        self.phase = ClientPhase.CONNECTING
        self._settings = settings
        self._keep_alive_s = float(settings.keep_alive_s)
        self._in_flight_max = 0
        self._packet_bytes_max = 0
        self._inbox = bytearray()
        self._out = [client_packets.write_connect(settings)]
        self._next_identifier = 0
        self._wrote = now
        self._patience = Patience(settings.answer_s, line, now)

    def opened(self, now: float) -> None:
        """The connection is there; until now it was not the server that was waited for, but TCP and TLS."""
        self._wrote = self._patience.asked = now

    @property
    def room(self) -> int:
        """How many more messages may be published now."""
        return max(0, self._in_flight_max - self.in_flight) if self.phase is ClientPhase.CONNECTED else 0

    @property
    def in_flight(self) -> int:
        """Messages that no PUBACK covers yet."""
        return len(self._patience.sent)

    # -- what we say ----------------------------------------------------------------------------------------

    def publish(self, topic: str, payload: bytes, now: float) -> int:
        """Send a message at QoS 1; its packet identifier. ValueError where there is no room, or the server takes no
        packet of that size.
        """
        if not self.room:
            raise ValueError("no room for another message in flight")
        identifier = self._identifier()
        data = answers.write_publish(5, topic, payload, 1, identifier)
        if len(data) > self._packet_bytes_max:
            raise ValueError(f"a packet of {len(data)} bytes; the server takes {self._packet_bytes_max}")
        self._patience.sent[identifier] = now
        self._say(data, now)
        return identifier

    def subscribe(self, filters: Sequence[str], now: float) -> int:
        """Ask for messages at QoS 1; the packet identifier that `Granted` will carry."""
        identifier = self._identifier()
        self._say(client_packets.write_subscribe(identifier, filters), now)
        self._patience.asked = now
        return identifier

    def close(self, reason: Reason = Reason.SUCCESS) -> Ended:
        """Say goodbye."""
        if self.phase is ClientPhase.CONNECTED:
            self._out.append(answers.write_disconnect(reason))
        self.phase = ClientPhase.CLOSED
        return Ended(reason, "closed by us")

    def _identifier(self) -> int:
        while True:
            self._next_identifier = self._next_identifier % 65_535 + 1
            if self._next_identifier not in self._patience.sent:
                return self._next_identifier

    def _say(self, data: bytes, now: float) -> None:
        self._out.append(data)
        self._wrote = now

    # -- what the server says -------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[ClientEvent]:
        """What the bytes say. Never raises: a violation ends in `Ended`."""
        events: list[ClientEvent] = []
        if self.phase is ClientPhase.CLOSED:
            return events
        self._inbox += data
        try:
            for first, body in self._packets():
                self._packet(first, body, now, events)
                if events and isinstance(events[-1], Ended):
                    break
        except ProtocolViolation as violation:
            events.append(self._end(violation.reason, str(violation)))
        return events

    def _packets(self) -> Iterator[tuple[int, bytes]]:
        inbox = self._inbox
        at = 0
        try:
            while len(inbox) - at >= 2:
                length, start = inbox[at + 1], at + 2
                if length & 0x80:
                    length, start = wire.long_length(bytes(inbox[at : at + 5]), 1, min(5, len(inbox) - at))
                    if not start:
                        return
                    start += at
                if start + length - at > PACKET_BYTES_MAX:
                    raise ProtocolViolation(Reason.PACKET_TOO_LARGE, f"packet of {start + length - at} bytes")
                if start + length > len(inbox):
                    return
                first, body = inbox[at], bytes(inbox[start : start + length])
                at = start + length
                yield first, body
        finally:
            del inbox[:at]

    def _packet(self, first: int, body: bytes, now: float, events: list[ClientEvent]) -> None:
        kind = first >> 4
        if self.phase is ClientPhase.CONNECTING and kind != packets.CONNACK:
            raise ProtocolViolation(Reason.PROTOCOL_ERROR, "first packet is not CONNACK", "MQTT-3.2.0-1")
        if kind != packets.PUBLISH and first & 15:
            raise ProtocolViolation(Reason.MALFORMED_PACKET, f"flags of packet type {kind}", "MQTT-2.1.3-1")
        match kind:
            case packets.CONNACK if self.phase is ClientPhase.CONNECTING:
                events.append(self._connack(body))
            case packets.PUBLISH:
                events.append(self._publish(first, body, now))
            case packets.PUBACK:
                events.append(self._puback(body, now))
            case packets.SUBACK:
                self._patience.asked = None
                events.append(client_packets.read_suback(body))
            case packets.PINGRESP:
                self._patience.asked = None
            case packets.DISCONNECT:
                events.append(self._disconnected(body))
            case _:
                raise ProtocolViolation(Reason.PROTOCOL_ERROR, f"packet type {kind} from a server")

    def _connack(self, body: bytes) -> Accepted | Ended:
        answer, keep_alive_s = client_packets.read_connack(body, self._settings.keep_alive_s)
        if isinstance(answer, Ended):
            self.phase = ClientPhase.CLOSED
            return answer
        self.phase, self._patience.asked = ClientPhase.CONNECTED, None
        self._in_flight_max, self._packet_bytes_max = answer.in_flight_max, answer.packet_bytes_max
        self._keep_alive_s = float(keep_alive_s)
        return answer

    def _publish(self, first: int, body: bytes, now: float) -> Received:
        topic, payload, identifier = client_packets.read_publish(first, body)
        if identifier:
            self._say(answers.write_pubacks(5, (identifier,)), now)
        return Received(topic, payload)

    def _puback(self, body: bytes, now: float) -> Acknowledged:
        answer = client_packets.read_puback(body)
        if not self._patience.answered(answer.identifier, now):
            raise ProtocolViolation(Reason.PROTOCOL_ERROR, f"PUBACK of {answer.identifier}, which is not in flight")
        return answer

    def _disconnected(self, body: bytes) -> Ended:
        self.phase = ClientPhase.CLOSED
        return client_packets.read_disconnect(body)

    # -- bytes and time out ---------------------------------------------------------------------------------

    def data_to_send(self) -> bytes:
        """Bytes for the server, once."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def sending(self, now: float) -> None:
        """Messages were handed to the transport: from here on it is looked how they leave."""
        self._patience.sending(now)

    def deadline(self) -> float | None:
        """When an answer is overdue, or a ping is due."""
        if self.phase is ClientPhase.CLOSED:
            return None
        due = [self._patience.overdue(), self._patience.look_at()]
        if self.phase is ClientPhase.CONNECTED and self._keep_alive_s:
            due.append(self._wrote + self._keep_alive_s)
        return min((at for at in due if at is not None), default=None)

    def wake(self, now: float) -> list[ClientEvent]:
        """Ping where nothing was sent for the keep-alive [MQTT-3.1.2-20]; end where an answer is overdue."""
        self._patience.look(now)
        overdue = self._patience.overdue()
        if self.phase is not ClientPhase.CLOSED and overdue is not None and now >= overdue:
            return [self._end(Reason.KEEP_ALIVE_TIMEOUT, f"no answer for {self._settings.answer_s:g} s")]
        if self.phase is ClientPhase.CONNECTED and self._keep_alive_s and now >= self._wrote + self._keep_alive_s:
            self._say(b"\xc0\x00", now)
            self._patience.asked = now if self._patience.asked is None else self._patience.asked
        return []

    def lost(self) -> list[ClientEvent]:
        """The socket went away."""
        if self.phase is ClientPhase.CLOSED:
            return []
        self.phase = ClientPhase.CLOSED
        return [Ended(Reason.UNSPECIFIED, "connection lost")]

    def _end(self, reason: Reason, detail: str) -> Ended:
        self.close(reason)
        return Ended(reason, detail)
