"""The buffer's index: of each row a few facts, in order of the offsets, and the sums that its status tells. Pure."""

from bisect import bisect_right, insort
from collections import Counter

import msgspec

from ringmain.model.ids import Offset


class Facts(msgspec.Struct, frozen=True, gc=False):
    """What is known of a row without its body."""

    sealed: bool
    readings: int
    first_ms: int
    last_ms: int
    size: int


class BufferIndex:
    """Rows by offset; raw and sealed ones in lists of their own."""

    def __init__(self) -> None:
        self._facts: dict[Offset, Facts] = {}
        self._order: dict[bool, list[Offset]] = {False: [], True: []}
        self.last = self.last_raw = Offset(0)
        self.readings = self.bytes = self.sealed_readings = self.sealed_bytes = 0
        self.taken = self.settled = 0
        self.dropped: Counter[tuple[str, str]] = Counter()

    def __contains__(self, offset: Offset) -> bool:
        return offset in self._facts

    def __getitem__(self, offset: Offset) -> Facts:
        return self._facts[offset]

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self._facts)

    @property
    def sealed_rows(self) -> int:
        """How many of them are sealed."""
        return len(self._order[True])

    @property
    def first(self) -> Offset:
        """The least offset, 0 where there is none."""
        return min((order[0] for order in self._order.values() if order), default=Offset(0))

    def add(self, offset: Offset, facts: Facts) -> None:
        """A row that is there."""
        self._facts[offset] = facts
        order = self._order[facts.sealed]
        if order and order[-1] > offset:
            insort(order, offset)
        else:
            order.append(offset)
        self.last = max(self.last, offset)
        if not facts.sealed:
            self.last_raw = max(self.last_raw, offset)
        self._count(facts, 1)

    def remove(self, offset: Offset) -> Facts | None:
        """A row that is gone; what was known of it."""
        facts = self._facts.pop(offset, None)
        if facts is None:
            return None
        order = self._order[facts.sealed]
        del order[bisect_right(order, offset) - 1]
        self._count(facts, -1)
        return facts

    def _count(self, facts: Facts, sign: int) -> None:
        self.readings += sign * facts.readings
        self.bytes += sign * facts.size
        if facts.sealed:
            self.sealed_readings += sign * facts.readings
            self.sealed_bytes += sign * facts.size

    def raw_readings(self, after: Offset) -> int:
        """Readings in raw rows behind `after`: of those there are few, the others are sealed within a minute."""
        order = self._order[False]
        return sum(self._facts[offset].readings for offset in order[bisect_right(order, after) :])

    def behind(self, after: Offset, bytes_max: int, sealed: bool | None) -> dict[Offset, Facts]:  # noqa: FBT001 - the port's
        """Rows behind `after` in order, at least one, until `bytes_max` is passed."""
        kinds = (False, True) if sealed is None else (sealed,)
        orders = [self._order[kind] for kind in kinds]
        places = [bisect_right(order, after) for order in orders]
        chosen: dict[Offset, Facts] = {}
        size = 0
        while size < bytes_max or not chosen:
            ahead = [
                (order[place], at)
                for at, (order, place) in enumerate(zip(orders, places, strict=True))
                if place < len(order)
            ]
            if not ahead:
                break
            offset, at = min(ahead)
            places[at] += 1
            chosen[offset] = self._facts[offset]
            size += chosen[offset].size
        return chosen
