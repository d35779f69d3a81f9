"""Meters over registers: clocks that drift, whole Wh, and the readings of any interval at any time, asked in any order.

A reading is stamped with the start of its interval, by the meter's own clock. `energy_wh` is what went through in the
interval, `import_wh` what the register stood at when it began: so the next register less this one is exactly
`energy_wh`, for ever. It must never round twice: Wh are made of the register alone.
"""

from collections import OrderedDict

import msgspec
import numpy as np
from numpy.typing import NDArray

from ringmain.model.time import DAY_MS
from ringmain.simulator.chance import Chance, Floats
from ringmain.simulator.registers import MJ_PER_WH, Counts, Energy

_CLOCKS = 7
"""First part of the key of the clocks; what blocks of homes use is below it."""

CLOCK_SET_EVERY_MS = DAY_MS
"""The head end sets clocks every midnight (UTC), as it is usual; in between they drift."""

DRIFT_PPM_MAX = 500.0
"""Some 43 s a day: whoever drifts more has no crystal."""

PAGE_INTERVALS = 32
"""Intervals that are worked out together, less where they would be more than a day: numpy's overhead is shared."""

PAGES_KEPT = 6
"""For meters of one block that stand at different times, as after an outage; 0.4 MB each."""


class Reading(msgspec.Struct, frozen=True, gc=False):
    """One interval of one meter. Energies are whole Wh, `power_w` the mean import power in the interval."""

    start_ms: int
    energy_wh: int
    import_wh: int
    export_wh: int
    power_w: int
    voltage_v: float


class _Page(msgspec.Struct, frozen=True, eq=False):
    energy_wh: Counts
    import_wh: Counts
    export_wh: Counts
    power_w: Counts


class MeterBank:
    """The meters of the rows of `energy`, which all read every `every_ms`.

    Intervals are counted: number `i` starts when a meter's clock shows `i * every_ms`.
    """

    def __init__(self, energy: Energy, seed: int, block: int, every_ms: int, drift_ppm: float = 0.0) -> None:
        if every_ms <= 0 or DAY_MS % every_ms:
            raise ValueError(f"an interval of {every_ms} ms does not divide a day")
        self.every_ms = every_ms
        self.rows = energy.rows
        self.exporting: list[bool] = energy.exporting.tolist()
        self._energy = energy
        chance = Chance(seed, _CLOCKS, block)
        drawn = chance.normal(energy.rows)
        self.drift: Floats = np.clip(drawn * drift_ppm, -DRIFT_PPM_MAX, DRIFT_PPM_MAX) * 1e-6
        self._drift: list[float] = self.drift.tolist()
        self._volts: list[float] = (229 + 8 * chance.uniform(energy.rows)).tolist()
        self._page_intervals = min(PAGE_INTERVALS, DAY_MS // every_ms)
        self._pages: OrderedDict[int, _Page] = OrderedDict()

    def true_ms(self, row: int, number: int) -> int:
        """When an interval really starts: the clock was right at midnight, and is set right at the next one, at which
        what a slow one has not shown yet starts too.
        """
        set_ms, shown_ms = divmod(number * self.every_ms, CLOCK_SET_EVERY_MS)
        return set_ms * CLOCK_SET_EVERY_MS + min(int(shown_ms / (1.0 + self._drift[row])), CLOCK_SET_EVERY_MS)

    def reading(self, row: int, number: int) -> Reading:
        """The reading of an interval. Before registers began to count they stand still."""
        index, within = divmod(number, self._page_intervals)
        page = self._pages.get(index) or self._turn(index)
        power = page.power_w.item(row, within)
        return Reading(
            number * self.every_ms,
            page.energy_wh.item(row, within),
            page.import_wh.item(row, within),
            page.export_wh.item(row, within),
            power,
            # A cable of 0.25 ohm to the transformer, and what the others of the street do to it.
            round(self._volts[row] - power / 920 + (number * 7919 + row * 104_729) % 31 / 10, 1),
        )

    def prefetch(self, now_ms: int) -> None:
        """Work out the readings that will be due soon after `now_ms`, unless they are."""
        index = (now_ms // self.every_ms + 1) // self._page_intervals
        if index not in self._pages:
            self._turn(index)

    def _turn(self, index: int) -> _Page:
        first = index * self._page_intervals
        bounds = self._bounds(np.arange(first, first + self._page_intervals + 1, dtype=np.int64))
        imported, exported = self._energy.counted_mj(bounds)
        initial_in, initial_out = self._energy.initial_wh
        register = imported // MJ_PER_WH + initial_in[:, None]
        lasted = np.maximum(np.diff(bounds, axis=1), 1)
        page = _Page(
            energy_wh=np.diff(register, axis=1),
            import_wh=register[:, :-1],
            export_wh=(exported // MJ_PER_WH + initial_out[:, None])[:, :-1],
            power_w=(np.diff(imported, axis=1) + lasted // 2) // lasted,
        )
        self._pages[index] = page
        if len(self._pages) > PAGES_KEPT:
            self._pages.popitem(last=False)
        return page

    def _bounds(self, numbers: Counts) -> Counts:
        """`true_ms` of all rows for these intervals."""
        set_ms, shown_ms = np.divmod(numbers * self.every_ms, CLOCK_SET_EVERY_MS)
        passed: NDArray[np.int64] = (shown_ms / (1.0 + self.drift[:, None])).astype(np.int64)
        return set_ms * CLOCK_SET_EVERY_MS + np.minimum(passed, CLOCK_SET_EVERY_MS)
