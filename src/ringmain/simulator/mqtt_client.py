"""The meter's end of MQTT 3.1.1: a sans-IO machine that publishes at QoS 1 and remembers what is unacknowledged.

Written apart from the platform's own machine on purpose: an error in one is not answered by the same error in the
other. It must never forget a message before its PUBACK, on whatever connection that comes.
"""

from collections import deque
from collections.abc import Iterator

import msgspec

CONNACK, PUBACK, PINGRESP = 0x20, 0x40, 0xD0
_CONNECT, _PUBLISH_QOS0, _PUBLISH_QOS1, _DUP = 0x10, 0x30, 0x32, 0x08
_PINGREQ, _DISCONNECT = b"\xc0\x00", b"\xe0\x00"

PACKET_IDS = 65_535
"""Packet identifiers are non-zero 16-bit numbers [MQTT-2.3.1-1]; so many can be in flight at the very most."""

REMAINING_LENGTH_MAX = 268_435_455
"""What four length bytes can say (§2.2.3)."""

_CONNACK_LENGTH, _PUBACK_LENGTH, _PINGRESP_LENGTH = 2, 2, 0
_FIXED_LENGTHS = {CONNACK: _CONNACK_LENGTH, PUBACK: _PUBACK_LENGTH, PINGRESP: _PINGRESP_LENGTH}

CONNECT_REFUSALS = {
    1: "the server does not speak MQTT 3.1.1",
    2: "client identifier refused",
    3: "server unavailable",
    4: "bad user name or password",
    5: "not authorised",
}
"""Return codes of §3.2.2.3."""


class PeerError(Exception):
    """The server said something that MQTT 3.1.1 does not allow here: end this connection, keep what is in flight."""


class ConnectRefused(PeerError):
    """The server answered CONNECT with a return code of §3.2.2.3; coming again with the same words is of no use."""

    def __init__(self, code: int) -> None:
        super().__init__(f"connection refused: {CONNECT_REFUSALS.get(code, 'reserved')} (return code {code})")
        self.code = code


class Settings(msgspec.Struct, frozen=True):
    """Who connects, and how much may be unacknowledged. `password` is the device's token; with neither user name nor
    password the client is anonymous.
    """

    client_id: str
    user_name: str
    password: str
    window: int = 64
    keep_alive_s: int = 60
    stall_s: float = 10.0

    def __post_init__(self) -> None:
        if not 1 <= self.window <= PACKET_IDS:
            raise ValueError(f"window {self.window} is not between 1 and {PACKET_IDS}")
        if not 1 <= self.keep_alive_s <= PACKET_IDS:
            raise ValueError(f"keep-alive of {self.keep_alive_s} s is not between 1 and {PACKET_IDS}")


class _Pending(msgspec.Struct, frozen=True):
    topic: bytes
    payload: bytes


def _length(value: int) -> bytes:
    """The remaining length of §2.2.3."""
    if value > REMAINING_LENGTH_MAX:
        raise ValueError(f"a packet of {value} bytes is larger than MQTT can say")
    out = bytearray()
    while True:
        value, low = divmod(value, 128)
        out.append(low | 0x80 if value else low)
        if not value:
            return bytes(out)


def _string(text: str) -> bytes:
    """A length-prefixed UTF-8 string (§1.5.3)."""
    data = text.encode()
    if len(data) > PACKET_IDS:
        raise ValueError(f"a string of {len(data)} bytes does not fit MQTT's 65,535")
    return len(data).to_bytes(2, "big") + data


def connect_packet(settings: Settings) -> bytes:
    """CONNECT (§3.1) with user name, password and CleanSession 0: what was in flight stays so [MQTT-4.4.0-1]."""
    named = bool(settings.user_name or settings.password)
    flags = 0b1100_0000 if named else 0
    body = b"\x00\x04MQTT\x04" + bytes((flags,)) + settings.keep_alive_s.to_bytes(2, "big")
    body += _string(settings.client_id)
    if named:
        body += _string(settings.user_name) + _string(settings.password)
    return bytes((_CONNECT,)) + _length(len(body)) + body


def publish_packet(topic: bytes, payload: bytes, packet_id: int, *, dup: bool) -> bytes:
    """PUBLISH at QoS 1 (§3.3); `topic` with its length prefix."""
    head = _PUBLISH_QOS1 | _DUP if dup else _PUBLISH_QOS1
    length = _length(len(topic) + 2 + len(payload))
    return b"".join((bytes((head,)), length, topic, packet_id.to_bytes(2, "big"), payload))


class MqttClient:
    """One client over any number of connections, one at a time.

    `connect` starts a connection, `receive` takes bytes and answers with how many messages they acknowledged,
    `data_to_send` gives bytes, `deadline` and `wake` keep the link alive and find one that has died.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._waiting: deque[_Pending] = deque()
        self._in_flight: dict[int, _Pending] = {}
        self._next_id = 0
        self._inbox = bytearray()
        self._outbox: list[bytes] = []
        self._connected = False
        self._sent_at = 0.0
        self._progress_at = 0.0
        self.acknowledged = 0
        self.resent = 0
        self.connections = 0

    @property
    def unacknowledged(self) -> int:
        """Messages that no PUBACK covers yet, sent or not."""
        return len(self._waiting) + len(self._in_flight)

    @property
    def in_flight(self) -> int:
        """Messages that were sent and that no PUBACK covers yet."""
        return len(self._in_flight)

    @property
    def connected(self) -> bool:
        """Whether the server has accepted this connection. What is in flight comes again before anything new."""
        return self._connected

    def connect(self, now: float) -> None:
        """A new connection is open: say CONNECT. Nothing of the connection before it is read any more."""
        self._inbox.clear()
        self._outbox = [connect_packet(self._settings)]
        self._connected = False
        self.connections += 1
        self._sent_at = self._progress_at = now

    def publish(self, topic: str, payload: bytes) -> None:
        """Take over one message; it leaves in this order, as soon as the window has room."""
        self._waiting.append(_Pending(_string(topic), payload))

    def publish_at_most_once(self, topic: str, payload: bytes) -> None:
        """Say something at QoS 0 on this connection (call it only while `connected`): it is not remembered."""
        name = _string(topic)
        self._outbox.append(bytes((_PUBLISH_QOS0,)) + _length(len(name) + len(payload)) + name + payload)

    def receive(self, data: bytes, now: float) -> int:
        """Messages acknowledged by `data`. PeerError: close the connection; messages in flight are kept."""
        self._inbox += data
        before = self.acknowledged
        for kind, body in self._packets():
            if kind == CONNACK:
                self._on_connack(body)
            elif not self._connected:
                raise PeerError("the server's first packet was not CONNACK [MQTT-3.2.0-1]")
            elif kind == PUBACK:
                self._on_puback(int.from_bytes(body, "big"))
            self._progress_at = now
        return self.acknowledged - before

    def data_to_send(self, now: float) -> bytes:
        """Everything that may leave now."""
        if self._connected:
            if self._waiting and not self._in_flight:
                self._progress_at = now
            while self._waiting and len(self._in_flight) < self._settings.window:
                self._send_next()
        data = b"".join(self._outbox)
        self._outbox.clear()
        if data:
            self._sent_at = now
        return data

    def deadline(self) -> float:
        """When `wake` is to be called if nothing was received until then. Before CONNACK there is nothing to ping."""
        if not self._connected:
            return self._stalls_at()
        return min(self._stalls_at(), self._sent_at + self._settings.keep_alive_s)

    def wake(self, now: float) -> None:
        """Ping where nothing was sent for the keep-alive [MQTT-3.1.2-23]; PeerError where an answer is overdue."""
        if now >= self._stalls_at():
            raise PeerError(f"nothing was acknowledged for {self._settings.stall_s:g} s")
        if self._connected and now >= self._sent_at + self._settings.keep_alive_s:
            self._outbox.append(_PINGREQ)

    def disconnect(self) -> bytes:
        """The last bytes of a connection that ends in order (§3.14)."""
        return _DISCONNECT

    def _stalls_at(self) -> float:
        grace = 0.0 if self._in_flight or not self._connected else self._settings.keep_alive_s
        return self._progress_at + grace + self._settings.stall_s

    def _send_next(self) -> None:
        message = self._waiting.popleft()
        packet_id = self._next_id
        while True:
            packet_id = packet_id % PACKET_IDS + 1
            if packet_id not in self._in_flight:
                break
        self._next_id = packet_id
        self._in_flight[packet_id] = message
        self._outbox.append(publish_packet(message.topic, message.payload, packet_id, dup=False))

    def _on_connack(self, body: bytes) -> None:
        if self._connected:
            raise PeerError("the server sent a second CONNACK")
        if body[1]:
            raise ConnectRefused(body[1])
        self._connected = True
        # In the order in which they were first sent, with their old ids [MQTT-4.4.0-1] [MQTT-4.6.0-1].
        for packet_id, message in self._in_flight.items():
            self._outbox.append(publish_packet(message.topic, message.payload, packet_id, dup=True))
        self.resent += len(self._in_flight)

    def _on_puback(self, packet_id: int) -> None:
        if self._in_flight.pop(packet_id, None) is None:
            raise PeerError(f"the server acknowledged packet {packet_id}, which is not in flight")
        self.acknowledged += 1

    def _packets(self) -> Iterator[tuple[int, bytes]]:
        """Whole packets at the front of the inbox. All that a server may send to this client has a fixed length."""
        inbox = self._inbox
        while len(inbox) >= 2:
            kind, length = inbox[0], inbox[1]
            if _FIXED_LENGTHS.get(kind) != length:
                raise PeerError(f"unexpected packet {kind:#04x} of {length} bytes from the server")
            if len(inbox) < 2 + length:
                return
            body = bytes(inbox[2 : 2 + length])
            del inbox[: 2 + length]
            yield kind, body
