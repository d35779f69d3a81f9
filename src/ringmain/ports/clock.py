"""Clock: the only way the platform learns what time it is. Production reads the system's, simulation its own."""

from typing import Protocol


class Clock(Protocol):
    """Wall time for stamps and validity, monotonic time for timers. Never mix them."""

    def now_ms(self) -> int:
        """Milliseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic_s(self) -> float:
        """Seconds on a clock that never goes back."""
        ...
