"""A day of the people of a block: how many are at home and awake in each ten minutes, and which appliances they use.

Occupancy is a two-state Markov chain for each person; uses of appliances are drawn at times of their rhythm and take
place where somebody is active then. Chances are scaled so that the expected number of uses is the appliance's own.
"""

from functools import cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from ringmain.simulator.chance import Chance, Floats, Words
from ringmain.simulator.household.appliances import APPLIANCES
from ringmain.simulator.household.days import DAY_TYPES, STEP_MINUTES, STEPS
from ringmain.simulator.household.rhythm import PEOPLE, at_steps, transitions
from ringmain.simulator.household.traits import HOMES, SHIFT_STEPS_MAX, Homes

_SHIFTS = range(-SHIFT_STEPS_MAX, SHIFT_STEPS_MAX + 1)
_WORD = 65_536

SLOTS = tuple(row for row, kind in enumerate(APPLIANCES) for _ in range(kind.uses_max))
"""The appliance of each use that a day may hold."""

_MARKS = 4096
"""Entries of a table of times: fine enough that each step's part is right to a quarter of a thousandth."""

_PULSES_MAX = max(len(kind.pulses) for kind in APPLIANCES)
_CHANCE_MAX = 0.95
"""Of one slot: also the most regular of people leave something out once in a while."""


class Chances(msgspec.Struct, frozen=True, eq=False):
    """What a block's people do on one type of day: thresholds of the chain by step and class of person, and the chance
    of each slot in each home.
    """

    begin: NDArray[np.uint32]
    stay: NDArray[np.uint32]
    slots: Floats


@cache
def _shares(day_type: int) -> Floats:
    """Share of people who are active, by step, for each class: first those who go out, by shift, then the others."""
    rows = []
    for kind in PEOPLE:
        usual = at_steps(kind[day_type])
        rows += [usual[np.clip(np.arange(STEPS) - shift, 0, STEPS - 1)] for shift in _SHIFTS]
    return np.array(rows).T


@cache
def _thresholds(day_type: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    pairs = [transitions(share) for share in _shares(day_type).T]
    begin, stay = (np.rint(np.array(each).T * _WORD).astype(np.uint32) for each in zip(*pairs, strict=True))
    return begin, stay


@cache
def _times(day_type: int) -> tuple[Floats, NDArray[np.uint8]]:
    """For each slot the weights of the steps, and a table of steps in which each stands as often as it weighs."""
    weights = np.array([at_steps(APPLIANCES[row].rhythm[day_type]) for row in SLOTS])
    weights /= weights.sum(axis=1, keepdims=True)
    marks = (np.arange(_MARKS) + 0.5) / _MARKS
    table = [np.searchsorted(each, marks, side="right") for each in np.cumsum(weights, axis=1)]
    return weights, np.minimum(table, STEPS - 1).astype(np.uint8)


def chances_of(homes: Homes, day_type: int) -> Chances:
    """What follows from the traits of a block on this type of day."""
    assert 0 <= day_type < len(DAY_TYPES)
    idle = 1.0 - _shares(day_type)[:, homes.person_class]
    nobody = np.multiply.reduceat(idle, homes.first_person, axis=1)
    met = _times(day_type)[0] @ (1.0 - nobody)
    slots = np.zeros((len(SLOTS), HOMES))
    for slot, row in enumerate(SLOTS):
        kind = APPLIANCES[row]
        wanted = (kind.per_day + kind.per_person * homes.people) * kind.by_day_type[day_type] * homes.uses
        slots[slot] = np.where(homes.appliance_w[row] > 0, wanted / kind.uses_max / met[slot], 0.0)
    begin, stay = _thresholds(day_type)
    return Chances(begin, stay, slots)


def active_people(homes: Homes, chances: Chances, words: Words) -> NDArray[np.int8]:
    """People who are active, (homes, steps), from a word for each step and person."""
    begins, stays = (words < each[:, homes.person_class] for each in (chances.begin, chances.stay))
    states = np.empty(begins.shape, dtype=np.int8)
    active = begins[0]
    for step in range(STEPS):
        active = np.where(active, stays[step], begins[step])
        states[step] = active
    return np.ascontiguousarray(np.add.reduceat(states, homes.first_person, axis=1).T)


class Uses(msgspec.Struct, frozen=True, eq=False):
    """Pulses of power: home, first minute, length in minutes, watts."""

    home: NDArray[np.int64]
    start: NDArray[np.int64]
    minutes: NDArray[np.int64]
    watts: NDArray[np.int64]


def uses_of(
    homes: Homes, chances: Chances, day_type: int, season: float, active: NDArray[np.int8], chance: Chance
) -> Uses:
    """What a day's people switch on."""
    wish, when, within, length = chance.uniform(4, len(SLOTS), HOMES)
    winter = np.array([1 + APPLIANCES[row].winter * season for row in SLOTS])
    slot, home = np.nonzero(wish < np.minimum(chances.slots * winter[:, None], _CHANCE_MAX))
    step = _times(day_type)[1][slot, (when[slot, home] * _MARKS).astype(np.int64)].astype(np.int64)
    happens = active[home, step] > 0
    slot, home, step = slot[happens], home[happens], step[happens]
    kind = _ROW[slot]
    start = step * STEP_MINUTES + (within[slot, home] * STEP_MINUTES).astype(np.int64)
    minutes = _SHORTEST[kind] + (length[slot, home] * (_LONGEST - _SHORTEST + 1)[kind]).astype(np.int64)
    alone = _one_after_another(_GROUP[kind], home, start, start + minutes)
    kind, home, start, minutes = kind[alone], home[alone], start[alone], minutes[alone]
    return _pulses(kind, home, start, minutes, homes.appliance_w[kind, home])


def _one_after_another(
    group: NDArray[np.int64], home: NDArray[np.int64], start: NDArray[np.int64], end: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Those uses that begin when the one before them, of the same group in the same home, has ended: an appliance runs
    once at a time, and nobody does the dishes beside the laundry.
    """
    order = np.lexsort((start, group, home))
    place = (home * len(APPLIANCES) + group)[order]
    collides = np.zeros(len(order), dtype=np.bool_)
    collides[1:] = (place[1:] == place[:-1]) & (start[order][1:] < end[order][:-1])
    return order[~collides]


_ROW = np.array(SLOTS)
_NAMES = [kind.name for kind in APPLIANCES]
_GROUP = np.array([_NAMES.index(kind.not_beside or kind.name) for kind in APPLIANCES])
_SHORTEST = np.array([kind.minutes[0] for kind in APPLIANCES])
_LONGEST = np.array([kind.minutes[1] for kind in APPLIANCES])
_PULSES = np.array(
    [[*kind.pulses, *((0.0, 0.0, 0.0),) * (_PULSES_MAX - len(kind.pulses))] for kind in APPLIANCES], dtype=np.float64
)


def _pulses(
    kind: NDArray[np.int64],
    home: NDArray[np.int64],
    start: NDArray[np.int64],
    minutes: NDArray[np.int64],
    watts: NDArray[np.int64],
) -> Uses:
    shape = _PULSES[kind]
    begin = np.rint(shape[:, :, 0] * minutes[:, None]).astype(np.int64)
    end = np.rint(shape[:, :, 1] * minutes[:, None]).astype(np.int64)
    power = np.rint(shape[:, :, 2] * watts[:, None]).astype(np.int64)
    real = (end > begin) & (power > 0)
    return Uses(
        home=np.broadcast_to(home[:, None], real.shape)[real],
        start=(start[:, None] + begin)[real],
        minutes=(end - begin)[real],
        watts=power[real],
    )
