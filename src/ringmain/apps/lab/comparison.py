"""The verdict on readings: every stamp and value of the source beside what the API returned.

Pure. It must never count on anybody's counters: it sees two lists and says where they differ.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import pairwise

import msgspec

NAMED_MAX = 20
"""How many single differences of a kind are named; more help nobody, all are counted."""


class Difference(msgspec.Struct, frozen=True):
    """One stamp with another value than the source's."""

    at_ms: int
    source: int
    served: int | float


class Repetition(msgspec.Struct, frozen=True):
    """One stamp that the API returned more than once."""

    at_ms: int
    times: int


class Comparison(msgspec.Struct, frozen=True):
    """All differences. `equal` counts stamps that the API returned once with the source's value."""

    equal: int
    missing: tuple[int, ...]
    extra: tuple[int, ...]
    different: tuple[Difference, ...]
    repeated: tuple[Repetition, ...]
    unordered: int

    @property
    def sound(self) -> bool:
        """Whether the API returned exactly what the source holds, in order."""
        return not (self.missing or self.extra or self.different or self.repeated or self.unordered)


def compare(source: Mapping[int, int], served: Iterable[tuple[int, int | float]]) -> Comparison:
    """`served` are (stamp, value) in the order of the API's pages. A value that is no integer differs always:
    whole Wh have no fraction.
    """
    listed = list(served)
    times = Counter(at for at, _ in listed)
    different = tuple(
        Difference(at, source[at], value)
        for at, value in listed
        if at in source and (type(value) is not int or value != source[at])
    )
    wrong = {difference.at_ms for difference in different}
    return Comparison(
        equal=sum(1 for at, count in times.items() if count == 1 and at in source and at not in wrong),
        missing=tuple(sorted(source.keys() - times.keys())),
        extra=tuple(sorted(times.keys() - source.keys())),
        different=different,
        repeated=tuple(Repetition(at, count) for at, count in sorted(times.items()) if count > 1),
        unordered=sum(1 for (before, _), (after, _) in pairwise(listed) if after < before),
    )


def complaints(comparison: Comparison) -> list[str]:
    """One line for each kind of difference, with the first of them named."""
    kinds: list[tuple[str, list[str]]] = [
        ("missing from the API", [str(at) for at in comparison.missing]),
        ("not in the source", [str(at) for at in comparison.extra]),
        ("of another value", [f"{d.at_ms} ({d.source} became {d.served})" for d in comparison.different]),
        ("returned more than once", [f"{r.at_ms} ({r.times} times)" for r in comparison.repeated]),
    ]
    lines = [
        f"{len(items)} readings {kind}: {', '.join(items[:NAMED_MAX])}{', …' if len(items) > NAMED_MAX else ''}"
        for kind, items in kinds
        if items
    ]
    if comparison.unordered:
        lines.append(f"{comparison.unordered} readings came out of order")
    return lines
