"""Where packets begin and end in what was read (§2.1), and the bytes of one that is not all there yet.

It never looks into a packet and never holds more than one of the size that is permitted now.
"""

from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason
from ringmain.protocols.mqtt.wire import long_length


class Frames:
    """Of one connection. `bytes_max` is what a packet may have now."""

    __slots__ = ("_chunks", "_held", "_wanted", "bytes_max")

    def __init__(self, bytes_max: int) -> None:
        self.bytes_max = bytes_max
        self._chunks: list[bytes] = []
        self._held = self._wanted = 0

    @property
    def held(self) -> int:
        """Bytes that wait in here."""
        return self._held

    def joined(self, data: bytes) -> bytes:
        """`data` with what was kept before it; nothing while the packet that has begun is known to be longer. Its
        pieces are collected, not joined each time.
        """
        if not self._wanted:
            return data
        self.append(data)
        return b"" if self._held < self._wanted else self.take()

    def append(self, data: bytes) -> int:
        """Hold it, whatever it is; how much that makes."""
        self._chunks.append(data)
        self._held += len(data)
        return self._held

    def take(self) -> bytes:
        """All that was held."""
        data = b"".join(self._chunks)
        self.clear()
        return data

    def clear(self) -> None:
        """Hold nothing any more."""
        self._chunks.clear()
        self._held = self._wanted = 0

    def extent(self, data: bytes, at: int, end: int) -> tuple[int, int]:
        """Where the body of the packet at `at` starts and stops; a stop behind `end` where it is not all there."""
        length, start = data[at + 1], at + 2
        if length & 0x80:
            length, start = long_length(data, at + 1, end)
            if not start:
                return start, end + 1
        stop = start + length
        if stop - at > self.bytes_max:
            raise ProtocolViolation(Reason.PACKET_TOO_LARGE, f"packet of {stop - at} bytes, limit {self.bytes_max}")
        if stop > end:
            self._wanted = stop - at
        return start, stop

    def keep(self, data: bytes, at: int) -> None:
        """Hold an unfinished packet."""
        if at < len(data):
            self.append(data[at:])
            self._wanted = max(self._wanted, self._held + 1)
