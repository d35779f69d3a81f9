"""Statistics of the values that fall into one window: pure, without numpy and without a store.

The time-series store computes the same in its own engine; this is the definition both are held to, and what the
edge gateway uses. It must never turn an EXACT value into a float: sums, least and greatest of integers are integers.
"""

import math
from collections.abc import Sequence

from ringmain.model.time import Interval
from ringmain.ports.timeseries import Aggregate


def aggregate(values: Sequence[int] | Sequence[float], span: Interval) -> Aggregate:
    """The statistics of at least one finite value. A window without values has none: ValueError."""
    if not values:
        raise ValueError("a window without readings has no statistics")
    ordered = sorted(values)
    total = _sum(ordered)
    return Aggregate(
        start_ms=span.start,
        end_ms=span.end,
        count=len(ordered),
        sum=total,
        min=ordered[0],
        max=ordered[-1],
        mean=_mean(ordered, total),
        median=_median(ordered),
    )


def _sum(ordered: Sequence[int] | Sequence[float]) -> int | float:
    """The exact sum of integers; of doubles, the double nearest to their exact sum (so order does not matter)."""
    if all(isinstance(value, int) for value in ordered):
        return sum(ordered)
    try:
        return math.fsum(ordered)
    except OverflowError:  # finite values whose sum is not: infinity, as IEEE 754 addition has it
        return float(sum(ordered))


def _mean(ordered: Sequence[int] | Sequence[float], total: float) -> float:
    count = len(ordered)
    if math.isinf(total):
        return math.fsum(value / count for value in ordered)
    return total / count


def _median(ordered: Sequence[int] | Sequence[float]) -> float:
    middle = len(ordered) // 2
    if len(ordered) % 2:
        return float(ordered[middle])
    low, high = ordered[middle - 1], ordered[middle]
    if isinstance(low, int):
        return (low + high) / 2
    return low / 2 + high / 2  # halves first: the sum of two large doubles may not be finite
