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


def interval_s_of(stamps: Sequence[int], claimed_s: int) -> int:
    """The length of the intervals that begin at these ascending stamps: what is claimed for it, unless no two stamps
    are nearer than twice that, and the nearest two are a whole part of a day apart.
    """
    if len(stamps) < READINGS_LEAST:
        return claimed_s
    nearest_ms = min(after - before for before, after in pairwise(stamps))
    whole = nearest_ms % SECOND_MS == 0 and nearest_ms > 0 and DAY_MS % nearest_ms == 0
    return nearest_ms // SECOND_MS if whole and nearest_ms >= 2 * claimed_s * SECOND_MS else claimed_s
