"""The newest reading of every series, in memory, in columns.

It answers `latest` and `watermarks`, and it is what makes appending cheap: a reading that is newer than the newest
of its series can be neither duplicate nor conflict, so it is stored without asking the file. It must therefore hold
every series that the file holds, and never more than was committed.
"""

import threading

import msgspec
import numpy as np
from numpy.typing import NDArray

from ringmain.adapters.embedded.timeseries_intake import Bools, Floats, Int64s
from ringmain.model.errors import Failed

NEVER = np.iinfo(np.int64).min

DEVICES_MAX = 1 << 22
"""4,194,304 devices: above it (device, stamp) would no longer pack into one 64-bit sort key. A fleet of that size
belongs to the scale-out home."""

STAMP_BITS = 42
"""`INSTANT_MAX` takes 42 bits, which leaves the 22 of `DEVICES_MAX`."""


def pack(slots: Int64s, stamps: Int64s) -> NDArray[np.uint64]:
    """(device, stamp) as one number that sorts like the pair."""
    return (slots.astype(np.uint64) << np.uint64(STAMP_BITS)) | stamps.astype(np.uint64)


class Devices:
    """Dense numbers (slots) for device keys, so that a column per series can be indexed by them."""

    def __init__(self) -> None:
        self._sorted = np.empty(0, np.int64)
        self._slot_of_sorted = np.empty(0, np.int64)
        self.keys = np.empty(0, np.int64)

    def slots(self, devices: Int64s) -> Int64s:
        """The slot of each device; unknown ones get the next."""
        slots = self.find(devices)
        if slots.size and slots.min() < 0:
            self._learn(np.unique(devices[slots < 0]))
            slots = self.find(devices)
        return slots

    def find(self, devices: Int64s) -> Int64s:
        """The slot of each device, -1 where it is unknown."""
        if not self._sorted.size:
            return np.full(len(devices), -1, np.int64)
        at = np.searchsorted(self._sorted, devices)
        at[at == len(self._sorted)] = 0
        slots: Int64s = np.where(self._sorted[at] == devices, self._slot_of_sorted[at], -1)
        return slots

    def _learn(self, unknown: Int64s) -> None:
        count = len(self.keys)
        if count + len(unknown) > DEVICES_MAX:
            raise Failed(
                "storage_failed",
                f"the embedded time-series store holds at most {DEVICES_MAX} devices; nothing of this batch was stored",
                "move to the scale-out store, or split the fleet over platforms",
            )
        at = np.searchsorted(self._sorted, unknown)
        self._sorted = np.insert(self._sorted, at, unknown)
        self._slot_of_sorted = np.insert(self._slot_of_sorted, at, np.arange(count, count + len(unknown)))
        self.keys = np.concatenate([self.keys, unknown])


class Series(msgspec.Struct):
    """One channel of one kind, for all devices by slot. `at` is NEVER where a device has no such series."""

    at: Int64s
    values: Int64s | Floats
    arrival: Bools


class Newer(msgspec.Struct, frozen=True):
    """Messages over the same channels that were stored: `values` has a row for each, a column for each channel."""

    channels: tuple[int, ...]
    exact: bool
    slots: Int64s
    stamps: Int64s
    values: Int64s | Floats
    arrival: Bools


class Newest(msgspec.Struct, frozen=True):
    """The newest reading of one series."""

    channel: int
    exact: bool
    at_ms: int
    value: int | float
    arrival: bool


class Latest:
    """All series. The writer thread applies, any thread asks."""

    def __init__(self) -> None:
        self.devices = Devices()
        self._series: dict[tuple[int, bool], Series] = {}
        self._lock = threading.Lock()

    def slots(self, devices: Int64s) -> Int64s:
        """The slot of each device; unknown ones get the next."""
        with self._lock:
            return self.devices.slots(devices)

    def find(self, device: int) -> int | None:
        """The slot of a device if it is known."""
        with self._lock:
            slot = int(self.devices.find(np.array([device], np.int64))[0])
            return None if slot < 0 else slot

    def newest_at(self, channels: tuple[int, ...], slots: Int64s) -> Int64s:
        """Per slot the newest stamp over these channels, of either kind."""
        newest = np.full(len(slots), NEVER, np.int64)
        for channel in channels:
            for exact in (True, False):
                series = self._series.get((channel, exact))
                if series is not None:
                    known = slots < len(series.at)
                    stamps = series.at[slots] if known.all() else np.where(known, series.at[slots * known], NEVER)
                    np.maximum(newest, stamps, out=newest)
        return newest

    def kinds(self, slot: int, channel: int) -> tuple[bool, bool]:
        """Whether a device has (exact, measured) readings of a channel."""
        return self._has(slot, channel, exact=True), self._has(slot, channel, exact=False)

    def has_kind(self, channel: int, *, exact: bool) -> bool:
        """Whether any device has readings of this kind in a channel."""
        return (channel, exact) in self._series

    def _has(self, slot: int, channel: int, *, exact: bool) -> bool:
        series = self._series.get((channel, exact))
        return series is not None and 0 <= slot < len(series.at) and bool(series.at[slot] != NEVER)

    def apply(self, newer: Newer) -> None:
        """Take in readings that are committed: no key twice, none that was there before."""
        order = np.argsort(pack(newer.slots, newer.stamps))
        sorted_slots = newer.slots[order]
        rows = order[np.append(sorted_slots[1:] != sorted_slots[:-1], True)]
        slots, stamps = newer.slots[rows], newer.stamps[rows]
        with self._lock:
            for place, channel in enumerate(newer.channels):
                series = self._room(channel, exact=newer.exact)
                wins = stamps > series.at[slots]
                series.at[slots[wins]] = stamps[wins]
                series.values[slots[wins]] = newer.values[rows[wins], place]
                series.arrival[slots[wins]] = newer.arrival[rows[wins]]

    def _room(self, channel: int, *, exact: bool) -> Series:
        size = len(self.devices.keys)
        series = self._series.get((channel, exact))
        if series is None:
            values: Int64s | Floats = np.empty(0, np.int64) if exact else np.empty(0, np.float64)
            series = self._series[channel, exact] = Series(np.empty(0, np.int64), values, np.empty(0, np.bool_))
        have = len(series.at)
        if have < size:
            more = max(size, 2 * have) - have
            series.at = np.concatenate([series.at, np.full(more, NEVER, np.int64)])
            series.values = np.concatenate([series.values, np.zeros(more, series.values.dtype)])
            series.arrival = np.concatenate([series.arrival, np.zeros(more, np.bool_)])
        return series

    def of(self, device: int) -> list[Newest]:
        """The newest reading of each series of a device."""
        with self._lock:
            slot = int(self.devices.find(np.array([device], np.int64))[0])
            if slot < 0:
                return []
            return [
                Newest(channel, exact, int(each.at[slot]), each.values[slot].item(), bool(each.arrival[slot]))
                for (channel, exact), each in self._series.items()
                if slot < len(each.at) and each.at[slot] != NEVER
            ]

    def watermarks(self) -> tuple[Int64s, Int64s]:
        """(device, greatest stored stamp) of every device that has one."""
        with self._lock:
            newest = np.full(len(self.devices.keys), NEVER, np.int64)
            for series in self._series.values():
                size = min(len(newest), len(series.at))
                np.maximum(newest[:size], series.at[:size], out=newest[:size])
            found = newest != NEVER
            return self.devices.keys[found], newest[found]

    def rows(self) -> list[tuple[int, bool, Int64s, Series]]:
        """(channel, exact, devices, newest) of every series: what a checkpoint writes down."""
        result = []
        for (channel, exact), series in self._series.items():
            slots = np.flatnonzero(series.at != NEVER)
            newest = Series(series.at[slots], series.values[slots], series.arrival[slots])
            result.append((channel, exact, self.devices.keys[slots], newest))
        return result
