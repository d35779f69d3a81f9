"""The wire format of Protocol Buffers, as far as one Sparkplug payload needs it: fields in, fields out.

A message is a run of fields, each a tag (`number << 3 | wire type`) and a value: a varint (wire type 0), 8 bytes (1),
bytes behind their length (2), or 4 bytes (5), little-endian. Groups (3, 4) are refused: Sparkplug has none, and without
them nothing nests unless somebody opens the bytes of a field. It never raises anything but `SparkplugError`.
"""

from collections.abc import Iterator

VARINT, EIGHT_BYTES, BYTES, FOUR_BYTES = 0, 1, 2, 5

FIELD_NUMBER_MAX = (1 << 29) - 1
"""The largest that a tag may carry, by the format."""

VARINT_BYTES_MAX = 10
"""64 bits in groups of seven."""

_UINT64 = (1 << 64) - 1
_SIZES = {EIGHT_BYTES: 8, FOUR_BYTES: 4}


class SparkplugError(ValueError):
    """Bytes, a topic or a value that are not what Sparkplug says they are; the text says why."""


def tag(number: int, wire_type: int) -> int:
    """The tag of a field."""
    return number << 3 | wire_type


def fields(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Every field of one message as (tag, integer, bytes): the integer (0 to 2**64 - 1) of a varint, the bytes of
    anything else. SparkplugError where the bytes are no message.
    """
    at, end = 0, len(data)
    while at < end:
        key = data[at]
        if key < 0x80:
            at += 1
        else:
            key, at = _varint(data, at)
        number, wire_type = key >> 3, key & 7
        if not 0 < number <= FIELD_NUMBER_MAX:
            raise SparkplugError(f"a field of number {number}")
        if wire_type == VARINT:
            value, at = _varint(data, at)
            yield key, value, b""
            continue
        if wire_type == BYTES:
            size, at = _varint(data, at)
        elif wire_type in _SIZES:
            size = _SIZES[wire_type]
        else:
            raise SparkplugError(f"field {number} has the wire type {wire_type}, which no payload has")
        stop = at + size
        if stop > end:
            raise SparkplugError(f"field {number} ends {stop - end} bytes behind the message")
        yield key, 0, data[at:stop]
        at = stop


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """An integer and where it ends. Bits beyond the 64th are dropped, as every reader of the format does."""
    value = shift = 0
    for octet in data[at : at + VARINT_BYTES_MAX]:
        at += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            return value & _UINT64, at
        shift += 7
    raise SparkplugError("an integer that does not end")


def varint(value: int) -> bytes:
    """An integer of 0 to 2**64 - 1 as it is written. SparkplugError for any other."""
    if not 0 <= value <= _UINT64:
        raise SparkplugError(f"{value} does not fit 64 bits without a sign")
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer_field(number: int, value: int) -> bytes:
    """A field of wire type 0."""
    return varint(tag(number, VARINT)) + varint(value)


def bytes_field(number: int, value: bytes) -> bytes:
    """A field of wire type 2."""
    return varint(tag(number, BYTES)) + varint(len(value)) + value


def fixed_field(number: int, value: bytes) -> bytes:
    """A field of wire type 1 or 5: 8 or 4 bytes, little-endian."""
    wire_type = EIGHT_BYTES if len(value) == 8 else FOUR_BYTES
    return varint(tag(number, wire_type)) + value
