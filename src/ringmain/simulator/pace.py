"""When a meter says what: messages held back until its own clock, which runs wrong, says that they are due.

The stamps inside the messages are the series' own and never change: a clock that is wrong shows in when a meter
speaks, in bursts and pauses where it is set right again, and in which of its messages overtakes which. It must never
drop, repeat or alter a message.
"""

from collections.abc import Iterable, Sequence
from random import Random

REPORT_EVERY_S = 0.2
"""The meter looks at its clock so often and says at once all that is due: meters speak in bursts."""

SET_EVERY_S = (4.0, 12.0)
"""A clock runs wrong at one rate for so long; then it is set right, which makes it jump."""

DRIFT_MAX = 0.5
"""Half or one and a half times the speed. Real crystals drift by 0.0001: more shows within a minute's run."""


class DriftingClock:
    """Reads `elapsed` plus an error that grows at a drawn rate until the clock is set right, again and again."""

    def __init__(self, drift_max: float, rng: Random) -> None:
        if not 0 <= drift_max <= DRIFT_MAX:
            raise ValueError(f"a drift of {drift_max:g} is not between 0 and {DRIFT_MAX:g}")
        self._drift_max = drift_max
        self._rng = rng
        self._set_at_s = self._set_again_s = self._rate = 0.0

    def read(self, elapsed_s: float) -> float:
        """What the clock shows; `elapsed_s` never goes back, what it shows does where a fast clock is set right."""
        while elapsed_s >= self._set_again_s:
            self._set_at_s = self._set_again_s
            self._set_again_s += self._rng.uniform(*SET_EVERY_S)
            self._rate = self._rng.uniform(-self._drift_max, self._drift_max)
        return elapsed_s + self._rate * (elapsed_s - self._set_at_s)


class Feed:
    """Messages in the order in which they are due, spread evenly over `seconds` of the meter's clock."""

    def __init__(self, messages: Sequence[bytes], seconds: float, clock: DriftingClock) -> None:
        self._messages = messages
        self._seconds = seconds
        self._clock = clock
        self._released = 0
        self._started_at: float | None = None
        self._looked_at = 0.0
        self._hurried = False

    @property
    def left(self) -> int:
        """How many are held back."""
        return len(self._messages) - self._released

    def due(self, now: float) -> Sequence[bytes]:
        """What became due since the last call. The first call starts the clock."""
        if self._started_at is None:
            self._started_at = now
        self._looked_at = now
        shown_s = self._clock.read(now - self._started_at)
        total = len(self._messages)
        count = total if self._hurried or shown_s >= self._seconds else int(total * shown_s / self._seconds)
        before, self._released = self._released, max(self._released, count)
        return self._messages[before : self._released]

    def look_again(self) -> float:
        """When to call `due` next; for ever where nothing is held back."""
        return self._looked_at + REPORT_EVERY_S if self.left else float("inf")

    def hurry(self) -> None:
        """Hold nothing back any more: all that is left is due at the next look."""
        self._hurried = True


def overtaken(messages: Iterable[bytes], places_max: int, rng: Random) -> list[bytes]:
    """The same messages, where each may come up to `places_max` places late, and so be overtaken by others."""
    drawn = [(index + rng.uniform(0, places_max), index, message) for index, message in enumerate(messages)]
    return [message for _, _, message in sorted(drawn)]
