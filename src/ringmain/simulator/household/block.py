"""A block of 256 homes, a day at a time: net power in whole watts for each minute, positive where it is drawn.

Everything is a pure function of seed, block, place and day. It must never depend on which day was asked for before.
"""

import numpy as np
from numpy.typing import NDArray

from ringmain.simulator.chance import Chance, Floats
from ringmain.simulator.household.activity import Chances, Uses, active_people, chances_of, uses_of
from ringmain.simulator.household.days import MINUTES, STEP_MINUTES, STEPS, ModelDay, Place, model_day
from ringmain.simulator.household.sun import generated_w
from ringmain.simulator.household.traits import HOMES, Homes, homes_of

FUSE_W = 14_490
"""63 A at 230 V: no home ever draws more."""

_DAYS, _AWAY = 2, 3
"""First parts of the keys of what happens in a day, and of who is away in a week."""

_AWAY_SHARE, _AWAY_SUMMER = 0.035, 0.05
"""Homes that are empty for a given week; more of them in summer."""

_DARK, _LIGHT = -0.1, 0.25
"""Sine of the sun's height below which all lights are on, and above which none is."""

_LIT_BY_DAY = 0.1
"""Share of the lights that are on in bright day."""

_GADGETS_WINTER = 0.1
"""Evenings in winter are spent inside, those in summer outside."""

_PUMP_SEASON = 0.1
"""Heating runs while the season is above it."""

_MORE_PEOPLE = np.array([0.0, 1.0, 1.45, 1.8, 2.05, 2.25])
"""Light and gadgets of so many active people, relative to one: they share rooms."""

_COLD_CYCLES = 48
"""Cycles of a compressor in a day at the very most: the shortest period is half an hour."""

_CHANGE = 1 << 20
"""Above any change of power in watts, twice."""

Watts = NDArray[np.int16]


class HouseholdBlock:
    """Homes `number * 256` to `number * 256 + 255` of a seed."""

    def __init__(self, seed: int, number: int, place: Place, pv_share: float = 0.0) -> None:
        self.place = place
        self.homes = homes_of(seed, number, pv_share)
        self._seed = seed
        self._chances: dict[int, Chances] = {}

    def net_w(self, number: int) -> Watts:
        """(homes, minutes of that day): mean power of each minute, load less own generation."""
        day = model_day(self.place, number)
        net = self._load_w(day)
        generated = generated_w(self._seed, self.homes, day)
        if generated is not None:
            net -= generated
        net16 = net.astype(np.int16)
        return net16 if day.wall is None else np.ascontiguousarray(net16[:, day.wall])

    def _load_w(self, day: ModelDay) -> NDArray[np.int32]:
        homes = self.homes
        chance = Chance(self._seed, _DAYS, homes.number, day.number)
        chances = self._chances.get(day.day_type)
        if chances is None:
            chances = self._chances[day.day_type] = chances_of(homes, day.day_type)
        active = active_people(homes, chances, chance.words(STEPS, len(homes.person_class)))
        active[self._away(day)] = 0
        steps_w = np.rint(_steady_w(homes, day, active)).astype(np.int32)
        uses = uses_of(homes, chances, day.day_type, day.season, active, chance)
        load = _drawn((uses, _cold(homes, day, chance)))
        load.reshape(HOMES, STEPS, STEP_MINUTES)[...] += steps_w[:, :, None]
        return np.minimum(load, FUSE_W, out=load)

    def _away(self, day: ModelDay) -> NDArray[np.bool_]:
        """Homes that stand empty this week, from a Saturday on (1970 began with a Thursday)."""
        week = (day.number + 5) // 7
        share = _AWAY_SHARE - _AWAY_SUMMER * min(day.season, 0.0)
        return Chance(self._seed, _AWAY, self.homes.number, week).uniform(HOMES) < share


def _drawn(parts: tuple[Uses, ...]) -> NDArray[np.int32]:
    """(homes, minutes) in watts: changes at both ends of every pulse, in order of time, added up and drawn out. Pulses
    end with the day.
    """
    ends = []
    for uses in parts:
        ends.append((uses.home * MINUTES + uses.start, uses.watts, uses.start))
        ends.append((uses.home * MINUTES + uses.start + uses.minutes, -uses.watts, uses.start + uses.minutes))
    # Minute and change in one number: sorting whole numbers is many times faster than sorting by a key.
    packed = np.concatenate([(place * _CHANGE + watts)[at < MINUTES] for place, watts, at in ends])
    packed = np.concatenate((packed, np.arange(HOMES) * MINUTES * _CHANGE))
    packed.sort()
    place = (packed + _CHANGE // 2) // _CHANGE
    level = np.cumsum(packed - place * _CHANGE)
    # What still runs when the day ends has not been taken away: each home begins at nothing.
    first = np.searchsorted(place, np.arange(HOMES) * MINUTES, side="left")
    level -= np.repeat(np.append(0, level)[first], np.diff(np.append(first, len(place))))
    lasts = np.diff(np.append(place, HOMES * MINUTES))
    return np.repeat(level.astype(np.int32), lasts).reshape(HOMES, MINUTES)


def _steady_w(homes: Homes, day: ModelDay, active: NDArray[np.int8]) -> Floats:
    """What follows from the state of a home without anyone pressing a button: (homes, steps)."""
    sun = day.sun.reshape(STEPS, STEP_MINUTES).mean(axis=1)
    dark = np.clip((_LIGHT - sun) / (_LIGHT - _DARK), _LIT_BY_DAY, 1.0)
    pump = homes.pump_w * (day.season > _PUMP_SEASON)
    more = _MORE_PEOPLE[active]
    steady = more * (homes.light_w[:, None] * dark + homes.gadgets_w[:, None] * (1 + _GADGETS_WINTER * day.season))
    steady += (homes.always_on_w + pump)[:, None]
    return np.asarray(steady, dtype=np.float64)


def _cold(homes: Homes, day: ModelDay, chance: Chance) -> Uses:
    """Fridge and freezer: a cycle each period, each a little early or late, longer in summer."""
    kind, home = np.nonzero(homes.cold_w)
    period = homes.cold_period[kind, home][:, None]
    late = chance.uniform(2, HOMES, _COLD_CYCLES + 1)[kind, home]
    # The first cycle began the day before, anywhere within its period.
    start = ((np.arange(_COLD_CYCLES) - late[:, :1] + 0.3 * late[:, 1:]) * period).astype(np.int64)
    duty = homes.cold_duty[kind, home] * (1 - 0.15 * day.season)
    minutes = np.rint(period * duty[:, None] * (0.9 + 0.2 * late[:, :0:-1])).astype(np.int64)
    minutes += np.minimum(start, 0)
    start = np.maximum(start, 0)
    inside = (start < MINUTES) & (minutes > 0)
    shape = inside.shape
    return Uses(
        home=np.broadcast_to(home[:, None], shape)[inside],
        start=start[inside],
        minutes=minutes[inside],
        watts=np.broadcast_to(homes.cold_w[kind, home][:, None], shape)[inside],
    )
