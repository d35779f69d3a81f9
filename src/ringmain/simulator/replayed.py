"""Registers of homes that replay an interval file: its energy, spread evenly over each interval, again and again.

The file is repeated after a whole number of weeks (of years of 52 weeks, where it is long enough), so that a Sunday
stays a Sunday; each home but the first is further ahead in it by weeks. Whole numbers throughout: on the file's own
intervals the register differs by the file's own Wh. It must never invent energy for a gap.
"""

from collections.abc import Sequence

import numpy as np

from ringmain.model.time import DAY_MS
from ringmain.simulator.registers import MJ_PER_WH, Counts

WEEK_MS = 7 * DAY_MS
YEAR_MS = 52 * WEEK_MS

ENERGY_WH_MAX = 1_000_000
"""In one interval; with intervals of up to half an hour, products of energy and time fit 64 bits."""

INTERVAL_MS_MAX = 1_800_000 * 2


class UnfitFile(ValueError):
    """The intervals can not be replayed; the text says why."""


class ReplayedEnergy:
    """`rows` homes replaying intervals of (start in ms, Wh). A repeated start counts once, as it first came."""

    def __init__(self, starts_ms: Sequence[int], energy_wh: Sequence[int], rows: int, from_ms: int) -> None:
        if len(starts_ms) < 2:
            raise UnfitFile("it holds fewer than two intervals")
        starts, first = np.unique(np.array(starts_ms, dtype=np.int64), return_index=True)
        energy = np.array(energy_wh, dtype=np.int64)[first]
        steps = np.diff(starts)
        lengths, often = np.unique(steps, return_counts=True)
        length = int(lengths[often.argmax()])
        if length > INTERVAL_MS_MAX or energy.max() > ENERGY_WH_MAX or energy.min() < 0:
            raise UnfitFile(f"intervals of more than an hour, or more than {ENERGY_WH_MAX} Wh in one, are not replayed")
        span = int(starts[-1]) + length - int(starts[0])
        self.cycle_ms = next((span // unit * unit for unit in (YEAR_MS, WEEK_MS, DAY_MS) if span >= unit), 0)
        if not self.cycle_ms:
            raise UnfitFile("it covers less than a day")
        self.rows = rows
        none = np.zeros(rows, dtype=np.int64)
        self.initial_wh = (none, none)
        self.exporting = np.zeros(rows, dtype=np.bool_)
        self._origin_ms = int(starts[0])
        ends = np.minimum(starts + length, np.append(starts[1:], starts[-1] + length))
        self._knots_ms = np.stack((starts, ends), axis=1).ravel() - self._origin_ms
        sums = np.cumsum(energy) * MJ_PER_WH
        self._knots_mj = np.stack((sums - energy * MJ_PER_WH, sums), axis=1).ravel()
        ahead = np.arange(rows, dtype=np.int64) * WEEK_MS
        self._ahead_ms = (ahead % self.cycle_ms if self.cycle_ms >= WEEK_MS else ahead * 0)[:, None]
        self._cycle_mj = int(self._within(np.array([[self.cycle_ms]]))[0, 0])
        self._begin_mj = self._total(np.full((rows, 1), from_ms, dtype=np.int64))
        self._from_ms = from_ms

    def counted_mj(self, at_ms: Counts) -> tuple[Counts, Counts]:
        """See `registers.Energy`; there is no export."""
        return self._total(np.maximum(at_ms, self._from_ms)) - self._begin_mj, np.zeros_like(at_ms)

    def _total(self, at_ms: Counts) -> Counts:
        turns, within = np.divmod(at_ms - self._origin_ms + self._ahead_ms, self.cycle_ms)
        return turns * self._cycle_mj + self._within(within)

    def _within(self, elapsed_ms: Counts) -> Counts:
        """Energy from the file's begin to so far in it."""
        knot = np.clip(np.searchsorted(self._knots_ms, elapsed_ms, side="right") - 1, 0, len(self._knots_ms) - 2)
        begin, end = self._knots_ms[knot], self._knots_ms[knot + 1]
        low, high = self._knots_mj[knot], self._knots_mj[knot + 1]
        return np.asarray(low + (high - low) * (elapsed_ms - begin) // np.maximum(end - begin, 1), dtype=np.int64)
