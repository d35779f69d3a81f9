"""The port `Windows` over plain dictionaries."""

from collections.abc import Sequence

from ringmain.adapters.simulated.timeseries_aggregate import aggregate
from ringmain.adapters.simulated.timeseries_state import State
from ringmain.model.ids import DeviceKey
from ringmain.model.time import Interval
from ringmain.ports.windows import WindowKey, WindowRevision


class SimulatedWindows:
    """Windows of the simulated store."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def pending(self) -> Sequence[WindowKey]:
        """All windows with readings that no revision covers yet."""
        return list(self._state.pending)

    async def settle(self, keys: Sequence[WindowKey], now_ms: int) -> Sequence[WindowRevision]:
        """Compute these windows, write each as its next revision and clear its mark. Keys that are not pending
        are left alone.
        """
        return [self._settle(key, now_ms) for key in dict.fromkeys(keys) if key in self._state.pending]

    def _settle(self, key: WindowKey, now_ms: int) -> WindowRevision:
        found = aggregate(self._state, key.device, key.channel, key.start_ms, key.end_ms)
        assert found is not None, "a window is pending only where a reading was stored"
        revisions = self._state.windows.setdefault(key, [])
        revisions.append(WindowRevision(key, len(revisions), found, now_ms))
        del self._state.pending[key]
        return revisions[-1]

    async def revisions(
        self, device: DeviceKey, channel: str, size: str, span: Interval, *, all_revisions: bool = False
    ) -> Sequence[WindowRevision]:
        """Windows that start in `span`, ascending; the latest revision of each, or all of them."""
        keys = sorted(
            key
            for key in self._state.windows
            if (key.device, key.channel, key.size) == (device, channel, size) and span.holds(key.start_ms)
        )
        return [each for key in keys for each in self._state.windows[key][0 if all_revisions else -1 :]]

    async def watermarks(self) -> dict[DeviceKey, int]:
        """The greatest stored event time of each device."""
        return {device: max(at_ms for at_ms, _ in series) for device, series in self._state.readings.items() if series}
