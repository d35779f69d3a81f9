"""The port `Outcomes` over plain lists."""

from collections.abc import Sequence

from ringmain.adapters.simulated.timeseries_state import State
from ringmain.model.ids import DeviceKey
from ringmain.ports.outcomes import Conflict, StoredDeadLetter, Tally


class SimulatedOutcomes:
    """The books of the simulated store."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def tally(self, devices: Sequence[DeviceKey] | None) -> Sequence[Tally]:
        """Counts by outcome and reason."""
        totals: dict[tuple[str, str], int] = {}
        for (device, outcome, reason), records in self._state.tallies.items():
            if devices is None or device in devices:
                totals[outcome, reason] = totals.get((outcome, reason), 0) + records
        return [Tally(outcome, reason, count) for (outcome, reason), count in sorted(totals.items()) if count]

    async def conflicts(self, devices: Sequence[DeviceKey] | None, *, after: int, limit: int) -> Sequence[Conflict]:
        """Conflicts behind an id."""
        found = [
            each for each in self._state.conflicts if each.id > after and (devices is None or each.device in devices)
        ]
        return found[:limit]

    async def dead_letters(
        self, devices: Sequence[DeviceKey] | None, *, after: int, limit: int
    ) -> Sequence[StoredDeadLetter]:
        """Dead letters behind an id."""
        letters = self._state.dead_letters
        found = [each for each in letters if each.id > after and (devices is None or each.device in devices)]
        return found[:limit]
