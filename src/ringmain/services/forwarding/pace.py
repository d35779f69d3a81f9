"""Pace: how fast the backlog may go up. A token bucket (RFC 2697 in one colour) on bytes; pure."""

BURST_S = 0.25
"""The bucket holds a quarter of a second: enough to keep a link busy, too little to starve the live lane."""


class Pace:
    """At most `bytes_s` bytes a second, averaged over `BURST_S`. A larger piece leaves alone and is paid for after."""

    def __init__(self, bytes_s: int, now_s: float) -> None:
        self.bytes_s = bytes_s
        self._tokens = bytes_s * BURST_S
        self._at_s = now_s

    def delay_s(self, now_s: float) -> float:
        """How long to wait before the next piece may leave; 0 where it may leave now."""
        self._fill(now_s)
        return 0.0 if self._tokens > 0 else -self._tokens / self.bytes_s + 0.001

    def spend(self, size: int, now_s: float) -> None:
        """A piece of `size` bytes leaves."""
        self._fill(now_s)
        self._tokens -= size

    def _fill(self, now_s: float) -> None:
        passed_s, self._at_s = max(0.0, now_s - self._at_s), now_s
        self._tokens = min(self.bytes_s * BURST_S, self._tokens + passed_s * self.bytes_s)
