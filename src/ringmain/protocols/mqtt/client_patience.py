"""When a server's answer is overdue: how a link that died without a word is told from one that is slow. Pure.

Each answer has its time. Of several messages on their way, each has it from the answer to the one before: PUBACKs come
in the order of the messages [MQTT-4.6.0-2]. And while messages still leave it is not the server that is waited for.

It must never take for life what a dead server does too: its kernel goes on acknowledging bytes, those of pings as well.
So bytes count only until the messages have left, and an answer only if it is the one that was due.
"""

from collections.abc import Callable

LOOK_S = 1.0
"""How often it is looked whether messages still leave; an answer is noticed to be overdue by so much later."""

Line = Callable[[], tuple[int, int]]
"""Tells how many bytes have left, of any beginning, and how many have not."""

NO_LINE: Line = lambda: (0, 0)


class Patience:
    """Knows what is awaited. `sent` are messages in their order, and when; `asked` is since when another answer is
    awaited (CONNACK, SUBACK, PINGRESP).
    """

    def __init__(self, answer_s: float, line: Line, now: float) -> None:
        self.sent: dict[int, float] = {}
        self.asked: float | None = now
        self._answer_s = answer_s
        self._line = line
        self._leaving, self._left, self._looked = False, 0, now
        self._moved = now
        """When the message that is due was answered, or part of one left."""

    def answered(self, identifier: int, now: float) -> bool:
        """A PUBACK came; False where it answers nothing. While a message is passed over its time goes on."""
        if identifier == next(iter(self.sent), None):
            self._moved = now
        return self.sent.pop(identifier, None) is not None

    def sending(self, now: float) -> None:
        """Messages were handed to the transport."""
        self.look(now)
        self._leaving = True

    def look(self, now: float) -> None:
        """See whether they leave, and whether they have."""
        left, waiting = self._line()
        if self._leaving and left > self._left:
            self._moved = now
        self._leaving = self._leaving and waiting > 0
        self._left, self._looked = left, now

    def look_at(self) -> float | None:
        """When to look again."""
        return self._looked + LOOK_S if self._leaving else None

    def overdue(self) -> float | None:
        """When what is awaited is overdue."""
        oldest = next(iter(self.sent.values()), None)
        since = min((at for at in (oldest, self.asked) if at is not None), default=None)
        return None if since is None else max(since, self._moved) + self._answer_s
