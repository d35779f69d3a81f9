"""What distinguishes one home from another, drawn once for each block of homes: who lives there and what they own.

Arrays run over the homes of the block; those of people run over people, each home's beside each other.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

from ringmain.simulator.chance import Chance, Floats
from ringmain.simulator.household.appliances import APPLIANCES

HOMES = 256
"""Homes of a block: enough that numpy's cost per call no longer counts, few enough that a day is below a megabyte."""

_TRAITS = 1
"""First part of the key of these numbers; the days of a block have another one."""

_PEOPLE_SHARES = np.cumsum((0.31, 0.37, 0.16, 0.12, 0.04))
"""Homes with one, two, ... five people, about as in a European town."""

_STAYS_AT_HOME = 0.4
"""Share of people who do not go out to work or school."""

SHIFT_STEPS_MAX = 9
"""How much earlier or later than most a home may live: an hour and a half."""


class Homes(msgspec.Struct, frozen=True, eq=False):
    """One block. Powers are in watts, times in minutes; `uses` is a factor on how often appliances run."""

    number: int
    people: NDArray[np.int64]
    first_person: NDArray[np.int64]
    person_class: NDArray[np.int64]
    uses: Floats
    always_on_w: Floats
    light_w: Floats
    gadgets_w: Floats
    pump_w: Floats
    cold_w: NDArray[np.int64]
    cold_period: Floats
    cold_duty: Floats
    appliance_w: NDArray[np.int64]
    pv_w: Floats
    pv_noon_shift: NDArray[np.int64]
    initial_wh: NDArray[np.int64]
    initial_export_wh: NDArray[np.int64]


def between(low: float, high: float, chance: Floats) -> Floats:
    """Chance in [0, 1) stretched to [low, high)."""
    return low + (high - low) * chance


def homes_of(seed: int, block: int, pv_share: float) -> Homes:
    """The homes of a block. Which of them have panels grows with `pv_share` and changes nothing else of any."""
    chance = Chance(seed, _TRAITS, block)
    people = 1 + np.searchsorted(_PEOPLE_SHARES[:-1], chance.uniform(HOMES), side="right")
    shift = np.clip(np.rint(chance.normal(HOMES) * 3.5), -SHIFT_STEPS_MAX, SHIFT_STEPS_MAX).astype(np.int64)
    intensity = np.clip(np.exp(0.15 * chance.normal(HOMES)), 0.85, 1.6)
    stays = chance.uniform(HOMES, 5) < _STAYS_AT_HOME
    present = np.arange(5) < people[:, None]
    person_class = (stays * (2 * SHIFT_STEPS_MAX + 1) + shift[:, None] + SHIFT_STEPS_MAX)[present]
    always_on_w = np.clip(108 * np.exp(0.37 * chance.normal(HOMES)) * (0.96 + 0.05 * people) * intensity**0.5, 50, 330)
    light_w = between(70, 190, chance.uniform(HOMES)) * (0.75 + 0.12 * people) * intensity
    gadgets_w = between(105, 190, chance.uniform(HOMES)) * (1.03 + 0.06 * people) * intensity
    pump_w = np.where(chance.uniform(HOMES) < 0.6, between(25, 75, chance.uniform(HOMES)), 0.0)
    has_freezer = chance.uniform(HOMES) < 0.5
    cold_w = np.rint(between(60, 115, chance.uniform(2, HOMES))).astype(np.int64)
    cold_w[1] *= has_freezer
    cold_period = between(38, 75, chance.uniform(2, HOMES))
    cold_duty = between(0.24, 0.42, chance.uniform(2, HOMES))
    appliance_w = _appliances(chance, people)
    panels, size, aspect = chance.uniform(3, HOMES)
    register, export_register = chance.uniform(2, HOMES)
    has_panels = panels < pv_share
    return Homes(
        number=block,
        people=people,
        first_person=np.cumsum(people) - people,
        person_class=person_class,
        uses=intensity,
        always_on_w=always_on_w,
        light_w=light_w,
        gadgets_w=gadgets_w,
        pump_w=pump_w,
        cold_w=cold_w,
        cold_period=cold_period,
        cold_duty=cold_duty,
        appliance_w=appliance_w,
        pv_w=np.where(has_panels, np.rint(between(2500, 9500, size)), 0.0),
        pv_noon_shift=np.rint(between(-70, 70, aspect)).astype(np.int64),
        initial_wh=(register * 40_000_000).astype(np.int64),
        initial_export_wh=np.where(has_panels, export_register * 15_000_000, 0).astype(np.int64),
    )


def _appliances(chance: Chance, people: NDArray[np.int64]) -> NDArray[np.int64]:
    """Full power of each appliance in each home; 0 where a home has none."""
    owned, size = chance.uniform(2, len(APPLIANCES), HOMES)
    watts = np.zeros((len(APPLIANCES), HOMES))
    for row, kind in enumerate(APPLIANCES):
        grown = between(*kind.watts, size[row]) * (1 + kind.watts_person * (people - 2))
        watts[row] = np.where(owned[row] < kind.owned, grown, 0.0)
    return np.rint(watts).astype(np.int64)
