"""Windows: aggregation windows kept by the store, with every revision that late data made of them."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ringmain.model.ids import DeviceKey
from ringmain.model.time import Interval
from ringmain.ports.timeseries import Aggregate


class WindowKey(msgspec.Struct, frozen=True, order=True):
    """One window of one channel. `size` is its definition (`1h`, `day`), [start_ms, end_ms) its extent."""

    device: DeviceKey
    channel: str
    size: str
    start_ms: int
    end_ms: int


class WindowRevision(msgspec.Struct, frozen=True):
    """What a window came to when it closed (revision 0) or when late data reopened its sums (1, 2, ...)."""

    key: WindowKey
    revision: int
    aggregate: Aggregate
    closed_ms: int


class WindowPlan(Protocol):
    """Which windows a reading falls into: pure, given to the store when it is composed."""

    def windows(self, device: DeviceKey, at_ms: int) -> Sequence[tuple[str, int, int]]:
        """(size, start_ms, end_ms) of every maintained window that holds `at_ms` for `device`. The answer is the
        same for all instants of one quarter of an hour, the grain of every civil time.
        """
        ...


class Windows(Protocol):
    """The store's side of aggregation. A window that got a reading since it was last settled is *pending*;
    the mark is written in the transaction of the readings, so that no crash can lose a revision.
    """

    async def pending(self) -> Sequence[WindowKey]:
        """All windows with readings that no revision covers yet."""
        ...

    async def settle(self, keys: Sequence[WindowKey], now_ms: int) -> Sequence[WindowRevision]:
        """Compute these windows from the readings, write each as its next revision and clear its mark, in one
        transaction.
        """
        ...

    async def revisions(
        self, device: DeviceKey, channel: str, size: str, span: Interval, *, all_revisions: bool = False
    ) -> Sequence[WindowRevision]:
        """Windows that start in `span`, ascending; the latest revision of each, or all of them."""
        ...

    async def watermarks(self) -> dict[DeviceKey, int]:
        """The greatest stored event time of each device."""
        ...
