"""Registers of simulated homes: energy counted since a fixed day, exactly, at any instant.

Power is a whole number of watts for a minute and time a whole number of milliseconds, so that energy is a whole
number of millijoules (watts times milliseconds) and nothing is ever rounded before the meter makes Wh of it. What a
register stands at follows from seed, home and instant alone; it must never depend on what was asked before.
"""

from collections import OrderedDict
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ringmain.model.time import MINUTE_MS
from ringmain.simulator.household.block import HouseholdBlock, Watts
from ringmain.simulator.household.days import day_number, day_start_ms
from ringmain.simulator.household.traits import HOMES

Counts = NDArray[np.int64]

MJ_PER_WH = 3_600_000
"""Millijoules of a watt-hour."""

DAYS_KEPT = 2
"""Days of minutes in memory, 0.7 MB each for 256 homes: readings of one time touch two where a day ends."""

SUMS_KEPT = 400
"""Days whose register at their start is kept, 4 KB each: a year to look back without counting again."""


class Energy(Protocol):
    """What meters count: rows of homes, each with one import and one export register."""

    @property
    def rows(self) -> int:
        """How many homes."""
        ...

    @property
    def initial_wh(self) -> tuple[Counts, Counts]:
        """What import and export registers stood at when counting began, by row."""
        ...

    @property
    def exporting(self) -> NDArray[np.bool_]:
        """Which rows have an export register."""
        ...

    def counted_mj(self, at_ms: Counts) -> tuple[Counts, Counts]:
        """Import and export since counting began, (rows, instants), at instants (rows, instants); before that, none."""
        ...


class HouseholdEnergy:
    """The registers of one block of homes. Counting began with the day (at three, local time) that holds `from_ms`."""

    def __init__(self, block: HouseholdBlock, from_ms: int) -> None:
        self.rows = HOMES
        homes = block.homes
        self.initial_wh = (homes.initial_wh, homes.initial_export_wh)
        self.exporting = homes.pv_w > 0
        self._block = block
        self._place = block.place
        self._first_day = day_number(block.place, from_ms)
        self._days: OrderedDict[int, Watts] = OrderedDict()
        none = np.zeros(HOMES, dtype=np.int64)
        self._sums: OrderedDict[int, tuple[Counts, Counts]] = OrderedDict({self._first_day: (none, none)})

    def counted_mj(self, at_ms: Counts) -> tuple[Counts, Counts]:
        """See `Energy`. Memory and time grow with the span of `at_ms`: ask for hours, not for years."""
        at_ms = np.maximum(at_ms, day_start_ms(self._place, self._first_day))
        imported, exported = np.zeros_like(at_ms), np.zeros_like(at_ms)
        first, last = day_number(self._place, int(at_ms.min())), day_number(self._place, int(at_ms.max()))
        for number in range(first, last + 1):
            start_ms = day_start_ms(self._place, number)
            inside = (at_ms >= start_ms) & (at_ms < day_start_ms(self._place, number + 1))
            if inside.any():
                in_mj, out_mj = self._within(number, np.where(inside, at_ms - start_ms, -1))
                np.copyto(imported, in_mj, where=inside)
                np.copyto(exported, out_mj, where=inside)
        return imported, exported

    def prepare(self, at_ms: int) -> int:
        """Count one more day on the way to `at_ms`; returns how many are left. For a start that can be watched."""
        number = day_number(self._place, at_ms)
        behind = next(reversed(self._sums))
        if behind < number:
            self._start_of(behind + 1)
        return max(0, number - behind - 1)

    def _within(self, number: int, elapsed_ms: Counts) -> tuple[Counts, Counts]:
        """Registers at times of one day; -1 marks those of other days, whose answer is not used."""
        net = self._day(number)
        minutes = elapsed_ms // MINUTE_MS
        low = int(minutes[elapsed_ms >= 0].min())
        window = net[:, low : int(minutes.max()) + 1].astype(np.int64)
        minute = np.maximum(minutes - low, 0)
        part_ms = elapsed_ms - (minute + low) * MINUTE_MS
        row = np.arange(HOMES)[:, None]
        registers = []
        for base, part, sign in zip(self._start_of(number), _parts(net[:, :low]), (1, -1), strict=True):
            watts = np.maximum(sign * window, 0)
            before = np.cumsum(watts, axis=1) - watts + (base + part)[:, None]
            registers.append(before[row, minute] * MINUTE_MS + watts[row, minute] * part_ms)
        return registers[0], registers[1]

    def _start_of(self, number: int) -> tuple[Counts, Counts]:
        """Import and export in watt minutes at the start of a day."""
        found = self._sums.get(number)
        if found is not None:
            return found
        known = max((each for each in self._sums if each < number), default=None)
        if known is None:
            known = self._first_day
            none = np.zeros(HOMES, dtype=np.int64)
            self._sums = OrderedDict({known: (none, none)})
        imported, exported = self._sums[known]
        for each in range(known, number):
            day_in, day_out = _parts(self._day(each))
            imported, exported = imported + day_in, exported + day_out
            self._sums[each + 1] = (imported, exported)
            if len(self._sums) > SUMS_KEPT:
                self._sums.popitem(last=False)
        return imported, exported

    def _day(self, number: int) -> Watts:
        net = self._days.get(number)
        if net is None:
            net = self._days[number] = self._block.net_w(number)
            if len(self._days) > DAYS_KEPT:
                self._days.popitem(last=False)
        else:
            self._days.move_to_end(number)
        return net


def _parts(net: Watts) -> tuple[Counts, Counts]:
    """Sums, by row, of what is drawn and of what is fed in."""
    drawn = np.maximum(net, 0).sum(axis=1, dtype=np.int64)
    return drawn, drawn - net.sum(axis=1, dtype=np.int64)
