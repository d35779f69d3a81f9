"""Virtual time: starts where it is told, runs faster than the world, and falls into step with it at now.

It reads the two clocks that it is given and nothing else. It must never run backwards.
"""

from collections.abc import Callable

SPEED_MAX = 100_000.0
"""A year in five minutes. Beyond it a day of many homes is not made in the time that it lasts."""


class VirtualTime:
    """`now_ms()` of a time that begins at `start_ms` at the first call. `monotonic_s` moves it; `wall_ms` is the real
    time at which it slows down where `then_real_time` is set.
    """

    def __init__(
        self,
        start_ms: int,
        speed: float,
        *,
        then_real_time: bool,
        monotonic_s: Callable[[], float],
        wall_ms: Callable[[], int],
    ) -> None:
        if not 0 < speed <= SPEED_MAX:
            raise ValueError(f"a speed of {speed:g} is not between 0 and {SPEED_MAX:g}")
        self.speed = speed
        self._then_real_time = then_real_time
        self._monotonic_s, self._wall_ms = monotonic_s, wall_ms
        self._anchor_ms = self._seen_ms = float(start_ms)
        self._anchor_s: float | None = None

    def now_ms(self) -> int:
        """Virtual now."""
        now_s = self._monotonic_s()
        if self._anchor_s is None:
            self._anchor_s = now_s
        virtual_ms = self._anchor_ms + (now_s - self._anchor_s) * 1000 * self.speed
        if self._then_real_time and virtual_ms >= (wall_ms := self._wall_ms()):
            self._then_real_time = False
            # How far this look overshot the wall is taken back: nobody has seen it.
            virtual_ms = max(float(wall_ms), self._seen_ms)
            self._anchor_ms, self._anchor_s, self.speed = virtual_ms, now_s, 1.0
        self._seen_ms = virtual_ms
        return int(virtual_ms)
