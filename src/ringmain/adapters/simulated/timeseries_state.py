"""What the simulated store holds: plain dictionaries, one reading at a time, so that it is plainly right."""

from math import isnan

import msgspec

from ringmain.model.batch import DeadLetter
from ringmain.model.ids import DeviceKey, Offset
from ringmain.model.time import MINUTE_MS
from ringmain.ports.outcomes import Conflict, StoredDeadLetter
from ringmain.ports.windows import WindowKey, WindowPlan, WindowRevision

Value = int | float
QUARTER_MS = 15 * MINUTE_MS


class Single(msgspec.Struct, frozen=True):
    """One reading on its way in."""

    device: DeviceKey
    channel: str
    at_ms: int
    value: Value
    arrival: bool
    received_ms: int


class State:
    """Everything that the three ports speak of."""

    def __init__(self, plan: WindowPlan) -> None:
        self.plan = plan
        self.offset = Offset(0)
        self.readings: dict[DeviceKey, dict[tuple[int, str], Single]] = {}
        self.quarantine: dict[DeviceKey, list[Single]] = {}
        self.tallies: dict[tuple[DeviceKey, str, str], int] = {}
        self.conflicts: list[Conflict] = []
        self.dead_letters: list[StoredDeadLetter] = []
        self.pending: dict[WindowKey, None] = {}
        self.windows: dict[WindowKey, list[WindowRevision]] = {}

    def count(self, device: DeviceKey, outcome: str, records: int = 1, reason: str = "") -> None:
        """Enter records into the books."""
        key = (device, outcome, reason)
        self.tallies[key] = self.tallies.get(key, 0) + records

    def store(self, reading: Single) -> str:
        """Store a reading, and say which outcome that was. The first value of a key wins, whatever its kind."""
        series = self.readings.setdefault(reading.device, {})
        there = series.get((reading.at_ms, reading.channel))
        if there is None:
            series[reading.at_ms, reading.channel] = reading
            self._mark(reading)
            outcome = "stored"
        elif same(there.value, reading.value):
            outcome = "duplicate"
        else:
            self._keep_conflict(there, reading)
            outcome = "conflict"
        self.count(reading.device, outcome)
        return outcome

    def keep_dead_letter(self, offset: Offset, letter: DeadLetter) -> None:
        """Keep a payload that could not be decoded."""
        fields = (getattr(letter, name) for name in DeadLetter.__struct_fields__)
        self.dead_letters.append(StoredDeadLetter(len(self.dead_letters) + 1, offset, *fields))
        self.count(letter.device, "received")
        self.count(letter.device, "dead_letter", reason=letter.reason)

    def _mark(self, reading: Single) -> None:
        quarter = reading.at_ms - reading.at_ms % QUARTER_MS
        for size, start_ms, end_ms in self.plan.windows(reading.device, quarter):
            self.pending[WindowKey(reading.device, reading.channel, size, start_ms, end_ms)] = None

    def _keep_conflict(self, there: Single, reading: Single) -> None:
        for known in self.conflicts:
            if (known.device, known.channel, known.at_ms) != (reading.device, reading.channel, reading.at_ms):
                continue
            if isinstance(known.received, int) is isinstance(reading.value, int) and same(
                known.received, reading.value
            ):
                return
        self.conflicts.append(
            Conflict(
                len(self.conflicts) + 1,
                reading.device,
                reading.channel,
                reading.at_ms,
                there.value,
                reading.value,
                reading.received_ms,
            )
        )


def same(one: Value, other: Value) -> bool:
    """IS NOT DISTINCT FROM: a NaN equals a NaN."""
    return one == other or (isnan(one) and isnan(other))
