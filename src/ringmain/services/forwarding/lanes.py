"""Lanes: which rows of the buffer go up live, and which are the backlog. Pure; offsets and counts only.

Live is what was appended since the uplink came up. Everything before is backlog, and so is what the live lane had to
skip because the link is slower than the meters: the newest readings are worth more than the order. A sealed row is
always backlog.
"""

from collections.abc import Iterable, Sequence

from ringmain.model.ids import Offset


class Lanes:
    """The border between the lanes, what is on its way, and how far each lane has come."""

    def __init__(self) -> None:
        self.border = Offset(0)
        """Raw rows above it are live, up to it backlog."""
        self.live_sent = Offset(0)
        """The live lane has taken everything up to here."""
        self.raw_sent = Offset(0)
        self.sealed_sent = Offset(0)
        """The backlog lane has looked at all rows of that kind up to here in this pass."""
        self.again = False
        """Whether this pass left something behind."""
        self._flying: set[Offset] = set()
        self._taken_before = 0
        self._live_settled = 0

    def connected(self, last: Offset, taken: int) -> None:
        """A new connection: nothing is on its way any more, and everything that is there is backlog."""
        self._flying.clear()
        self.move_border(last, taken)
        self.restart()

    def move_border(self, last: Offset, taken: int) -> None:
        """What is there now is backlog: `last` is the newest offset, `taken` how many readings there ever were."""
        self.border = self.live_sent = last
        self._taken_before, self._live_settled = taken, 0
        self.again = True

    def fall_back(self, offset: Offset) -> None:
        """A live row has to go again: it is backlog, and so are those before it."""
        self.border = max(self.border, offset)

    def restart(self) -> None:
        """Go through the backlog once more."""
        self.raw_sent = self.sealed_sent = Offset(0)
        self.again = False

    def take(self, offsets: Iterable[Offset]) -> None:
        """These are on their way, or being sealed."""
        self._flying.update(offsets)

    def land(self, offsets: Sequence[Offset], *, settled: bool) -> None:
        """They are no longer on their way: they are settled, or have to go again."""
        self._flying.difference_update(offsets)
        self.again |= not settled

    def settled(self, offset: Offset, readings: int) -> None:
        """So many readings of rows from `offset` on were settled."""
        if offset > self.border:
            self._live_settled += readings

    def is_free(self, offset: Offset) -> bool:
        """Whether nobody has it in hand."""
        return offset not in self._flying

    def live_readings(self, taken: int) -> int:
        """Readings in the live lane that are not settled yet."""
        return max(0, taken - self._taken_before - self._live_settled)

    @property
    def in_flight(self) -> int:
        """Rows on their way."""
        return len(self._flying)
