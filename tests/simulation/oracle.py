"""What must be true, known from the meters' side alone: what they counted, and what somebody acknowledged to them."""

import msgspec
from tests.simulation.meter import INTERVAL_MS


class Violation(AssertionError):
    """The world is not as it must be."""


def require(condition: bool, text: str) -> None:
    if not condition:
        raise Violation(text)


class Oracle:
    """By meter: every interval it ever counted, and those that were acknowledged."""

    def __init__(self):
        self.readings: dict[str, dict[int, int]] = {}
        self.acked: dict[str, dict[int, int]] = {}
        self.acknowledgements = self.again = self.duplicates = 0

    def counted(self, meter: str, at_ms: int, energy_wh: int) -> None:
        self.readings.setdefault(meter, {})[at_ms] = energy_wh

    def payload(self, rows: list[tuple[int, int]]) -> bytes:
        samples = [{"ts": at_ms, "values": {"energy_wh": energy_wh}} for at_ms, energy_wh in rows]
        return msgspec.json.encode(samples[0] if len(samples) == 1 else samples)

    def acknowledged(self, meter: str, payload: bytes) -> list[int]:
        """A PUBACK for it reached the meter."""
        decoded = msgspec.json.decode(payload)
        rows = decoded if isinstance(decoded, list) else [decoded]
        acked = self.acked.setdefault(meter, {})
        for row in rows:
            self.acknowledgements += 1
            self.again += row["ts"] in acked
            acked[row["ts"]] = row["values"]["energy_wh"]
        return [row["ts"] for row in rows]

    def outstanding(self) -> int:
        """Intervals that nobody has acknowledged yet."""
        return sum(len(rows) - len(self.acked.get(meter, {})) for meter, rows in self.readings.items())

    def energy_wh(self, meter: str) -> int:
        return sum(self.acked.get(meter, {}).values())

    def check_stored(self, meter: str, stored: dict[int, int]) -> None:
        """Every acknowledged interval is there, with its value, and nothing else is."""
        acked = self.acked.get(meter, {})
        lost = [at_ms for at_ms, value in acked.items() if stored.get(at_ms) != value]
        require(not lost, f"{meter}: {len(lost)} of {len(acked)} acknowledged readings are not stored: {lost[:3]}")
        made_up = [at_ms for at_ms, value in stored.items() if self.readings[meter].get(at_ms) != value]
        require(not made_up, f"{meter}: {len(made_up)} stored readings were never counted: {made_up[:3]}")

    @staticmethod
    def check_windows(meter: str, stored: dict[int, int], hours: dict[int, int], pending: set[int]) -> None:
        """Each hour is settled with what is in it, or marked to be."""
        sums: dict[int, int] = {}
        for at_ms, energy_wh in stored.items():
            hour = at_ms - at_ms % (2 * INTERVAL_MS)
            sums[hour] = sums.get(hour, 0) + energy_wh
        wrong = [hour for hour, energy_wh in sums.items() if hour not in pending and hours.get(hour) != energy_wh]
        require(not wrong, f"{meter}: {len(wrong)} hours do not hold their readings: {wrong[:3]}")
