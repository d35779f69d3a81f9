"""The simulated home of `ports.timeseries`, `outcomes` and `windows`: the same answers as the embedded one, from
dictionaries. It is the reference that the embedded store is compared with, and what deterministic simulation runs on.
"""

import struct
from collections.abc import Iterator, Sequence

from ringmain.adapters.simulated.load import SimulatedLoad
from ringmain.adapters.simulated.timeseries_aggregate import aggregate
from ringmain.adapters.simulated.timeseries_outcomes import SimulatedOutcomes
from ringmain.adapters.simulated.timeseries_state import Single, State
from ringmain.adapters.simulated.timeseries_windows import SimulatedWindows
from ringmain.model.batch import BatchError, Block, DeadLetter, Stamped, decode_batch
from ringmain.model.ids import DeviceKey, Offset
from ringmain.model.time import INSTANT_MAX, Interval
from ringmain.ports.clock import Clock
from ringmain.ports.queue import Entry
from ringmain.ports.timeseries import Aggregate, Appended, Reading
from ringmain.ports.windows import WindowPlan


class SimulatedTimeSeries:
    """The port `TimeSeries`; `outcomes`, `windows` and `load` are the other ports over the same readings."""

    def __init__(self, plan: WindowPlan, clock: Clock) -> None:
        self._clock = clock
        self._state = State(plan)
        self.outcomes = SimulatedOutcomes(self._state)
        self.windows = SimulatedWindows(self._state)
        self.load = SimulatedLoad(self._state)

    async def open(self) -> None:
        """Nothing to open; what was stored before a `close` is still there."""

    async def close(self) -> None:
        """Nothing to close."""

    async def append(self, entries: Sequence[Entry]) -> Appended:
        """Store entries behind the stored offset; see the port."""
        counts = dict.fromkeys(Appended.__struct_fields__[1:], 0)
        for entry in entries:
            if entry.offset > self._state.offset:
                self._append(entry, counts)
                self._state.offset = entry.offset
        return Appended(self._state.offset, **counts)

    async def offset(self) -> Offset:
        """The log offset up to which everything has been stored."""
        return self._state.offset

    async def checkpoint(self) -> Offset:
        """What is stored is as safe as it will ever be."""
        return self._state.offset

    async def readings(
        self, device: DeviceKey, channel: str | None, span: Interval, *, after: tuple[int, str] | None, limit: int
    ) -> Sequence[Reading]:
        """Readings of a device in a span, in order, behind `after`; see the port."""
        series = self._state.readings.get(device, {})
        keys = sorted(
            (at_ms, name)
            for at_ms, name in series
            if span.holds(at_ms) and channel in {None, name} and (after is None or (at_ms, name) > after)
        )
        return [_reading(series[key]) for key in keys[:limit]]

    async def latest(self, device: DeviceKey) -> Sequence[Reading]:
        """The newest reading of each channel, in order of the channels' names."""
        newest: dict[str, Single] = {}
        for (at_ms, name), single in self._state.readings.get(device, {}).items():
            if name not in newest or newest[name].at_ms < at_ms:
                newest[name] = single
        return [_reading(newest[name]) for name in sorted(newest)]

    async def aggregate(self, device: DeviceKey, channel: str, spans: Sequence[Interval]) -> Sequence[Aggregate]:
        """Statistics of each span that holds a reading."""
        found = (aggregate(self._state, device, channel, span.start, span.end) for span in spans)
        return [each for each in found if each is not None]

    async def quarantined(self) -> Sequence[DeviceKey]:
        """Devices with readings in quarantine."""
        return sorted(device for device, held in self._state.quarantine.items() if held)

    async def release(self, device: DeviceKey) -> int:
        """Move a device's quarantined readings into the store; how many were stored."""
        held = self._state.quarantine.pop(device, [])
        if held:
            self._state.count(device, "quarantined", -len(held))
        return sum(self._state.store(single) == "stored" for single in held)

    def _append(self, entry: Entry, counts: dict[str, int]) -> None:
        state = self._state
        try:
            batch = decode_batch(entry.body)
        except BatchError as error:
            detail = str(error)
            letter = DeadLetter(
                DeviceKey(0), self._clock.now_ms(), "log", "", bytes(entry.body), "undecodable_entry", detail
            )
            state.keep_dead_letter(entry.offset, letter)
            counts["dead_letters"] += 1
            return
        for block in batch.blocks:
            for single in _singles(block, batch.received_ms):
                self._take(single, counts, quarantined=block.quarantined)
        for letter in batch.dead_letters:
            state.keep_dead_letter(entry.offset, letter)
            counts["dead_letters"] += 1
        for rejection in batch.rejections:
            self._reject(rejection.device, rejection.reason, rejection.count, counts)

    def _take(self, single: Single, counts: dict[str, int], *, quarantined: bool) -> None:
        if not 0 <= single.at_ms <= INSTANT_MAX:
            self._reject(single.device, "stamp_out_of_range", 1, counts)
            return
        self._state.count(single.device, "received")
        counts["received"] += 1
        if quarantined:
            self._state.quarantine.setdefault(single.device, []).append(single)
            self._state.count(single.device, "quarantined")
            counts["quarantined"] += 1
            return
        outcome = self._state.store(single)
        counts[{"duplicate": "duplicates", "conflict": "conflicts"}.get(outcome, outcome)] += 1

    def _reject(self, device: DeviceKey, reason: str, records: int, counts: dict[str, int]) -> None:
        self._state.count(device, "received", records)
        self._state.count(device, "rejected", records, reason)
        counts["rejected"] += records


def _singles(block: Block, received_ms: int) -> Iterator[Single]:
    n, k = block.messages, len(block.channels)
    devices = struct.unpack(f"<{n}q", block.devices)
    stamps = struct.unpack(f"<{n}q", block.stamps)
    values = struct.unpack(f"<{n * k}{'q' if block.exact else 'd'}", block.values)
    arrival = block.stamped == Stamped.ARRIVAL
    for row, (device, at_ms) in enumerate(zip(devices, stamps, strict=True)):
        for place, channel in enumerate(block.channels):
            yield Single(DeviceKey(device), channel, at_ms, values[row * k + place], arrival, received_ms)


def _reading(single: Single) -> Reading:
    return Reading(single.device, single.channel, single.at_ms, single.value, single.arrival)
