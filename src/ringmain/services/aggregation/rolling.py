"""Rolling windows: aggregation where there is no store, on an edge gateway. Pure; in memory.

Readings are kept as columns until their window closes by the device's own watermark; then its statistics go up as
readings of derived channels, *in addition* to every interval, which goes up unchanged. So nothing depends on them: a
window that a restart cut, or that was given up for want of memory, is not sent, and that is counted; readings that
come after their window closed are counted too, and the platform, which has all of them, revises its own.

A derived channel is the channel, the window's size and the statistic: `power_w/15m/mean`, and for energies, whose sums
stay integers, `energy_wh/15m/sum_wh`.
"""

from array import array
from collections.abc import Sequence

import msgspec

from ringmain.model.batch import Block
from ringmain.model.ids import DeviceKey
from ringmain.model.time import Instant, Interval
from ringmain.services.aggregation.statistics import aggregate
from ringmain.services.aggregation.windows import parse_size

LATENESS_MS = 60_000
"""How far behind its newest reading a device may still deliver into an open window; as on the platform."""

VALUES_MAX = 1_000_000
"""Held at a time, 16 bytes each: an hour of 200 meters at 1 Hz is 720,000. Beyond that the oldest window goes."""

CHANNEL_MAX = 48
"""Characters of a channel whose derived names still fit the 64 of a channel's name."""

_EXACT = ("sum", "min", "max")
_MEASURED = ("mean", "median", "min", "max", "sum", "count")


class Derived(msgspec.Struct, frozen=True):
    """What a closed window came to: readings of one device, stamped with the window's start."""

    device: DeviceKey
    at_ms: int
    exact: dict[str, int]
    measured: dict[str, float]


class _Window:
    __slots__ = ("exact", "stamps", "values")

    def __init__(self, *, exact: bool) -> None:
        self.exact = exact
        self.stamps = array("q")
        self.values: array[int] | array[float] = array("q") if exact else array("d")


_Key = tuple[int, DeviceKey, str, str]
"""(end, device, channel, size): sorts by what closes first."""


class RollingWindows:
    """The open windows of one gateway."""

    def __init__(self, sizes: Sequence[str]) -> None:
        self.sizes = tuple((size, parse_size(size).length_ms) for size in sizes)
        self.late = self.cut = self.closed = 0
        """Readings that came after their window closed; windows not sent; windows sent."""
        self._open: dict[_Key, _Window] = {}
        self._newest: dict[DeviceKey, int] = {}
        self._since: dict[DeviceKey, int] = {}
        self._closed_until: dict[DeviceKey, int] = {}
        self._held = 0

    def add(self, block: Block) -> None:
        """Take the readings of a block; those of derived channels say nothing new and are left out."""
        if not self.sizes or any("/" in channel for channel in block.channels):
            return
        columns = len(block.channels)
        devices, stamps = block.devices.cast("q"), block.stamps.cast("q")
        values = block.values.cast("q" if block.exact else "d")
        channels = [(at, name) for at, name in enumerate(block.channels) if len(name) <= CHANNEL_MAX]
        for row, (key, at_ms) in enumerate(zip(devices, stamps, strict=True)):
            device = DeviceKey(key)
            self._since.setdefault(device, at_ms)
            if at_ms > self._newest.get(device, -1):
                self._newest[device] = at_ms
            for size, length_ms in self.sizes:
                end_ms = at_ms - at_ms % length_ms + length_ms
                if end_ms <= self._closed_until.get(device, 0):
                    self.late += len(channels)
                    continue
                for at, name in channels:
                    self._put((end_ms, device, name, size), at_ms, values[row * columns + at], exact=block.exact)
        self._give_up()

    def _put(self, key: _Key, at_ms: int, value: float, *, exact: bool) -> None:
        window = self._open.get(key)
        if window is None:
            window = self._open[key] = _Window(exact=exact)
        window.stamps.append(at_ms)
        window.values.append(value)  # type: ignore[arg-type]
        self._held += 1

    def _give_up(self) -> None:
        while self._held > VALUES_MAX:
            key = min(self._open)
            self._held -= len(self._open.pop(key).stamps)
            self._closed_until[key[1]] = max(self._closed_until.get(key[1], 0), key[0])
            self.cut += 1

    def close(self, now_ms: int) -> list[Derived]:
        """What the windows that are over came to. A clock that runs ahead does not close them early."""
        due = [key for key in self._open if key[0] <= min(self._newest[key[1]], now_ms) - LATENESS_MS]
        found: dict[tuple[DeviceKey, int], Derived] = {}
        for key in sorted(due):
            end_ms, device, channel, size = key
            window = self._open.pop(key)
            self._held -= len(window.stamps)
            self._closed_until[device] = max(self._closed_until.get(device, 0), end_ms)
            start_ms = end_ms - dict(self.sizes)[size]
            if start_ms < self._since[device]:
                self.cut += 1
                continue
            derived = found.setdefault((device, start_ms), Derived(device, start_ms, {}, {}))
            _describe(derived, f"{channel}/{size}", window, Interval(Instant(start_ms), Instant(end_ms)))
            self.closed += 1
        return list(found.values())


def _describe(derived: Derived, name: str, window: _Window, span: Interval) -> None:
    """Statistics of the distinct stamps: a message that came twice counts once."""
    values = list(dict(zip(window.stamps, window.values, strict=True)).values())
    found = aggregate(values, span)
    energy = window.exact and name.partition("/")[0].endswith("_wh")
    if energy:
        derived.exact.update((f"{name}/{each}_wh", int(getattr(found, each))) for each in _EXACT)
    for each in _MEASURED:
        if not energy or each not in _EXACT:
            derived.measured[f"{name}/{each}"] = float(getattr(found, each))
