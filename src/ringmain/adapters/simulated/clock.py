"""A clock that stands still until it is told to go on."""


class SimulatedClock:
    """Wall and monotonic time that move together, by `advance` alone."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms
        self._monotonic_s = 0.0

    def now_ms(self) -> int:
        """See `ports.clock`."""
        return self._now_ms

    def monotonic_s(self) -> float:
        """See `ports.clock`."""
        return self._monotonic_s

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self._now_ms += round(seconds * 1000)
        self._monotonic_s += seconds
