"""Load: what many series come to together, over a grid of equal slots of time.

A street of 200 homes has 3.5 million half hours in a year: whoever draws it wants 17,520 sums, not the readings. The
sums are exact integers; a value that is not one is never added, but told of.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from ringmain.model.ids import DeviceKey
from ringmain.model.time import Instant, Interval


class Share(msgspec.Struct, frozen=True):
    """What one channel of a device adds to the load of a home, for a time: each value from 0 to `most`, times
    `factor`. Values outside are refused. `home` is any number; the shares of one home have the same.
    """

    home: int
    device: DeviceKey
    channel: str
    span: Interval
    factor: int = 1
    most: int = 2**63 - 1


class Grid(msgspec.Struct, frozen=True):
    """`count` slots of `slot_ms` from `start` on. A reading belongs to the slot that holds its stamp."""

    start: Instant
    slot_ms: int
    count: int

    @property
    def span(self) -> Interval:
        """From the start of the first slot to the end of the last one."""
        return Interval(self.start, Instant(self.start + self.slot_ms * self.count))


class Sums(msgspec.Struct, frozen=True):
    """Per slot of the grid the sum over all shares, and how many homes have a value in it. `refused` counts values
    outside the limits of their share. `unsummed` are the places of shares that hold a MEASURED value anywhere: none
    of their values is in the sums.
    """

    totals: Sequence[int]
    homes: Sequence[int]
    refused: int
    unsummed: tuple[int, ...] = ()


class Load(Protocol):
    """Sums over many series, computed where the readings are."""

    async def extents(self, series: Sequence[tuple[DeviceKey, str]]) -> Mapping[tuple[DeviceKey, str], Interval]:
        """From the first stored stamp of each series that has one to right behind the last."""
        ...

    async def sums(self, shares: Sequence[Share], grid: Grid) -> Sums:
        """The sums of EXACT values over the grid, as far as each share's own span goes."""
        ...

    async def revised(self, shares: Sequence[Share], size: str, span: Interval) -> Mapping[int, int]:
        """Starts of the windows of a maintained size that start in `span` and that late data revised, each with how
        many homes' windows they are. A window counts for a share if it reaches into the share's span.
        """
        ...
