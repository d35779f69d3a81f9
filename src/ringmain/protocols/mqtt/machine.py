"""The server's side of one MQTT connection, without I/O: 3.1.1 and 5.0, QoS 0 and 1, the device's own topics.

    receive(data, now) -> events      bytes from the peer
    data_to_send() -> bytes           bytes for the peer
    deadline() -> seconds | None      when `wake` wants to be called
    wake(now) -> events               the deadline has passed

All PUBLISH packets of one read come out as one `Published` batch with raw topics, payload slices and packet
identifiers: no object per message. Nothing is acknowledged here: `acknowledge` is called by who made it durable.
After `Closed` the machine takes no more bytes. A violation answers with the right packet, counts once, and closes.

Phases: EXPECT_CONNECT → AUTHENTICATING → CONNECTED → CLOSED.
"""

from collections.abc import Sequence

from ringmain.protocols.mqtt import packets
from ringmain.protocols.mqtt.events import (
    Closed,
    ConnectAsked,
    Delivered,
    Event,
    Limits,
    Phase,
    Published,
    SubscribeAsked,
    UnsubscribeAsked,
)
from ringmain.protocols.mqtt.packets import Connect
from ringmain.protocols.mqtt.properties import Property, Value
from ringmain.protocols.mqtt.publishes import PublishReader
from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason
from ringmain.protocols.mqtt.wire import long_length

CONNECT_BYTES_MAX = 65_536
"""Before it has signed in, a peer can not make us hold more than this. A CONNECT of a device has some 200 bytes;
the rest is room for a will."""

WAITING_BYTES_MAX = 524_288
"""What comes right behind CONNECT waits for the sign-in. The driver stops to read, so it is two reads at most."""

KEEP_ALIVE_GRACE = 1.5
"""[MQTT-3.1.2-22]: the server closes after one and a half keep-alive periods."""


_FLAGS_2 = (packets.PUBREL, packets.SUBSCRIBE, packets.UNSUBSCRIBE)
"""Packet types whose flags are 0010 (Table 2-2); those of all others but PUBLISH are 0000."""


class ServerMachine:
    """One connection."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.limits = limits
        self.phase = Phase.EXPECT_CONNECT
        self.level = 4
        self.connect: Connect | None = None
        self.in_flight = 0
        self._out: list[bytes] = []
        self._chunks: list[bytes] = []
        self._held = self._wanted = 0
        self._heard = now
        self._silence_s = limits.connect_deadline_s
        self._publishes = PublishReader(limits.packet_bytes_max)
        self._next_identifier = 1
        self._sent: set[int] = set()
        self._peer_receive_maximum = 65_535
        self._peer_packet_bytes_max = 268_435_460

    # -- bytes in -------------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Event]:
        """What the bytes say. Never raises: a violation ends in `Closed`."""
        if self.phase is Phase.CLOSED:
            return []
        self._heard = now if self.phase is Phase.CONNECTED else self._heard
        if self.phase is Phase.AUTHENTICATING:
            return self._wait(data)
        if self._wanted:
            self._chunks.append(data)
            self._held += len(data)
            if self._held < self._wanted:
                return []
            data = b"".join(self._chunks)
            self._chunks.clear()
            self._held = self._wanted = 0
        events: list[Event] = []
        try:
            self._parse(data, events)
        except ProtocolViolation as violation:
            events.append(self._violated(violation))
        return events

    def _parse(self, data: bytes, events: list[Event]) -> None:
        """Walk the packets of `data`. Runs of PUBLISH become one batch; any other packet ends the run."""
        at, end = 0, len(data)
        batch = Published([], [], [])
        try:
            while end - at >= 2 and self.phase is not Phase.AUTHENTICATING:
                if data[at] == 0x32:
                    at = self._publishes.run(data, at, end, batch)
                    if end - at < 2:
                        break
                start, stop = self._extent(data, at, end)
                if stop > end:
                    break
                if data[at] & 0xF0 == 0x30 and self.phase is Phase.CONNECTED:
                    self._publishes.read(data, data[at], start, stop, batch)
                else:
                    if batch.topics:
                        ended, batch = batch, Published([], [], [])
                        self._flush(ended, events)
                    if not self._control(data[at], data[start:stop], events):
                        return
                at = stop
        finally:
            if batch.topics:
                self._flush(batch, events)
        self._keep(data, at)

    def _extent(self, data: bytes, at: int, end: int) -> tuple[int, int]:
        """Where the body of the packet at `at` starts and stops; a stop behind `end` where it is not all there. Who
        does not begin with CONNECT is not listened to further.
        """
        if self.phase is Phase.EXPECT_CONNECT and data[at] >> 4 != packets.CONNECT:
            raise ProtocolViolation(Reason.PROTOCOL_ERROR, "first packet is not CONNECT", "MQTT-3.1.0-1")
        length, start = data[at + 1], at + 2
        if length & 0x80:
            length, start = long_length(data, at + 1, end)
            if not start:
                return start, end + 1
        stop = start + length
        bytes_max = self.limits.packet_bytes_max if self.phase is Phase.CONNECTED else CONNECT_BYTES_MAX
        if stop - at > bytes_max:
            raise ProtocolViolation(Reason.PACKET_TOO_LARGE, f"packet of {stop - at} bytes, limit {bytes_max}")
        if stop > end:
            self._wanted = stop - at
        return start, stop

    def _flush(self, batch: Published, events: list[Event]) -> None:
        self.in_flight += len(batch.identifiers) - batch.identifiers.count(b"")
        events.append(batch)
        if self.level == 5 and self.in_flight > self.limits.receive_maximum:
            raise ProtocolViolation(
                Reason.RECEIVE_MAXIMUM_EXCEEDED,
                f"{self.in_flight} messages in flight, the limit is {self.limits.receive_maximum}",
                "MQTT-3.3.4-9",
            )

    def _keep(self, data: bytes, at: int) -> None:
        """Hold an unfinished packet. While its length is known its pieces are collected, not joined each time."""
        if at < len(data):
            self._chunks.append(data[at:])
            self._held = len(data) - at
            self._wanted = max(self._wanted, self._held + 1)

    def _wait(self, data: bytes) -> list[Event]:
        """Keep what comes while the sign-in is checked."""
        self._chunks.append(data)
        self._held += len(data)
        if self._held <= WAITING_BYTES_MAX:
            return []
        self._chunks.clear()
        return [self._end(Reason.QUOTA_EXCEEDED, f"{self._held} bytes before the CONNACK, limit {WAITING_BYTES_MAX}")]

    def _control(self, first: int, body: bytes, events: list[Event]) -> bool:
        """Any other packet; False when nothing behind it may be read."""
        kind, flags = first >> 4, first & 15
        if kind == packets.CONNECT and self.phase is not Phase.EXPECT_CONNECT:
            raise ProtocolViolation(Reason.PROTOCOL_ERROR, "second CONNECT", "MQTT-3.1.0-2")
        if flags != (2 if kind in _FLAGS_2 else 0):
            raise ProtocolViolation(Reason.MALFORMED_PACKET, f"flags {flags:#x} of packet type {kind}", "MQTT-2.1.3-1")
        match kind:
            case packets.CONNECT:
                self.level = self._publishes.level = 5 if body.startswith(packets.FIVE) else 4
                self._connect(packets.read_connect(body), events)
            case packets.PINGREQ:
                packets.read_pingreq(body)
                self._out.append(packets.PINGRESP_BYTES)
            case packets.SUBSCRIBE:
                identifier, subscriptions, found = packets.read_subscribe(body, self.level)
                if Property.SUBSCRIPTION_IDENTIFIER in found:
                    raise ProtocolViolation(Reason.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED, "subscription identifier")
                events.append(SubscribeAsked(identifier, subscriptions))
            case packets.UNSUBSCRIBE:
                events.append(UnsubscribeAsked(*packets.read_unsubscribe(body, self.level)))
            case packets.PUBACK:
                identifier = packets.read_puback(body, self.level)
                if identifier in self._sent:
                    self._sent.remove(identifier)
                    events.append(Delivered(identifier))
            case packets.DISCONNECT:
                events.append(self._disconnect(body))
                return False
            case packets.AUTH if self.level == 5:
                raise ProtocolViolation(Reason.PROTOCOL_ERROR, "AUTH without an authentication method")
            case _:
                raise ProtocolViolation(Reason.PROTOCOL_ERROR, f"packet type {kind} from a client")
        return True

    def _disconnect(self, body: bytes) -> Closed:
        reason, found = packets.read_disconnect(body, self.level)
        if found.get(Property.SESSION_EXPIRY) and not _number(self.connect, Property.SESSION_EXPIRY, 0):
            raise ProtocolViolation(Reason.PROTOCOL_ERROR, "session expiry was 0 and may not be set", "MQTT-3.14.2.2.2")
        self.phase = Phase.CLOSED
        return Closed(Reason.SUCCESS, "disconnected", by_peer=True, publish_will=reason != 0)

    def _connect(self, connect: Connect, events: list[Event]) -> None:
        self.connect = connect
        if Property.AUTHENTICATION_METHOD in connect.properties:
            raise ProtocolViolation(Reason.BAD_AUTHENTICATION_METHOD, "enhanced authentication is not offered")
        if connect.will and connect.level == 5 and connect.will.retain:
            raise ProtocolViolation(Reason.RETAIN_NOT_SUPPORTED, "will retain is not available", "MQTT-3.2.2-13")
        if connect.will and connect.will.qos == 2:
            raise ProtocolViolation(Reason.QOS_NOT_SUPPORTED, "will of QoS 2", "MQTT-3.2.2-12")
        if connect.level == 4 and not connect.client_id and not connect.clean_start:
            raise ProtocolViolation(Reason.CLIENT_IDENTIFIER_NOT_VALID, "empty client id", "MQTT-3.1.3-8")
        self._peer_receive_maximum = _number(connect, Property.RECEIVE_MAXIMUM, 65_535)
        self._peer_packet_bytes_max = _number(connect, Property.MAXIMUM_PACKET_SIZE, 268_435_460)
        self.phase = Phase.AUTHENTICATING
        events.append(ConnectAsked(connect))

    # -- decisions ------------------------------------------------------------------------------------------

    def accept(self, now: float, assigned_client_id: str = "") -> list[Event]:
        """Let the peer in; answers with the events of the bytes that waited."""
        if self.phase is not Phase.AUTHENTICATING or self.connect is None:
            return []
        self.phase, self._heard = Phase.CONNECTED, now
        keep_alive_s, limit = self.connect.keep_alive_s, self.limits
        found: dict[Property, Value] = {}
        if self.level == 5:
            found = {
                Property.RECEIVE_MAXIMUM: limit.receive_maximum,
                Property.MAXIMUM_QOS: 1,
                Property.RETAIN_AVAILABLE: 0,
                Property.MAXIMUM_PACKET_SIZE: limit.packet_bytes_max,
                Property.SUBSCRIPTION_IDENTIFIER_AVAILABLE: 0,
                Property.SHARED_AVAILABLE: 0,
            }
            if _number(self.connect, Property.SESSION_EXPIRY, 0):
                found[Property.SESSION_EXPIRY] = 0
            if assigned_client_id:
                found[Property.ASSIGNED_CLIENT_IDENTIFIER] = assigned_client_id
            if not 0 < keep_alive_s <= limit.keep_alive_s_max:
                keep_alive_s = found[Property.SERVER_KEEP_ALIVE] = limit.keep_alive_s_max
        self._silence_s = keep_alive_s * KEEP_ALIVE_GRACE
        data = packets.write_connack(self.level, Reason.SUCCESS, found) or b""
        if len(data) > self._peer_packet_bytes_max:
            return [self._end(Reason.PACKET_TOO_LARGE, "the peer takes no packet as large as our CONNACK")]
        self._out.append(data)
        waiting = b"".join(self._chunks)
        self._chunks.clear()
        self._held = self._wanted = 0
        return self.receive(waiting, now) if waiting else []

    def refuse(self, reason: Reason, detail: str) -> Closed:
        """Turn the peer away with a CONNACK."""
        return self._end(reason, detail)

    def acknowledge(self, identifiers: Sequence[bytes], reason: Reason = Reason.SUCCESS) -> None:
        """PUBACK: the messages have a durable outcome."""
        if self.phase is Phase.CLOSED:
            return
        self.in_flight -= len(identifiers)
        self._out.append(packets.write_pubacks(self.level, identifiers, reason))

    def grant(self, identifier: int, reasons: list[int]) -> None:
        """SUBACK."""
        if self.phase is Phase.CONNECTED:
            self._out.append(packets.write_suback(self.level, identifier, reasons))

    def release(self, identifier: int, reasons: list[int]) -> None:
        """UNSUBACK."""
        if self.phase is Phase.CONNECTED:
            self._out.append(packets.write_unsuback(self.level, identifier, reasons))

    def publish(self, topic: str, payload: bytes, qos: int) -> bool:
        """Send a message; False where the peer's receive maximum or packet size leaves no room for it."""
        if self.phase is not Phase.CONNECTED:
            return False
        identifier = 0
        if qos:
            if len(self._sent) >= min(self._peer_receive_maximum, self.limits.receive_maximum):
                return False
            while self._next_identifier in self._sent:
                self._next_identifier = self._next_identifier % 65_535 + 1
            identifier, self._next_identifier = self._next_identifier, self._next_identifier % 65_535 + 1
        data = packets.write_publish(self.level, topic, payload, qos, identifier)
        if len(data) > self._peer_packet_bytes_max:
            return False
        if qos:
            self._sent.add(identifier)
        self._out.append(data)
        return True

    def close(self, reason: Reason, detail: str) -> Closed:
        """End the connection from our side; MQTT 5 hears why."""
        return self._end(reason, detail)

    def lost(self) -> list[Event]:
        """The socket went away without a DISCONNECT."""
        if self.phase is Phase.CLOSED:
            return []
        will = self.phase is Phase.CONNECTED
        self.phase = Phase.CLOSED
        return [Closed(Reason.UNSPECIFIED, "connection lost", by_peer=True, publish_will=will)]

    # -- bytes and time out ---------------------------------------------------------------------------------

    def data_to_send(self) -> bytes:
        """Bytes for the peer, once."""
        data = b"".join(self._out)
        self._out.clear()
        return data

    def deadline(self) -> float | None:
        """When the peer has been silent for too long; None without a keep-alive."""
        if self.phase is Phase.CLOSED or not self._silence_s:
            return None
        return self._heard + self._silence_s

    def wake(self, now: float) -> list[Event]:
        """Close a connection that has been silent for too long."""
        deadline = self.deadline()
        if deadline is None or now < deadline:
            return []
        if self.phase is Phase.CONNECTED:
            return [self._end(Reason.KEEP_ALIVE_TIMEOUT, f"silent for {now - self._heard:.0f} s")]
        self.phase = Phase.CLOSED
        return [Closed(Reason.KEEP_ALIVE_TIMEOUT, "no CONNECT in time", by_peer=False, publish_will=False)]

    def _violated(self, violation: ProtocolViolation) -> Closed:
        return self._end(violation.reason, str(violation))

    def _end(self, reason: Reason, detail: str) -> Closed:
        """Say why, as far as the peer's version has words for it (§4.13), and be closed."""
        phase, self.phase = self.phase, Phase.CLOSED
        if phase is Phase.CONNECTED and self.level == 5:
            for explanation in (detail[:200], ""):  # [MQTT-3.14.2-3] [MQTT-3.1.2-24]
                data = packets.write_disconnect(reason, explanation)
                if len(data) <= self._peer_packet_bytes_max:
                    self._out.append(data)
                    break
        elif phase in (Phase.AUTHENTICATING, Phase.EXPECT_CONNECT) and self._may_answer(reason):
            self._out.append(packets.write_connack(self.level, reason) or b"")
        return Closed(reason, detail, by_peer=False, publish_will=phase is Phase.CONNECTED)

    def _may_answer(self, reason: Reason) -> bool:
        """Strangers that do not speak MQTT get no answer; a version we do not speak gets the 3.1.1 refusal."""
        return self.level == 5 or self.connect is not None or reason is Reason.UNSUPPORTED_PROTOCOL_VERSION


def _number(connect: Connect | None, name: Property, default: int) -> int:
    value = connect.properties.get(name, default) if connect else default
    return value if isinstance(value, int) else default
