"""As much of MQTT as the bench of the edge gateways speaks itself, written apart from the platform's own machine.

Sensors are clients of 3.1.1; the stub of ThingsBoard's platform is a server of 5.0 and 3.1.1. QoS 0 and 1, no wills,
no sessions. It must never be more lenient than a broker: what it cannot read closes the connection.
"""

import struct
from collections.abc import Iterator

CONNECT, CONNACK, PUBLISH, PUBACK, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK = 1, 2, 3, 4, 8, 9, 10, 11
PINGREQ, PINGRESP, DISCONNECT = 12, 13, 14

PACKET_BYTES_MAX = 16 << 20
"""ThingsBoard's gateway sends its whole configuration as one message; nothing here is near this."""


class Malformed(ValueError):
    """Bytes that are no packet."""


def packet(first: int, body: bytes) -> bytes:
    """A packet with its remaining length (5.0 §2.1.4)."""
    length, out = len(body), bytearray([first])
    while True:
        length, low = divmod(length, 128)
        out.append(low | 0x80 if length else low)
        if not length:
            return bytes(out) + body


def string(text: str | bytes) -> bytes:
    """Two bytes of length, then UTF-8 (§1.5.4)."""
    data = text.encode() if isinstance(text, str) else text
    return struct.pack(">H", len(data)) + data


class Packets:
    """Splits a byte stream into (first byte, body)."""

    def __init__(self) -> None:
        self._held = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """The packets that are complete; the rest is kept."""
        data = self._held + data
        at = 0
        while (found := _extent(data, at)) is not None and found[1] <= len(data):
            start, stop = found
            first, at = data[at], stop
            yield first, data[start:stop]
        self._held = data[at:]


def _extent(data: bytes, at: int) -> tuple[int, int] | None:
    """Where the body of the packet at `at` starts and stops, or None while its length is not all there."""
    length = 0
    for place in range(4):
        if at + 1 + place >= len(data):
            return None
        octet = data[at + 1 + place]
        length |= (octet & 0x7F) << 7 * place
        if not octet & 0x80:
            if length > PACKET_BYTES_MAX:
                raise Malformed(f"a packet of {length} bytes")
            return at + 2 + place, at + 2 + place + length
    raise Malformed("a length of more than four bytes")


def take_string(body: bytes, at: int) -> tuple[bytes, int]:
    """A string and where it ends."""
    stop = at + 2 + int.from_bytes(body[at : at + 2], "big")
    if at + 2 > len(body) or stop > len(body):
        raise Malformed("a string goes past the end of its packet")
    return body[at + 2 : stop], stop


def skip_properties(body: bytes, at: int) -> int:
    """Where the properties at `at` end (§2.2.2)."""
    found = _extent(b"\0" + body[at : at + 4], 0)
    if found is None or at + found[1] - 1 > len(body):
        raise Malformed("properties go past the end of their packet")
    return at + found[1] - 1


def read_publish(first: int, body: bytes, *, five: bool) -> tuple[str, bytes, bytes]:
    """(topic, packet identifier or nothing, payload) of a PUBLISH."""
    topic, at = take_string(body, 0)
    identifier = b""
    if first & 0x06:
        identifier, at = body[at : at + 2], at + 2
    if five:
        at = skip_properties(body, at)
    return topic.decode(), identifier, body[at:]


def publish(topic: str, payload: bytes, identifier: int, *, five: bool, again: bool = False) -> bytes:
    """A PUBLISH of QoS 1, or of QoS 0 where the identifier is 0."""
    first = PUBLISH << 4 | (0x02 if identifier else 0) | (0x08 if again else 0)
    head = string(topic) + (struct.pack(">H", identifier) if identifier else b"")
    return packet(first, head + (b"\0" if five else b"") + payload)


def connect(client_id: str, user: str | None, password: str | None, keep_alive_s: int) -> bytes:
    """A CONNECT of 3.1.1 with a clean session."""
    flags = 0x02 | (0x80 if user is not None else 0) | (0x40 if password is not None else 0)
    tail = b"".join(string(text) for text in (client_id, user, password) if text is not None)
    return packet(CONNECT << 4, string("MQTT") + bytes([4, flags]) + struct.pack(">H", keep_alive_s) + tail)


def read_connect(body: bytes) -> tuple[bool, int, str]:
    """(whether it is 5.0, keep-alive in seconds, user name) of a CONNECT without a will."""
    name, at = take_string(body, 0)
    level, flags, keep_alive_s = struct.unpack_from(">BBH", body, at)
    if name != b"MQTT" or level not in (4, 5) or flags & 0x04:
        raise Malformed(f"CONNECT of {name!r} level {level} flags {flags:#x}")
    at += 4
    if level == 5:
        at = skip_properties(body, at)
    _, at = take_string(body, at)
    user = take_string(body, at)[0].decode() if flags & 0x80 else ""
    return level == 5, keep_alive_s, user
