"""One column of a chunk: `n` numbers of 64 bits in few bytes. docs/protocols/bulk.md says the same for other languages.

    numbers --transform--> differences --zigzag--> byte planes --raw deflate (RFC 1951)--> bytes

| transform | what is written of numbers x, for each i |
|---|---|
| PLAIN | x[i] - base |
| DELTA | x[0] - base, then x[i] - x[i-1] - step |
| BITS | x[i] as it is, without zigzag |
| XOR | x[0], then x[i] xor x[i-1], without zigzag |

Zigzag (d << 1 ^ d >> 63) makes small what is near 0. Plane p holds byte p (the lowest is 0) of every number; planes
above `width` are zero and left out. A float is written by its bits, or, where every one of a column is a decimal
fraction, as the integer x * 10**scale: what a meter says as `230.1` is noise in binary and four digits in truth.

It must never allocate for what a stranger's header claims: the caller bounds `n` before.
"""

import zlib
from array import array
from collections.abc import Iterable, Sequence
from enum import IntEnum
from itertools import accumulate, islice, repeat
from operator import sub, truediv
from typing import Annotated

import msgspec
from msgspec import Meta

from ringmain.model.bulk.lanes import UNZIGZAG, prefix_xored, unzigzag, xored, zigzag


class ChunkError(ValueError):
    """The bytes are no chunk that this version can read, or the chunk is none that can be written."""


class Transform(IntEnum):
    """What was done to the numbers of a column; see above."""

    PLAIN = 0
    DELTA = 1
    BITS = 2
    XOR = 3


SCALE_MAX = 9
"""Decimal places: meters give up to six; nine fit a kilowatt-hour with its microwatt-hours."""

DECIMAL_MAX = 1 << 53
"""Up to here an integer and a power of ten are both exact in a float, so their quotient is the nearest float to the
decimal fraction (IEEE 754): the same in every language."""

LEVEL = 6
"""Of deflate. On planes of noise 9 takes four times as long for a hundredth of the size."""

_SAMPLES = 32
"""Floats looked at to guess how many decimal places a column has; all are compared afterwards."""


class ColumnHead(msgspec.Struct, frozen=True, array_like=True):
    """What the header says of a column; `size` are the bytes of its stream."""

    transform: Transform
    scale: Annotated[int, Meta(ge=0, le=SCALE_MAX)]
    base: Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
    step: Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
    width: Annotated[int, Meta(ge=0, le=8)]
    size: Annotated[int, Meta(ge=0, le=(1 << 32) - 1)]


Column = tuple[ColumnHead, bytes]


def encode_integers(numbers: "array[int]", scale: int = 0) -> Column:
    """The smaller of PLAIN and DELTA. `numbers` are int64."""
    if not numbers:
        return ColumnHead(Transform.PLAIN, 0, 0, 0, 0, 0), b""
    return min((_plain(numbers, scale), _delta(numbers, scale)), key=_size)


def encode_floats(numbers: "array[float]") -> Column:
    """Decimal fractions as integers where every bit of every number comes back that way, else their bits."""
    scaled = _decimals(numbers)
    if scaled is not None:
        return encode_integers(*scaled)
    bits = numbers.tobytes()
    return min((_written(Transform.BITS, bits), _written(Transform.XOR, xored(bits))), key=_size)


def decode_integers(head: ColumnHead, stream: memoryview, n: int) -> "array[int]":
    """`n` int64. ChunkError where there are fewer or more, or one does not fit."""
    if head.transform not in (Transform.PLAIN, Transform.DELTA):
        raise ChunkError(f"{head.transform.name} is no transform of integers")
    differences = _differences(head, stream, n)
    try:
        if head.transform is Transform.PLAIN:
            return array("q", map(head.base.__add__, differences) if head.base else differences)
        steps: Iterable[int] = map(head.step.__add__, differences) if head.step else differences
        return array("q", islice(accumulate(steps, initial=head.base - head.step), 1, None))
    except OverflowError as error:
        raise ChunkError("a number of a column does not fit 64 bits") from error


def decode_floats(head: ColumnHead, stream: memoryview, n: int) -> "array[float]":
    """`n` float64, errors as of `decode_integers`."""
    found = array("d")
    if head.transform in (Transform.PLAIN, Transform.DELTA):
        integers = decode_integers(head, stream, n)
        if n and not -DECIMAL_MAX <= min(integers) <= max(integers) <= DECIMAL_MAX:
            raise ChunkError("a decimal fraction of a column has more digits than a float can hold")
        found.extend(map(truediv, integers, repeat(10**head.scale)))
        return found
    if head.scale or head.base or head.step:
        raise ChunkError(f"{head.transform.name} has neither scale nor base nor step")
    bits = _numbers(head, stream, n)
    found.frombytes(prefix_xored(bits) if head.transform is Transform.XOR else bits)
    return found


# -- writing ------------------------------------------------------------------------------------------------------


def _size(column: Column) -> int:
    return len(column[1])


def _plain(numbers: "array[int]", scale: int) -> Column:
    base = sorted(numbers)[len(numbers) // 2]
    return _integers(Transform.PLAIN, numbers, map(sub, numbers, repeat(base)), scale, base, 0)


def _delta(numbers: "array[int]", scale: int) -> Column:
    deltas = list(map(sub, numbers[1:], numbers))
    step = sorted(deltas)[len(deltas) // 2] if deltas else 0
    return _integers(Transform.DELTA, numbers, _and_steps(deltas, step), scale, numbers[0], step)


def _and_steps(deltas: Sequence[int], step: int) -> Iterable[int]:
    yield 0
    yield from map(sub, deltas, repeat(step)) if step else deltas


def _integers(
    transform: Transform, numbers: "array[int]", differences: Iterable[int], scale: int, base: int, step: int
) -> Column:
    try:
        written = array("q", differences)
        if not -(1 << 63) <= step < 1 << 63:
            raise OverflowError
    except OverflowError:
        # Numbers that lie further apart than 64 bits: they are written as they are.
        transform, base, step, written = Transform.PLAIN, 0, 0, numbers
    return _written(transform, zigzag(written.tobytes()), scale, base, step)


def _written(transform: Transform, numbers: bytes, scale: int = 0, base: int = 0, step: int = 0) -> Column:
    """Deflated planes. Each begins a deflate block of its own, because each has its own frequencies."""
    planes = [numbers[place::8] for place in range(8)]
    while planes and not any(planes[-1]):
        planes.pop()
    compressor = zlib.compressobj(LEVEL, zlib.DEFLATED, -15)
    parts: list[bytes] = []
    for place, plane in enumerate(planes):
        if place:
            parts.append(compressor.flush(zlib.Z_PARTIAL_FLUSH))
        parts.append(compressor.compress(plane))
    stream = b"".join([*parts, compressor.flush()]) if planes else b""
    return ColumnHead(transform, scale, base, step, len(planes), len(stream)), stream


def _decimals(numbers: "array[float]") -> "tuple[array[int], int] | None":
    """The numbers times a power of ten, as integers, and the power; None where they are not all such fractions.
    -0.0, NaN and the infinities are none: compared are bits.
    """
    try:
        scale = max(map(_places, numbers[:: len(numbers) // _SAMPLES + 1]), default=0)
        while scale <= SCALE_MAX:
            power = 10**scale
            integers = array("q", map(round, map(float(power).__mul__, numbers)))
            back = array("d", map(truediv, integers, repeat(power)))
            if back.tobytes() == numbers.tobytes():
                fit = not integers or -DECIMAL_MAX <= min(integers) <= max(integers) <= DECIMAL_MAX
                return (integers, scale) if fit else None
            other = next((there for here, there in zip(back, numbers, strict=True) if here != there), None)
            if other is None or (places := _places(other)) <= scale:
                return None
            scale = places
    except (ValueError, OverflowError):
        pass
    return None


def _places(number: float) -> int:
    """Decimal places of the shortest text of a float; too many where it has an exponent or is no number."""
    whole, _, fraction = repr(number).partition(".")
    if not fraction.isdecimal() or not whole.lstrip("-").isdecimal():
        return SCALE_MAX + 1
    return 0 if fraction == "0" else len(fraction)


# -- reading ------------------------------------------------------------------------------------------------------


def _differences(head: ColumnHead, stream: memoryview, n: int) -> "array[int]":
    """The differences of a column without their zigzag."""
    if head.width == 1:
        return array("b", inflated(stream, n).translate(UNZIGZAG))
    found = array("q")
    found.frombytes(unzigzag(_numbers(head, stream, n)))
    return found


def _numbers(head: ColumnHead, stream: memoryview, n: int) -> bytearray:
    """Planes put together again: 8 bytes for each number."""
    planes = inflated(stream, n * head.width) if head.width else _nothing(stream)
    numbers = bytearray(8 * n)
    for place in range(head.width):
        numbers[place::8] = planes[place * n : (place + 1) * n]
    return numbers


def _nothing(stream: memoryview) -> bytes:
    if stream:
        raise ChunkError("a column of zeros has a stream")
    return b""


def inflated(stream: memoryview, size: int) -> bytes:
    """Exactly `size` bytes from a raw deflate stream. ChunkError where it holds less or more; never allocates more."""
    decompressor = zlib.decompressobj(-15)
    try:
        found = decompressor.decompress(stream, size) if size else b""
        rest = decompressor.decompress(decompressor.unconsumed_tail if size else stream, 1)
    except zlib.error as error:
        raise ChunkError(f"not deflated: {error}") from error
    if len(found) != size or rest or not decompressor.eof or decompressor.unused_data:
        raise ChunkError(f"a stream does not hold the {size} bytes that the header says")
    return found
