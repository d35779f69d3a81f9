"""Pace: how far apart a meter's readings really are, where nobody wrote it down.

A profile says how soon a device is missed; that it measures in intervals of that length is a guess. A demo in
accelerated time reports half hours every few seconds. Readings that are all farther apart than that prove it wrong,
and a curve drawn by it would be full of holes that are none.
"""

from collections.abc import Sequence
from itertools import pairwise

from ringmain.model.time import DAY_MS, SECOND_MS

READINGS_LOOKED_AT = 200
"""Four days of half hours: the first ones there are."""

READINGS_LEAST = 25
"""Half a day of half hours. Fewer could be a meter that lost every second one by chance."""


TOO_SHORT = 1.25
"""Intervals asked for are too short where no two readings are nearer than so many of them: energy of a longer time
would stand in each, and time without energy between them. A clock that drifts makes a difference of a thousandth.
"""


def interval_s_of(stamps: Sequence[int], claimed_s: int) -> int:
    """The length of the intervals that begin at these ascending stamps: what is claimed for it, unless no two stamps
    are nearer than twice that, and the nearest two are a whole part of a day apart.
    """
    nearest_ms = _nearest_ms(stamps)
    if nearest_ms % SECOND_MS or nearest_ms < max(1, 2 * claimed_s * SECOND_MS) or DAY_MS % nearest_ms:
        return claimed_s
    return nearest_ms // SECOND_MS


def too_short(stamps: Sequence[int], asked_s: int) -> bool:
    """Whether readings at these ascending stamps are of longer intervals than those asked for."""
    return _nearest_ms(stamps) >= TOO_SHORT * asked_s * SECOND_MS


def _nearest_ms(stamps: Sequence[int]) -> int:
    """0 where there are too few to say."""
    return min(after - before for before, after in pairwise(stamps)) if len(stamps) >= READINGS_LEAST else 0
