"""Lanes: which rows of the buffer go up live, and which are the backlog. Pure; offsets only.

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

    def connected(self, last: Offset) -> None:
        """A new connection: nothing is on its way any more, and everything that is there is backlog."""
        self._flying.clear()
        self.move_border(last)
        self.restart()

    def move_border(self, last: Offset) -> None:
        """What is there now is backlog: `last` is the newest offset."""
        self.border = self.live_sent = last
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

    def is_free(self, offset: Offset) -> bool:
        """Whether nobody has it in hand."""
        return offset not in self._flying

    @property
    def in_flight(self) -> int:
        """Rows on their way."""
        return len(self._flying)
