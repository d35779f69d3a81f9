"""How long an uplink waits before it tries again: exponential backoff with full jitter. Pure.

It must never let a platform be hammered that accepts each connection only to end it.
"""

from random import Random

BACKOFF_S, BACKOFF_S_MAX = 0.25, 30.0
"""First and greatest pause between two attempts. A platform that restarts is back in 2 s; ten thousand gateways that
lost it together come back over half a minute.
"""

STEADY_S = 10.0
"""A connection that carried something and lasted so long ends the row of failures."""

CARRIED_FAILURES = 2
"""One that carried something and broke soon cuts the row to these, a pause of about a second: a link that breaks all
the time is to be used in between."""

DOUBLINGS_MAX = 10
"""More than enough for the greatest pause; without a bound the number would grow for ever."""


class Backoff:
    """Counts failures in a row."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self.failures = 0

    def ended(self, *, carried: bool, lasted_s: float) -> None:
        """An attempt is over: it never came to a connection, or that ended. `carried`: something was acknowledged."""
        self.failures += 1
        if carried:
            self.failures = 0 if lasted_s > STEADY_S else min(self.failures, CARRIED_FAILURES)

    def pause_s(self) -> float:
        """Drawn anew at each call."""
        pause_s: float = min(BACKOFF_S_MAX, BACKOFF_S * 2 ** min(self.failures, DOUBLINGS_MAX))
        return self._rng.uniform(0.2, 1.0) * pause_s
