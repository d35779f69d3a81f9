"""The server's side of one MQTT connection, without I/O: 3.1, 3.1.1 and 5.0, all of it that is seen on the wire.

What outlives the connection (subscriptions, queues, retained messages) is not in here: events ask for it.

    receive(data, now) -> events      bytes from the peer
    data_to_send() -> bytes           bytes for the peer
    deadline() -> seconds | None      when `wake` wants to be called
    wake(now) -> events               the deadline has passed

All PUBLISH packets of one read come out as one `Published` batch with raw topics, payload slices and packet
identifiers: no object per message. Nothing is acknowledged here: `acknowledge` is called by who made it durable.
After `Closed` the machine takes no more bytes. A violation answers with the right packet, counts once, and closes.

Phases: EXPECT_CONNECT → AUTHENTICATING → CONNECTED → CLOSED.
"""

from collections.abc import Iterable, Sequence

from ringmain.protocols.mqtt import answers, packets
from ringmain.protocols.mqtt.events import (
    Closed,
    ConnectAsked,
    Event,
    Limits,
    Phase,
    Published,
    Released,
    SubscribeAsked,
    UnsubscribeAsked,
)
from ringmain.protocols.mqtt.farewell import disconnected, goodbye, refusal
from ringmain.protocols.mqtt.frames import Frames
from ringmain.protocols.mqtt.handshake import check, connack_properties, number_of
from ringmain.protocols.mqtt.incoming import Incoming
from ringmain.protocols.mqtt.outgoing import Outgoing, Sending
from ringmain.protocols.mqtt.packets import Connect
from ringmain.protocols.mqtt.properties import NONE, Properties, Property, Value
from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason

CONNECT_BYTES_MAX = 65_536
"""Before it has signed in, a peer can not make us hold more than this. A CONNECT of a device has some 200 bytes;
the rest is room for a will."""

WAITING_BYTES_MAX = 524_288
"""What comes right behind CONNECT waits for the sign-in. The driver stops to read, so it is two reads at most."""

KEEP_ALIVE_GRACE = 1.5
"""[MQTT-3.1.2-22]: the server closes after one and a half keep-alive periods."""

_FLAGS_2 = (packets.PUBREL, packets.SUBSCRIBE, packets.UNSUBSCRIBE)
"""Packet types whose flags are 0010 (Table 2-2); those of all others but PUBLISH are 0000."""

_DUP = 8
"""MQTT 3.1 marks a repeated PUBREL, SUBSCRIBE or UNSUBSCRIBE with it, as a PUBLISH (§2.1 there)."""


class ServerMachine:
    """One connection."""

    def __init__(self, limits: Limits, now: float) -> None:
        self.limits = limits
        self.phase = Phase.EXPECT_CONNECT
        self.level = 4
        self.connect: Connect | None = None
        self.server_reference = ""
        """Where to go instead, for `close` and `refuse` with a reason that says so."""
        self._confused = False
        self._out: list[bytes] = []
        self._frames = Frames(CONNECT_BYTES_MAX)
        self._heard = now
        self._silence_s = limits.connect_deadline_s
        self._incoming = Incoming(limits)
        self._publishes = self._incoming.reader
        self._outgoing = Outgoing()

    # -- bytes in -------------------------------------------------------------------------------------------

    def receive(self, data: bytes, now: float) -> list[Event]:
        """What the bytes say. Never raises: a violation ends in `Closed`."""
        if self.phase is Phase.CLOSED:
            return []
        self._heard = now if self.phase is Phase.CONNECTED else self._heard
        if self.phase is Phase.AUTHENTICATING:
            return self._wait(data)
        data = self._frames.joined(data)
        events: list[Event] = []
        try:
            self._parse(data, events)
        except ProtocolViolation as violation:
            events.append(self._violated(violation))
        return events

    def _parse(self, data: bytes, events: list[Event]) -> None:
        """Walk the packets of `data`. Runs of PUBLISH become one batch; any other packet ends the run."""
        at, end = 0, len(data)
        batch = Published.empty()
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
                        ended, batch = batch, Published.empty()
                        self._flush(ended, events)
                    self._out += self._incoming.again()
                    if not self._control(data[at], data[start:stop], events):
                        return
                at = stop
        finally:
            if batch.topics:
                self._flush(batch, events)
            self._out += self._incoming.again()
        self._frames.keep(data, at)

    def _extent(self, data: bytes, at: int, end: int) -> tuple[int, int]:
        """See `Frames.extent`. Who does not begin with CONNECT is not listened to further."""
        if self.phase is Phase.EXPECT_CONNECT and data[at] >> 4 != packets.CONNECT:
            raise ProtocolViolation(Reason.PROTOCOL_ERROR, "first packet is not CONNECT", "MQTT-3.1.0-1")
        if not data[at] >> 4:
            raise ProtocolViolation(Reason.PROTOCOL_ERROR, "packet type 0 is reserved", "MQTT-2.1.2")
        return self._frames.extent(data, at, end)

    def _flush(self, batch: Published, events: list[Event]) -> None:
        self._out += self._incoming.again()
        events.append(batch)
        self._incoming.count(batch)

    def _wait(self, data: bytes) -> list[Event]:
        """Keep what comes while the sign-in is checked."""
        held = self._frames.append(data)
        if held <= WAITING_BYTES_MAX:
            return []
        self._frames.clear()
        return [self._end(Reason.QUOTA_EXCEEDED, f"{held} bytes before the CONNACK, limit {WAITING_BYTES_MAX}")]

    def _control(self, first: int, body: bytes, events: list[Event]) -> bool:
        """Any other packet; False when nothing behind it may be read."""
        kind, flags = first >> 4, first & 15
        if kind == packets.CONNECT and self.phase is not Phase.EXPECT_CONNECT:
            raise ProtocolViolation(Reason.PROTOCOL_ERROR, "second CONNECT", "MQTT-3.1.0-2")
        if kind == packets.CONNACK or (kind == packets.AUTH and self.level < 5):
            raise ProtocolViolation(Reason.PROTOCOL_ERROR, f"packet type {kind} from a client")
        if kind == packets.AUTH:
            raise ProtocolViolation(Reason.PROTOCOL_ERROR, "AUTH without an authentication method", "MQTT-4.12.0-1")
        if not self._are_flags_of(kind, flags) and not body.startswith(packets.OLD_NAME):
            raise self._bad_flags(kind, flags)
        match kind:
            case packets.CONNECT:
                self.level = self._publishes.level = 5 if body.startswith(packets.FIVE) else 4
                self._confused = body.startswith(packets.CONFUSED_VERSIONS)
                self._connect(packets.read_connect(body), events)
            case packets.PINGREQ:
                packets.read_ping(body)
                self._out.append(answers.PINGRESP_BYTES)
            case packets.SUBSCRIBE:
                self._subscribe(body, events)
            case packets.UNSUBSCRIBE:
                events.append(UnsubscribeAsked(*packets.read_unsubscribe(body, self.level)))
            case packets.PUBACK | packets.PUBREC | packets.PUBREL | packets.PUBCOMP:
                self._acknowledged(kind, body, events)
            case packets.SUBACK | packets.UNSUBACK | packets.PINGRESP:
                raise _answer_of_a_server(kind, body)
            case packets.DISCONNECT:
                events.append(disconnected(body, self.level, self.connect))
                self.phase = Phase.CLOSED
                return False
        return True

    def _are_flags_of(self, kind: int, flags: int) -> bool:
        if kind not in _FLAGS_2:
            return not flags
        return flags == 2 or (flags == 2 | _DUP and self.connect is not None and self.connect.level < 4)

    def _bad_flags(self, kind: int, flags: int) -> ProtocolViolation:
        is_odd = self.limits.flags_as_mosquitto and kind in (packets.PUBREL, packets.DISCONNECT)
        reason = Reason.PROTOCOL_ERROR if is_odd else Reason.MALFORMED_PACKET
        return ProtocolViolation(reason, f"flags {flags:#x} of packet type {kind}", "MQTT-2.1.3-1")

    def _subscribe(self, body: bytes, events: list[Event]) -> None:
        identifier, subscriptions, found = packets.read_subscribe(body, self.level)
        number = found.get(Property.SUBSCRIPTION_IDENTIFIER, 0)
        if number and not self.limits.subscription_identifiers:
            raise ProtocolViolation(Reason.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED, "subscription identifier")
        events.append(SubscribeAsked(identifier, subscriptions, number if isinstance(number, int) else 0))

    def _acknowledged(self, kind: int, body: bytes, events: list[Event]) -> None:
        identifier, reason = packets.read_acknowledgement(kind, body, self.level)
        if kind == packets.PUBREL:
            self._released(identifier.to_bytes(2, "big"), events)
            return
        event, answer = self._outgoing.flight.heard(kind, identifier, reason, self.level)
        if event:
            events.append(event)
        if answer:
            self._out.append(answer)

    def _released(self, identifier: bytes, events: list[Event]) -> None:
        """PUBREL. Of an identifier that is not known it is answered at once: the peer says it once more after its
        connection was lost (§4.4), and PUBCOMP is all it wants to hear.
        """
        if identifier in self._incoming:
            events.append(Released(identifier))
        else:
            self._out.append(answers.write_acknowledgement(packets.PUBCOMP, self.level, identifier))

    def _connect(self, connect: Connect, events: list[Event]) -> None:
        self.connect = connect
        check(connect, self.limits)
        self._outgoing.agree(connect, self.limits)
        self.phase = Phase.AUTHENTICATING
        events.append(ConnectAsked(connect))

    # -- decisions ------------------------------------------------------------------------------------------

    def accept(
        self,
        now: float,
        assigned_client_id: str = "",
        *,
        session_present: bool = False,
        session_expiry_s: int = 0,
        unreleased: Iterable[bytes] = (),
        response_information: str = "",
    ) -> list[Event]:
        """Let the peer in; answers with the events of the bytes that waited. `unreleased` are messages of QoS 2 that
        this session has taken in an earlier connection, `session_expiry_s` what it was granted.
        """
        if self.phase is not Phase.AUTHENTICATING or self.connect is None:
            return []
        self.phase, self._heard = Phase.CONNECTED, now
        self._frames.bytes_max = self.limits.packet_bytes_max
        self._incoming.restore(unreleased)
        keep_alive_s = self.connect.keep_alive_s
        found: dict[Property, Value] = {}
        if self.level == 5:
            if not 0 < keep_alive_s <= self.limits.keep_alive_s_max:
                keep_alive_s = self.limits.keep_alive_s_max
            found = connack_properties(
                self.connect, self.limits, keep_alive_s, assigned_client_id, session_expiry_s, response_information
            )
        self._silence_s = keep_alive_s * KEEP_ALIVE_GRACE
        session_present = session_present and self.connect.level > 3  # 3.1 has no word for it
        data = answers.write_connack(self.level, Reason.SUCCESS, found, session_present=session_present) or b""
        if len(data) > self._outgoing.packet_bytes_max:
            return [self._end(Reason.PACKET_TOO_LARGE, "the peer takes no packet as large as our CONNACK")]
        self._out.append(data)
        waiting = self._frames.take()
        return self.receive(waiting, now) if waiting else []

    def refuse(self, reason: Reason, detail: str) -> Closed:
        """Turn the peer away with a CONNACK."""
        return self._end(reason, detail)

    def acknowledge(self, identifiers: Sequence[bytes], reason: Reason = Reason.SUCCESS) -> None:
        """PUBACK or PUBREC, in this order: the messages have a durable outcome."""
        if self.phase is not Phase.CLOSED:
            self._out += self._incoming.acknowledge(identifiers, reason)

    def complete(self, identifier: bytes) -> None:
        """PUBCOMP: that the message was released is durable."""
        self._incoming.forget(identifier)
        if self.phase is Phase.CONNECTED:
            self._out.append(answers.write_acknowledgement(packets.PUBCOMP, self.level, identifier))

    def release_message(self, identifier: int) -> None:
        """PUBREL: that a message of ours was received is durable."""
        if self.phase is Phase.CONNECTED:
            self._out.append(self._outgoing.flight.release(identifier, self.level))

    def grant(self, identifier: int, reasons: list[int]) -> None:
        """SUBACK."""
        if self.phase is Phase.CONNECTED:
            self._out.append(answers.write_suback(self.level, identifier, reasons))

    def release(self, identifier: int, reasons: list[int]) -> None:
        """UNSUBACK."""
        if self.phase is Phase.CONNECTED:
            self._out.append(answers.write_unsuback(self.level, identifier, reasons))

    @property
    def in_flight(self) -> int:
        """Messages of QoS 1 and 2 that have no answer yet."""
        return self._incoming.in_flight

    @property
    def room(self) -> int:
        """How many more messages of QoS 1 and 2 the peer takes now."""
        return self._outgoing.flight.room if self.phase is Phase.CONNECTED else 0

    def publish(
        self,
        topic: str,
        payload: bytes,
        qos: int,
        *,
        identifier: int = 0,
        found: Properties = NONE,
        retain: bool = False,
        dup: bool = False,
    ) -> Sending:
        """Send a message. `identifier` is the owner's choice, and free; 0 leaves it to the machine."""
        if self.phase is not Phase.CONNECTED:
            return Sending.NO_ROOM
        sending, data = self._outgoing.publish(
            self.level, topic, payload, qos, identifier=identifier, found=found, retain=retain, dup=dup
        )
        if data:
            self._out.append(data)
        return sending

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
        if violation.silent:
            phase, self.phase = self.phase, Phase.CLOSED
            return Closed(violation.reason, str(violation), by_peer=False, publish_will=phase is Phase.CONNECTED)
        return self._end(violation.reason, str(violation))

    def _end(self, reason: Reason, detail: str) -> Closed:
        """Say why, as far as the peer's version has words for it (§4.13), and be closed."""
        phase, self.phase = self.phase, Phase.CLOSED
        if phase is Phase.CONNECTED and self.level == 5:
            explanation = detail if self._may_explain() else ""
            self._out.append(goodbye(reason, explanation, self.server_reference, self._outgoing.packet_bytes_max))
        elif phase in (Phase.AUTHENTICATING, Phase.EXPECT_CONNECT) and self._may_answer(reason):
            level = 5 if reason is Reason.UNSUPPORTED_PROTOCOL_VERSION and not self._confused else self.level
            self._out.append(refusal(level, reason, self.server_reference))
        return Closed(reason, detail, by_peer=False, publish_will=phase is Phase.CONNECTED)

    def _may_explain(self) -> bool:
        """Whether the peer wants reason strings (§3.1.2.11.7)."""
        default = int(self.limits.reason_strings)
        return bool(number_of(self.connect, Property.REQUEST_PROBLEM_INFORMATION, default))

    def _may_answer(self, reason: Reason) -> bool:
        """Strangers that do not speak MQTT get no answer; a version we do not speak gets the 3.1.1 refusal."""
        return self.level == 5 or self.connect is not None or reason is Reason.UNSUPPORTED_PROTOCOL_VERSION


def _answer_of_a_server(kind: int, body: bytes) -> ProtocolViolation:
    if kind == packets.PINGRESP:
        packets.read_ping(body)
    return ProtocolViolation(Reason.PROTOCOL_ERROR, f"packet type {kind} from a client")
