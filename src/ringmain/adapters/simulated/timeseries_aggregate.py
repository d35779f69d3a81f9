"""Statistics of readings, by the book."""

from collections.abc import Sequence
from math import fsum
from statistics import median

from ringmain.adapters.simulated.timeseries_state import State, Value
from ringmain.model.ids import DeviceKey
from ringmain.ports.timeseries import Aggregate


def aggregate(state: State, device: DeviceKey, channel: str, start_ms: int, end_ms: int) -> Aggregate | None:
    """Statistics of one span; None where it holds no reading. A channel whose kind was changed at any time sums up
    as doubles.
    """
    series = [each for each in state.readings.get(device, {}).values() if each.channel == channel]
    values: Sequence[Value] = [each.value for each in series if start_ms <= each.at_ms < end_ms]
    if not values:
        return None
    total: Value
    if all(isinstance(each.value, int) for each in series):
        total = sum(values)
    else:
        values = [float(value) for value in values]
        total = fsum(values)
    return Aggregate(
        start_ms, end_ms, len(values), total, min(values), max(values), total / len(values), float(median(values))
    )
