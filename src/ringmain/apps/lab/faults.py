"""What a run is put through: a plan of faults of the link and of kills, drawn from the seed. Pure.

Faults of the link and kills run side by side, so that boxes die in black holes and links are cut while a box recovers.
It must never hold fewer faults of a kind than `HARSH` promises, whatever the seed.
"""

from random import Random

import msgspec

FAULTS = ("none", "harsh")
"""The names that `--faults` takes."""

EDGE, PLATFORM = "edge", "platform"

CUTS, BLACK_HOLES, DELAYS, REFUSALS = 4, 2, 1, 1
HALF_OPENS: tuple[str, ...] = ("half-open up", "half-open down")
"""The link's faults in every harsh run. With the kills they take about a minute; more would only repeat themselves."""

KILLS = 5
"""Of the edge, and of the platform."""

CALM_S = (0.3, 1.5)
"""Between two faults of the link, at least: the next one waits for a live connection to hit."""

CUT_S = (0.0, 0.8)
"""After a cut nothing is refused: the next connection may come at once."""

CUT_CARRYING = 0.5

BLACK_HOLE_S = (2.5, 5.0)
"""Longer than the edge's patience (`answer_s`), so that it gives a dead link up while the hole is still there."""

HALF_OPEN_S = (2.0, 4.0)
DELAY_S = (2.0, 4.0)
DELAY_MS = (20, 250)
"""From a good mobile link to a satellite's."""

REFUSE_S = (1.0, 3.0)

BEFORE_KILL_S = (0.2, 1.6)
"""After the box killed before is ready again: from amid its recovery to well after it."""

DRIFT_MAX = 0.2
LATE_PLACES_MAX = 6
"""How wrong the meter's clock goes, and by how many others one of its messages is overtaken."""


class LinkFault(msgspec.Struct, frozen=True):
    """After `after_s`, and as soon as the uplink lives (`carrying`: has carried readings since the fault before), the
    relay is told `commands`; after another `hold_s`, that all passes again.
    """

    kind: str
    after_s: float
    commands: tuple[str, ...]
    hold_s: float
    carrying: bool = True


class Kill(msgspec.Struct, frozen=True):
    """SIGKILL for `box`, `after_s` after the one before is ready again, as soon as records are unacknowledged."""

    box: str
    after_s: float


class Plan(msgspec.Struct, frozen=True):
    """One run's faults."""

    link: tuple[LinkFault, ...]
    kills: tuple[Kill, ...]

    def count(self, kind: str) -> int:
        """Faults of the link of one kind."""
        return sum(fault.kind == kind for fault in self.link)


def harsh(seed: int) -> Plan:
    """The plan of a seed. Its own source of chance: the same seed's meter is not to draw along with it."""
    rng = Random(f"harsh {seed}")  # noqa: S311 - the same seed is to give the same plan
    link = [_cut(rng) for _ in range(CUTS)]
    link += [_fault(rng, "black-hole", ("black-hole",), BLACK_HOLE_S) for _ in range(BLACK_HOLES)]
    link += [_fault(rng, "half-open", (command,), HALF_OPEN_S) for command in HALF_OPENS]
    link += [_delay(rng) for _ in range(DELAYS)]
    link += [_fault(rng, "refuse", ("refuse", "cut"), REFUSE_S) for _ in range(REFUSALS)]
    rng.shuffle(link)
    boxes = [EDGE, PLATFORM] * KILLS
    rng.shuffle(boxes)
    return Plan(tuple(link), tuple(Kill(box, rng.uniform(*BEFORE_KILL_S)) for box in boxes))


def _fault(rng: Random, kind: str, commands: tuple[str, ...], hold_s: tuple[float, float]) -> LinkFault:
    return LinkFault(kind, rng.uniform(*CALM_S), commands, rng.uniform(*hold_s))


def _cut(rng: Random) -> LinkFault:
    """Half of them hit an uplink that has just come back and not carried anything yet."""
    return LinkFault("cut", rng.uniform(*CALM_S), ("cut",), rng.uniform(*CUT_S), carrying=rng.random() < CUT_CARRYING)


def _delay(rng: Random) -> LinkFault:
    delay_ms = rng.randint(*DELAY_MS)
    return _fault(rng, "delay", (f"delay {delay_ms} {rng.randint(0, delay_ms)}",), DELAY_S)
