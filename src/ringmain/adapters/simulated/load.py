"""The port `Load` over plain dictionaries: one reading at a time, so that it is plainly right."""

from collections.abc import Mapping, Sequence

from ringmain.adapters.simulated.timeseries_state import Single, State
from ringmain.model.ids import DeviceKey
from ringmain.model.time import Instant, Interval
from ringmain.ports.load import Grid, Share, Sums


class SimulatedLoad:
    """Sums over the readings of the simulated store."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def extents(self, series: Sequence[tuple[DeviceKey, str]]) -> Mapping[tuple[DeviceKey, str], Interval]:
        """From the first to right behind the last stamp of each series."""
        found = {}
        for device, channel in series:
            stamps = [each.at_ms for each in self._readings(device, channel)]
            if stamps:
                found[device, channel] = Interval(Instant(min(stamps)), Instant(max(stamps) + 1))
        return found

    async def sums(self, shares: Sequence[Share], grid: Grid) -> Sums:
        """Sums over the grid, as far as each share's span goes."""
        totals = [0] * grid.count
        homes: list[set[int]] = [set() for _ in totals]
        unsummed, refused = [], 0
        for place, share in enumerate(shares):
            readings = self._readings(share.device, share.channel)
            if not all(isinstance(each.value, int) for each in readings):
                unsummed.append(place)
                continue
            for each in readings:
                if not (share.span.holds(each.at_ms) and grid.span.holds(each.at_ms)):
                    continue
                if 0 <= each.value <= share.most:
                    slot = (each.at_ms - grid.start) // grid.slot_ms
                    totals[slot] += int(each.value) * share.factor
                    homes[slot].add(share.home)
                else:
                    refused += 1
        return Sums(totals, [len(each) for each in homes], refused, tuple(unsummed))

    async def revised(self, shares: Sequence[Share], size: str, span: Interval) -> Mapping[int, int]:
        """Windows that late data revised, with how many homes' they are."""
        homes: dict[int, set[int]] = {}
        for share in shares:
            for key, revisions in self._state.windows.items():
                same = (key.device, key.channel, key.size) == (share.device, share.channel, size)
                meets = key.start_ms < share.span.end and key.end_ms > share.span.start
                if same and meets and span.holds(key.start_ms) and len(revisions) > 1:
                    homes.setdefault(key.start_ms, set()).add(share.home)
        return {start_ms: len(homes[start_ms]) for start_ms in sorted(homes)}

    def _readings(self, device: DeviceKey, channel: str) -> list[Single]:
        return [each for each in self._state.readings.get(device, {}).values() if each.channel == channel]
