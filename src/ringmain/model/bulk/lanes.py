"""Arithmetic on a whole column at once: all its numbers of 64 bits stand in one integer, the first lowest, and each
operation costs one pass over memory instead of a step of the interpreter for each number.
"""

from collections.abc import Callable


def _lanes(change: Callable[[int, int], int]) -> Callable[[bytes | bytearray], bytes]:
    """`change` gets all numbers as one integer, the first lowest, and an integer with a 1 in each lane."""

    def changed(numbers: bytes | bytearray) -> bytes:
        size = len(numbers)
        ones = int.from_bytes(b"\1\0\0\0\0\0\0\0" * (size // 8), "little")
        return (change(int.from_bytes(numbers, "little"), ones) & ((1 << 8 * size) - 1)).to_bytes(size, "little")

    return changed


def _negative(signs: int) -> int:
    """All bits of those lanes whose lowest bit is set in `signs`."""
    return (signs << 64) - signs


zigzag = _lanes(lambda x, ones: ((x << 1) & ~ones) ^ _negative((x >> 63) & ones))
unzigzag = _lanes(lambda x, ones: ((x & ~ones) >> 1) ^ _negative(x & ones))
xored = _lanes(lambda x, _: x ^ (x << 64))
UNZIGZAG = bytes(((code >> 1) ^ -(code & 1)) & 0xFF for code in range(256))


def prefix_xored(numbers: bytearray) -> bytes:
    """Each number xor all before it, in log2(n) steps."""
    bits, whole = int.from_bytes(numbers, "little"), 8 * len(numbers)
    mask, shift = (1 << whole) - 1, 64
    while shift < whole:
        bits ^= (bits << shift) & mask
        shift *= 2
    return bits.to_bytes(len(numbers), "little")
