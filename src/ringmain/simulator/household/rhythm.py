"""When people are at home and awake, by day type: the knots that occupancy and appliances are drawn from.

A knot is (hour, value); hours go from 3 to 27, values between knots lie on the straight line. All of it is this
model's own: chosen so that the mean of many homes follows the BDEW profile H25, from no one's time-use survey.
"""

import numpy as np

from ringmain.simulator.chance import Floats
from ringmain.simulator.household.days import DAY_BEGINS_H, STEP_MINUTES, STEPS

Knots = tuple[tuple[float, float], ...]
ByDayType = tuple[Knots, Knots, Knots]

# Share of people who are at home and awake: those who go to work or school, and those who stay.
_AWAY_WEEKDAY: Knots = (
    (3, 0.02), (4.5, 0.04), (5.5, 0.16), (6.25, 0.38), (7, 0.44), (8, 0.27), (9, 0.15), (11, 0.14), (12.5, 0.18),
    (14, 0.18), (15.5, 0.28), (17, 0.52), (18, 0.68), (19, 0.75), (20.5, 0.74), (21.5, 0.62), (22.5, 0.42),
    (23.5, 0.2), (24.5, 0.09), (26, 0.03), (27, 0.02),
)  # fmt: skip
_HOME_WEEKDAY: Knots = (
    (3, 0.02), (5, 0.04), (6.5, 0.22), (8, 0.5), (9.5, 0.62), (12, 0.66), (14, 0.54), (16, 0.58), (18, 0.72),
    (20, 0.74), (21.5, 0.64), (22.5, 0.45), (23.5, 0.22), (24.5, 0.1), (26, 0.03), (27, 0.02),
)  # fmt: skip
_SATURDAY: Knots = (
    (3, 0.03), (5, 0.03), (6.5, 0.12), (8, 0.36), (9.5, 0.57), (12, 0.62), (14, 0.52), (16, 0.54), (18, 0.66),
    (20, 0.63), (22, 0.5), (23.5, 0.32), (24.5, 0.2), (26, 0.07), (27, 0.03),
)  # fmt: skip
_SUNDAY: Knots = (
    (3, 0.04), (5, 0.03), (6.5, 0.08), (8, 0.3), (9.5, 0.58), (11.5, 0.7), (13, 0.62), (15, 0.52), (17, 0.6),
    (19, 0.7), (20.5, 0.68), (22, 0.5), (23.5, 0.24), (24.5, 0.1), (26, 0.04), (27, 0.03),
)  # fmt: skip

PEOPLE: tuple[ByDayType, ...] = ((_AWAY_WEEKDAY, _SATURDAY, _SUNDAY), (_HOME_WEEKDAY, _SATURDAY, _SUNDAY))

_LIVELINESS = 0.16
"""Part of the way to the mean that a state goes in ten minutes: people stay as they are for about an hour."""


def at_steps(knots: Knots) -> Floats:
    """The values at the middle of each step of a day."""
    hours = DAY_BEGINS_H + (np.arange(STEPS) + 0.5) * STEP_MINUTES / 60
    return np.interp(hours, [hour for hour, _ in knots], [value for _, value in knots])


def transitions(share: Floats) -> tuple[Floats, Floats]:
    """Chances, for each step, to become active and to stay so, with which a two-state Markov chain has the mean
    `share`, as far as its liveliness lets it follow. At the first step they do not depend on what was before.
    """
    before = np.concatenate((share[:1], share[:-1]))
    aim = np.clip(before + (share - before) / _LIVELINESS, 0.0, 1.0)
    begin, stay = _LIVELINESS * aim, 1.0 - _LIVELINESS * (1.0 - aim)
    begin[0] = stay[0] = share[0]
    return begin, stay
