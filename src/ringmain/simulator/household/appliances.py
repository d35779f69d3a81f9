"""What people switch on: one row for each kind of appliance, with who owns it, when it runs and what it draws.

The rows are this model's own, in the range of what type plates and test programmes of such appliances say. A use is
drawn by chance at a time of `rhythm` and takes place only where somebody is at home and awake.
"""

import msgspec

from ringmain.simulator.household.rhythm import ByDayType, Knots

Pulses = tuple[tuple[float, float, float], ...]
"""(from, to, part of the full power); from and to are parts of the time it runs."""

_STEADY: Pulses = ((0.0, 1.0, 1.0),)
_PLATE: Pulses = ((0.0, 0.3, 1.0), (0.4, 0.5, 0.9), (0.6, 0.7, 0.9), (0.8, 0.9, 0.9))
_OVEN: Pulses = ((0.0, 0.22, 1.0), (0.32, 0.4, 1.0), (0.5, 0.58, 1.0), (0.68, 0.76, 1.0), (0.86, 0.94, 1.0))
_WASH: Pulses = ((0.0, 0.06, 0.08), (0.06, 0.18, 1.0), (0.2, 0.85, 0.09), (0.85, 1.0, 0.2))
_DISHES: Pulses = ((0.0, 0.12, 0.05), (0.12, 0.24, 1.0), (0.24, 0.62, 0.05), (0.62, 0.74, 1.0), (0.74, 0.9, 0.04))
_DRYER: Pulses = ((0.0, 0.45, 1.0), (0.5, 0.7, 1.0), (0.75, 0.9, 0.8), (0.9, 1.0, 0.15))
_IRON: Pulses = ((0.0, 0.12, 1.0), (0.2, 0.3, 1.0), (0.4, 0.5, 1.0), (0.6, 0.7, 1.0), (0.8, 0.9, 1.0))


def _same(knots: Knots) -> ByDayType:
    return knots, knots, knots


_DRINKS: ByDayType = (
    (
        (3, 0),
        (5, 0.2),
        (6.5, 2),
        (8, 1.6),
        (10, 1),
        (14, 1),
        (16, 1.2),
        (18, 1.2),
        (21, 1),
        (23, 0.4),
        (25, 0),
        (27, 0),
    ),
    ((3, 0), (6, 0.2), (8.5, 1.8), (10, 1.6), (13, 1), (16, 1.3), (18, 1.1), (21, 0.9), (23, 0.4), (25, 0), (27, 0)),
    ((3, 0), (6, 0.2), (9, 1.8), (10.5, 1.6), (13, 1), (15.5, 1.5), (18, 1.1), (21, 0.9), (23, 0.4), (25, 0), (27, 0)),
)
_BREAKFAST: ByDayType = (
    ((3, 0), (5, 0.2), (6.3, 2), (7.5, 1.6), (9, 0.6), (10.5, 0), (27, 0)),
    ((3, 0), (6, 0.1), (8, 1.2), (9.2, 1.6), (10.5, 0.8), (12, 0), (27, 0)),
    ((3, 0), (6.5, 0.1), (8.5, 1.2), (9.7, 1.6), (11, 0.8), (12, 0), (27, 0)),
)
_LUNCH: ByDayType = (
    ((3, 0), (10.5, 0.1), (11.7, 1), (12.7, 1), (13.7, 0.3), (15, 0), (27, 0)),
    ((3, 0), (10, 0.2), (11.5, 1), (12.5, 1), (13.7, 0.4), (15, 0), (27, 0)),
    ((3, 0), (9.5, 0.2), (10.7, 1), (11.7, 1.2), (12.7, 0.6), (14, 0.1), (27, 0)),
)
_DINNER: ByDayType = (
    ((3, 0), (15.5, 0.05), (17, 0.7), (18, 1.2), (19, 1.1), (20, 0.5), (21.5, 0.1), (23, 0), (27, 0)),
    ((3, 0), (15.5, 0.1), (17, 0.8), (18, 1.1), (19, 0.9), (20, 0.4), (21.5, 0.1), (23, 0), (27, 0)),
    ((3, 0), (15.5, 0.1), (17, 0.8), (18, 1.1), (19, 0.9), (20, 0.4), (21.5, 0.1), (23, 0), (27, 0)),
)
_CHORES: ByDayType = (
    (
        (3, 0),
        (6.5, 0.1),
        (8, 0.8),
        (10, 1.2),
        (12, 0.9),
        (15, 0.6),
        (17.5, 0.8),
        (19.5, 0.7),
        (21, 0.2),
        (22, 0),
        (27, 0),
    ),
    ((3, 0), (7, 0.1), (9, 1), (10.5, 1.4), (13, 1), (15, 0.8), (17.5, 0.6), (19.5, 0.4), (21, 0.1), (22, 0), (27, 0)),
    (
        (3, 0),
        (7.5, 0.1),
        (9.5, 1),
        (11, 1.3),
        (13, 1),
        (15, 0.8),
        (17.5, 0.6),
        (19.5, 0.5),
        (21, 0.2),
        (22, 0),
        (27, 0),
    ),
)
_AFTER_MEALS: ByDayType = (
    ((3, 0), (7, 0.2), (9, 0.5), (12, 0.3), (13.5, 0.7), (15, 0.3), (18, 0.6), (19.5, 1.5), (21, 1.3),
     (22.5, 0.5), (24, 0), (27, 0)),
    ((3, 0), (8, 0.2), (10, 0.6), (12, 0.4), (13.5, 0.9), (15, 0.4), (18, 0.6), (19.5, 1.2), (21, 1.1),
     (22.5, 0.5), (24, 0), (27, 0)),
    ((3, 0), (8, 0.2), (10, 0.6), (12, 0.7), (13.3, 1.2), (15, 0.5), (18, 0.6), (19.5, 1.2), (21, 1),
     (22.5, 0.4), (24, 0), (27, 0)),
)  # fmt: skip
_WASHING_ONESELF: ByDayType = (
    ((3, 0), (4.8, 0.3), (6.2, 2), (7.5, 1.2), (9, 0.5), (12, 0.2), (17, 0.4), (19, 0.8), (21, 0.9),
     (23, 0.3), (25, 0), (27, 0)),
    ((3, 0), (6, 0.2), (8, 1), (9.5, 1.4), (11, 0.8), (14, 0.3), (17, 0.8), (19, 0.9), (21, 0.6), (23, 0.3),
     (25, 0), (27, 0)),
    ((3, 0), (6, 0.2), (8.5, 1), (10, 1.4), (11.5, 0.7), (14, 0.3), (17, 0.6), (19, 0.9), (21, 0.8),
     (23, 0.2), (25, 0), (27, 0)),
)  # fmt: skip
_LEISURE: ByDayType = (
    ((3, 0), (7, 0.1), (10, 0.3), (15, 0.5), (17, 0.8), (19, 1.3), (20.5, 1.4), (22, 0.6), (23.5, 0.15),
     (25, 0), (27, 0)),
    ((3, 0), (8, 0.1), (10, 0.4), (15, 0.7), (17, 0.9), (19, 1.2), (20.5, 1.2), (22, 0.7), (23.5, 0.25),
     (25, 0), (27, 0)),
    ((3, 0), (8, 0.1), (10, 0.4), (15, 0.8), (17, 1), (19, 1.2), (20.5, 1.2), (22, 0.5), (23.5, 0.1), (25, 0), (27, 0)),
)  # fmt: skip


class Appliance(msgspec.Struct, frozen=True):
    """Uses a day are `per_day + per_person * people`, times a factor of the day type and `1 + season * winter`; no more
    than `uses_max`. Full power is drawn once for each home from `watts`, and grows by `watts_person` of itself for each
    person beyond two; `minutes` are drawn at each use. It does not run beside the one named in `not_beside`.
    """

    name: str
    owned: float
    per_day: float
    per_person: float
    uses_max: int
    watts: tuple[int, int]
    minutes: tuple[int, int]
    rhythm: ByDayType
    by_day_type: tuple[float, float, float] = (1.0, 1.0, 1.0)
    winter: float = 0.0
    watts_person: float = 0.0
    pulses: Pulses = _STEADY
    not_beside: str = ""


APPLIANCES = (
    Appliance("kettle", 0.9, 1.2, 0.7, 6, (1800, 2200), (2, 4), _DRINKS, (0.95, 1.1, 1.15)),
    Appliance("toaster", 0.85, 0.3, 0.2, 2, (700, 1000), (3, 8), _BREAKFAST),
    Appliance("microwave", 0.75, 0.4, 0.2, 2, (900, 1300), (2, 6), _LUNCH),
    Appliance("hob at noon", 0.97, 0.3, 0.07, 1, (1000, 1500), (15, 40), _LUNCH, (0.7, 1.5, 2.0), 0.1, 0.08, _PLATE),
    Appliance("hob at night", 0.97, 0.5, 0.08, 1, (1000, 1500), (15, 45), _DINNER, (1, 0.95, 0.9), 0.12, 0.08, _PLATE),
    Appliance("oven at noon", 0.9, 0.04, 0.03, 1, (1500, 2000), (35, 70), _LUNCH, (0.5, 1.8, 3.6), 0.15, 0.04, _OVEN),
    Appliance("oven at night", 0.9, 0.12, 0.05, 1, (1500, 2000), (30, 65), _DINNER, (1, 1.1, 1), 0.2, 0.04, _OVEN),
    Appliance("washing machine", 0.95, 0.12, 0.13, 2, (1750, 2050), (70, 120), _CHORES, (0.9, 1.5, 1), 0, 0, _WASH),
    Appliance(
        "dryer",
        0.4,
        0.03,
        0.12,
        1,
        (500, 1300),
        (60, 110),
        _CHORES,
        (0.9, 1.4, 1.1),
        0.35,
        0,
        _DRYER,
        "washing machine",
    ),
    Appliance(
        "dishwasher",
        0.7,
        0.2,
        0.14,
        2,
        (1700, 2000),
        (75, 130),
        _AFTER_MEALS,
        (0.95, 1.1, 1.25),
        0,
        0,
        _DISHES,
        "washing machine",
    ),
    Appliance("vacuum cleaner", 0.9, 0.15, 0.05, 1, (500, 900), (8, 30), _CHORES, (0.9, 1.8, 0.7)),
    Appliance("hair dryer", 0.7, 0.05, 0.22, 3, (1000, 1500), (3, 8), _WASHING_ONESELF),
    Appliance("iron", 0.6, 0.05, 0.06, 1, (1100, 1500), (15, 45), _CHORES, (1, 1.2, 0.9), 0, 0, _IRON),
    Appliance("electric shower", 0.02, 0.1, 0.5, 3, (5000, 7000), (4, 7), _WASHING_ONESELF, (1, 1, 1), 0.1),
    Appliance("water heater", 0.14, 0.6, 0.8, 4, (1000, 1400), (25, 60), _WASHING_ONESELF, (1, 1.05, 1.05), 0.12),
    Appliance("television", 0.95, 0.9, 0.15, 2, (60, 160), (60, 210), _LEISURE, (1, 1, 1.1), 0.12),
    Appliance("computer", 0.8, 0.3, 0.25, 3, (60, 280), (40, 240), _LEISURE, (1, 1.1, 1.1), 0.05),
)
