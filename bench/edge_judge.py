"""What became of every reading: sensors' books against what arrived, exactly, and by the cut in which it was sent.

A reading is lost when its local side acknowledged it to the sensor and its platform does not have it in the end. What
was never acknowledged is told apart, for the sensor still has it. Pure arithmetic; it must never guess or round.
"""

import itertools
from collections.abc import Mapping, Sequence

import msgspec
from bench import edge_sensors

LEAD_MS = 5_000
"""A cut also takes what is under way when it begins: readings so much older than it count as its own."""

Arrivals = Mapping[str, Mapping[tuple[int, int], int]]
"""Device → (stamp, value) → how often it was delivered."""


class Cut(msgspec.Struct, frozen=True):
    """One black hole: it began at `start_ms` and took `seconds`."""

    seconds: int
    start_ms: int


class Loss(msgspec.Struct, frozen=True):
    """Of the readings from shortly before a cut to the next one (or the end). `lost_seconds` is how many seconds of
    the street that is; the other two say when the first and the last of them was taken, from the cut's begin.
    """

    cut_seconds: int
    readings: int
    readings_in_cut: int
    lost: int
    lost_seconds: float
    first_lost_s: float | None
    last_lost_s: float | None


class Verdict(msgspec.Struct, frozen=True):
    """Of one gateway. `acknowledged` by its local side; `again` are deliveries beyond the first of each reading;
    `visible_duplicates` are stamps that hold more than one value in the end; `foreign` arrived and was never sent.
    """

    sent: int
    acknowledged: int
    arrived: int
    lost: int
    lost_before: int
    unacknowledged: int
    again: int
    visible_duplicates: int
    foreign: int
    losses: tuple[Loss, ...]


def judge(
    sensors: int,
    every_ms: int,
    base_ms: int,
    sent: int,
    unacknowledged: Mapping[int, Sequence[int]],
    arrived: Arrivals,
    again: int | None,
    cuts: Sequence[Cut],
) -> Verdict:
    """`sent` counts readings over all sensors, which took turns. `again` None: counted from `arrived`."""
    expected: dict[str, set[tuple[int, int]]] = {}
    kept_back: set[tuple[str, int]] = set()
    for number in range(sensors):
        name = edge_sensors.name_of(number)
        total = (sent - number + sensors - 1) // sensors
        expected[name] = {
            (
                edge_sensors.stamp_ms(sensors, every_ms, base_ms, number, seq),
                number * edge_sensors.VALUE_STEP + seq,
            )
            for seq in range(total)
        }
        kept_back |= {(name, number * edge_sensors.VALUE_STEP + seq) for seq in unacknowledged.get(number, ())}
    missing = sorted(
        ts
        for name, readings in expected.items()
        for ts, value in readings - arrived.get(name, {}).keys()
        if (name, value) not in kept_back
    )
    found = sum(len(readings & arrived.get(name, {}).keys()) for name, readings in expected.items())
    distinct = sum(len(readings) for readings in arrived.values())
    bounds = [*(cut.start_ms - LEAD_MS for cut in cuts), base_ms + (sent // sensors + 2) * every_ms]
    losses = tuple(
        _loss(cut, bound, missing, sensors, every_ms, expected)
        for cut, bound in zip(cuts, itertools.pairwise(bounds), strict=True)
    )
    return Verdict(
        sent=sent,
        acknowledged=sent - len(kept_back),
        arrived=found,
        lost=len(missing),
        lost_before=sum(ts < bounds[0] for ts in missing),
        unacknowledged=len(kept_back),
        again=sum(times - 1 for readings in arrived.values() for times in readings.values())
        if again is None
        else again,
        visible_duplicates=sum(len(readings) - len({ts for ts, _ in readings}) for readings in arrived.values()),
        foreign=distinct - found,
        losses=losses,
    )


def _loss(
    cut: Cut,
    bound: tuple[int, int],
    missing: Sequence[int],
    sensors: int,
    every_ms: int,
    expected: Mapping[str, set[tuple[int, int]]],
) -> Loss:
    start_ms, end_ms = bound
    lost = [ts for ts in missing if start_ms <= ts < end_ms]
    over_ms = cut.start_ms + cut.seconds * 1000
    stamps = [ts for readings in expected.values() for ts, _ in readings if start_ms <= ts < end_ms]
    return Loss(
        cut_seconds=cut.seconds,
        readings=len(stamps),
        readings_in_cut=sum(cut.start_ms <= ts < over_ms for ts in stamps),
        lost=len(lost),
        lost_seconds=len(lost) * every_ms / 1000 / sensors,
        first_lost_s=(lost[0] - cut.start_ms) / 1000 if lost else None,
        last_lost_s=(lost[-1] - cut.start_ms) / 1000 if lost else None,
    )
