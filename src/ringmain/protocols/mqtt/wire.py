"""The data types of MQTT (5.0 §1.5): integers, variable byte integers, UTF-8 strings, binary data.

A `Cursor` walks one packet and never reads past its end: every way to run out of bytes is MALFORMED_PACKET.
"""

import re

from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason, Unreadable

VARIABLE_INTEGER_MAX = 268_435_455


_UNWANTED = re.compile("[\x01-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")
"""Control characters and noncharacters, which §1.5.4 lets a receiver refuse: topics end up in logs and pages."""


class Cursor:
    """A position in the bytes of one packet."""

    __slots__ = ("at", "data", "end")

    def __init__(self, data: bytes, at: int = 0, end: int | None = None) -> None:
        self.data = data
        self.at = at
        self.end = len(data) if end is None else end

    def take(self, size: int) -> bytes:
        """The next `size` bytes."""
        start, stop = self.at, self.at + size
        if stop > self.end:
            raise ProtocolViolation(Reason.MALFORMED_PACKET, f"packet ends {stop - self.end} bytes too early")
        self.at = stop
        return self.data[start:stop]

    def rest(self) -> bytes:
        """All that is left of the packet."""
        return self.take(self.end - self.at)

    def byte(self) -> int:
        return self.take(1)[0]

    def two_bytes(self) -> int:
        """Two Byte Integer, big-endian (§1.5.2)."""
        return int.from_bytes(self.take(2), "big")

    def four_bytes(self) -> int:
        """Four Byte Integer, big-endian (§1.5.3)."""
        return int.from_bytes(self.take(4), "big")

    def variable(self) -> int:
        """Variable Byte Integer (§1.5.5), which must use the fewest bytes [MQTT-1.5.5-1]."""
        value = shift = 0
        while True:
            octet = self.byte()
            value |= (octet & 0x7F) << shift
            if not octet & 0x80:
                if octet == 0 and shift:
                    raise ProtocolViolation(Reason.MALFORMED_PACKET, "length is padded", "MQTT-1.5.5-1")
                return value
            shift += 7
            if shift > 21:
                raise ProtocolViolation(Reason.MALFORMED_PACKET, "length of more than four bytes", "MQTT-1.5.5-1")

    def binary(self) -> bytes:
        """Binary Data (§1.5.6)."""
        return self.take(self.two_bytes())

    def text(self) -> str:
        """UTF-8 Encoded String (§1.5.4)."""
        return utf8(self.binary())


def utf8(data: bytes) -> str:
    """Text of well-formed UTF-8 without U+0000 [MQTT-1.5.4-1] [MQTT-1.5.4-2] or other control characters."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise ProtocolViolation(Reason.MALFORMED_PACKET, "string is not UTF-8", "MQTT-1.5.4-1") from error
    if "\0" in text:
        raise ProtocolViolation(Reason.MALFORMED_PACKET, "string holds U+0000", "MQTT-1.5.4-2")
    if _UNWANTED.search(text):
        raise ProtocolViolation(Reason.MALFORMED_PACKET, "string holds control characters", "MQTT-1.5.4")
    return text


def variable(value: int) -> bytes:
    """A Variable Byte Integer of 0 to 268,435,455."""
    if not 0 <= value <= VARIABLE_INTEGER_MAX:
        raise ValueError(f"{value} does not fit a variable byte integer")
    out = bytearray()
    while True:
        value, octet = value >> 7, value & 0x7F
        if not value:
            out.append(octet)
            return bytes(out)
        out.append(octet | 0x80)


def binary(data: bytes) -> bytes:
    """Binary Data with its length; ValueError above 65,535 bytes."""
    if len(data) > 0xFFFF:
        raise ValueError(f"{len(data)} bytes do not fit MQTT binary data")
    return len(data).to_bytes(2, "big") + data


def text(value: str) -> bytes:
    """A UTF-8 Encoded String with its length."""
    return binary(value.encode())


def packet(first: int, body: bytes) -> bytes:
    """A whole packet: fixed header (§2.1) and body."""
    return bytes((first,)) + variable(len(body)) + body


def long_length(data: bytes, at: int, end: int) -> tuple[int, int]:
    """A remaining length of several bytes: (length, where the body starts), or (0, 0) if it is not all there."""
    length = shift = 0
    for place in range(at, min(at + 4, end)):
        octet = data[place]
        length |= (octet & 0x7F) << shift
        if not octet & 0x80:
            if not octet and shift:
                raise Unreadable("remaining length is padded", "MQTT-1.5.5-1")
            return length, place + 1
        shift += 7
    if end - at >= 4:
        raise Unreadable("remaining length of more than four bytes", "MQTT-1.5.5-1")
    return 0, 0
