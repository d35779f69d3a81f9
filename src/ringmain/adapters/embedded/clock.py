"""The system's clocks: `CLOCK_REALTIME` for stamps, `CLOCK_MONOTONIC` for timers."""

import time


class EmbeddedClock:
    """The clock of a real platform."""

    def now_ms(self) -> int:
        """See `ports.clock`."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """See `ports.clock`."""
        return time.monotonic()
