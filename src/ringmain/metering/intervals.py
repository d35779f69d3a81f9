"""Intervals: what a channel's readings say about energy over time, and how much of a period they cover.

Two kinds of channel. On an *interval* channel each reading is the energy of the interval that starts at its stamp.
On a *register* channel readings are a counter; the difference of two neighbours is the energy between them. Energy
is never estimated: what no reading covers is counted as missing and listed.
"""

from collections.abc import Iterable, Iterator, Sequence
from decimal import ROUND_HALF_UP, Decimal, localcontext

import msgspec

from ringmain.model.time import Interval

_THOUSAND = Decimal(1000)

READING_MAX = 2**63 - 1
"""What an EXACT channel can hold; a MEASURED value beyond it is no reading of a meter."""

ENERGY_WH_MAX = 10**13
"""In one interval: thrice what the whole world uses in an hour. With it no sum on a bill exceeds 28 digits."""


class EnergyInterval(msgspec.Struct, frozen=True, order=True, gc=False):
    """Whole Wh used from `start_ms` up to, not including, `end_ms`."""

    start_ms: int
    end_ms: int
    energy_wh: int


class Decoded(msgspec.Struct, frozen=True):
    """Intervals in order of time, and how many readings could not become one (negative, beyond every limit, or a
    register that ran backwards): they are left out, and their time counts as missing.
    """

    intervals: tuple[EnergyInterval, ...] = ()
    refused: int = 0


class Completeness(msgspec.Struct, frozen=True):
    """How much of a period is covered. `expected = present + missing`, in slots of the interval length.

    `merged` slots got their energy in one sum with a neighbour (a register that was not read in between);
    `extra` are readings beyond the first of a slot, whose energy is counted.
    """

    expected: int
    present: int
    missing: int
    merged: int
    extra: int
    refused: int
    missing_spans: tuple[Interval, ...] = ()


def whole_wh(value: float, unit: str, multiplier: Decimal) -> int:
    """A reading (int, or float as it prints) in Wh or kWh, times the installation's factor; whole Wh, halves up."""
    if unit == "Wh" and multiplier == 1 and isinstance(value, int):
        return value
    with localcontext(prec=60):  # exact: a double prints 17 digits, a register 19, a multiplier has 12
        scaled = Decimal(str(value)) * multiplier * (_THOUSAND if unit == "kWh" else 1)
        return int(scaled.quantize(Decimal(1), rounding=ROUND_HALF_UP))


def of_interval_channel(
    readings: Iterable[tuple[int, float]], interval_ms: int, unit: str, multiplier: Decimal
) -> Decoded:
    """Intervals of (stamp, value) in order of time. A negative one is refused: nothing flows back on this channel."""
    intervals, refused = [], 0
    for start_ms, value in readings:
        if 0 <= value <= READING_MAX and (energy_wh := whole_wh(value, unit, multiplier)) <= ENERGY_WH_MAX:
            intervals.append(EnergyInterval(start_ms, start_ms + interval_ms, energy_wh))
        else:
            refused += 1
    return Decoded(tuple(intervals), refused)


def of_register_channel(
    readings: Iterable[tuple[int, float]], unit: str, multiplier: Decimal, modulus: int | None
) -> Decoded:
    """Differences of a counter read at these stamps. A counter that fell has rolled over at `modulus` where the
    step so found is less than half of it (a meter does not pass half its dials between two reads); else the step
    is refused, and counting goes on from the new value.

    Each difference is that of two rounded counters, so that differences add up to the whole whatever the rounding.
    """
    intervals, refused = [], 0
    turn = 0 if modulus is None else whole_wh(modulus, unit, multiplier)
    last: tuple[int, int] | None = None
    for at_ms, value in readings:
        if not 0 <= value <= READING_MAX:
            refused += 1
            continue
        count = whole_wh(value, unit, multiplier)
        if last is not None:
            step = count - last[1]
            if step < 0 and 2 * (step + turn) < turn:
                step += turn
            if 0 <= step <= ENERGY_WH_MAX:
                intervals.append(EnergyInterval(last[0], at_ms, step))
            else:
                refused += 1
        last = at_ms, count
    return Decoded(tuple(intervals), refused)


def starting_in(intervals: Iterable[EnergyInterval], span: Interval) -> Iterator[EnergyInterval]:
    """Intervals that start in a span: an interval belongs, whole, to the period of its start."""
    return (each for each in intervals if span.holds(each.start_ms))


def completeness(intervals: Sequence[EnergyInterval], span: Interval, interval_ms: int, refused: int) -> Completeness:
    """What intervals that start in `span` cover of it. Slots are counted from its start; a rest at its end that is
    shorter than a slot belongs to the last one.
    """
    expected = (span.end - span.start) // interval_ms
    covered = bytearray(expected)
    merged = extra = 0
    for each in intervals if expected else ():
        first = min((each.start_ms - span.start) // interval_ms, expected - 1)
        slots = max(1, round((each.end_ms - each.start_ms) / interval_ms))
        behind = min(first + slots, expected)
        if covered[first]:
            extra += 1
        merged += max(0, behind - first - 1)
        covered[first:behind] = b"\x01" * (behind - first)
    present = sum(covered)
    return Completeness(
        expected=expected,
        present=present,
        missing=expected - present,
        merged=merged,
        extra=extra,
        refused=refused,
        missing_spans=tuple(_missing_spans(covered, span, interval_ms)),
    )


def _missing_spans(covered: bytearray, span: Interval, interval_ms: int) -> Iterator[Interval]:
    at = covered.find(0)
    while at != -1:
        behind = covered.find(1, at)
        last = behind == -1
        end = span.end if last else span.start + behind * interval_ms
        yield Interval(type(span.start)(span.start + at * interval_ms), type(span.end)(end))
        at = -1 if last else covered.find(0, behind)
