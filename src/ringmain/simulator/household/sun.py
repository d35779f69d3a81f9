"""Panels on the roof: what the sun, the weather of the day and passing clouds let them make.

All homes of a seed have the same weather; clouds pass over each a little differently.
"""

import numpy as np
from numpy.typing import NDArray

from ringmain.simulator.chance import Chance, Floats
from ringmain.simulator.household.days import MINUTES, STEP_MINUTES, STEPS, ModelDay
from ringmain.simulator.household.traits import Homes

_WEATHER, _CLOUDS, _ROOFS = 4, 5, 6
"""First parts of the keys: a day's weather, its clouds for everyone, its clouds over one block."""

_PERFORMANCE = 0.86
"""Of the rated power at full sun: cables, inverter, warmth."""

_TILTED = 1.18
"""A roof at some 35 degrees sees more of a low sun than flat ground does; at most the rated power comes out."""


def clearness(seed: int, number: int) -> float:
    """How clear a day is, from 0 (heavy clouds) to 1; days beside each other resemble each other."""
    draws = [float(Chance(seed, _WEATHER, each).uniform(1)[0]) for each in (number, number + 1, number + 2)]
    return 0.25 * draws[0] + 0.5 * draws[1] + 0.25 * draws[2]


def generated_w(seed: int, homes: Homes, day: ModelDay) -> NDArray[np.int32] | None:
    """(homes, minutes of the wall) in whole watts; None where no home of the block has panels."""
    roofs = np.flatnonzero(homes.pv_w)
    if not len(roofs):
        return None
    clear = clearness(seed, day.number)
    shared = Chance(seed, _CLOUDS, day.number).uniform(STEPS + 1)
    own = Chance(seed, _ROOFS, homes.number, day.number).uniform(len(homes.pv_w), STEPS + 1)[roofs]
    passing = 0.65 * shared + 0.35 * own
    # A clear sky hides nothing, a covered one lets a seventh through; in between, clouds come and go.
    sky = 0.15 + 0.85 * np.clip(3.2 * (clear - 0.62) + 1.6 * passing, 0.0, 1.0)
    clear_sky = np.minimum(_TILTED * np.clip(day.sun, 0.0, 1.0) ** 1.15 * _PERFORMANCE, 1.0)
    minute = np.clip(np.arange(MINUTES) - homes.pv_noon_shift[roofs][:, None], 0, MINUTES - 1)
    out = np.zeros((len(homes.pv_w), MINUTES), dtype=np.int32)
    out[roofs] = clear_sky[minute] * _between_steps(sky * homes.pv_w[roofs][:, None])
    return out


def _between_steps(values: Floats) -> Floats:
    """Values at the ends of steps, drawn out to minutes on straight lines."""
    part = np.arange(STEP_MINUTES) / STEP_MINUTES
    joined = values[:, :-1, None] + (values[:, 1:] - values[:, :-1])[:, :, None] * part
    return np.asarray(joined.reshape(len(values), MINUTES), dtype=np.float64)
