"""Delivery: from a message and the subscriptions that it matches to copies in sessions, and from there to their peers.

A copy of QoS 1 or 2 reaches its session when the commit that holds it is done, and not before. It must never wait.
What was published at QoS 2 reaches no subscriber before its publisher was told PUBREC, at whatever QoS: the order of
figure 4.3, and a publisher that hears of no commit and repeats it is not heard twice. Copies of QoS 0 behind one that
waits for that wait with it: their order stays. (Who subscribes meanwhile is sent what is retained at once.)
"""

from collections.abc import Callable, Iterable, Sequence

from ringmain.gateway.broker.access import DEVICE
from ringmain.gateway.broker.message import Message, Waiting, encode_waiting, queued_key
from ringmain.gateway.broker.room import Room
from ringmain.gateway.broker.session import Session
from ringmain.gateway.broker.subscriptions import Held
from ringmain.gateway.intake import Intake
from ringmain.model.errors import Failed
from ringmain.ports.clock import Clock

QUEUE_MAX = 1_000
"""Messages that wait for one session of a device; further ones are dropped and counted. Mosquitto and EMQX take 1,000
too.
"""

PROGRAM_QUEUE_MAX = 100_000
"""The same for a program: it hears a whole tenant, and is restarted now and then."""


def copies_of(
    message: Message, matches: Iterable[tuple[Session, Held]], origin: Session | None
) -> list[tuple[Session, Waiting]]:
    """What each session gets. A device that listens to all of its tree does not want to hear itself."""
    copies: dict[tuple[Session, str], Waiting] = {}
    mute = origin.key[:2] if origin and origin.key[1].startswith(DEVICE) else None
    for session, held in matches:
        if not ((held.no_local and session is origin) or session.key[:2] == mute):
            _add(copies, session, held, message)
    return [(session, waiting) for (session, _), waiting in copies.items()]


def _add(copies: dict[tuple[Session, str], Waiting], session: Session, held: Held, message: Message) -> None:
    """One copy for each name that a session knows the topic by, at the best QoS of its subscriptions, with the
    identifiers of all (§3.3.4). What a shared subscription brings is a copy of its own.
    """
    shown = held.name_of(message.topic)
    numbers = (held.number,) if held.number else ()
    qos = min(message.qos, held.qos)
    retain = message.retain and held.retain_as_published
    at = (session, f"\0{held.asked}" if held.group else shown)
    known = copies.get(at)
    if known is None:
        copies[at] = Waiting(message, qos, shown, retain, numbers)
        return
    known.qos = max(known.qos, qos)
    known.retain = known.retain or retain
    known.numbers += numbers


class Delivery:
    """One of each broker. `room` is what all of its sessions share."""

    def __init__(
        self,
        intake: Intake,
        clock: Clock,
        queue_max: int,
        program_queue_max: int,
        on_dropped: Callable[[str], None],
    ) -> None:
        self.room = Room()
        self._intake = intake
        self._clock = clock
        self._queue_max, self._program_queue_max = queue_max, program_queue_max
        self._on_dropped = on_dropped

    def send(self, copies: Iterable[tuple[Session, Waiting]], *, last: bool = False) -> None:
        """Copies of QoS 0 go now; the others when they are durable. With `last` all of them follow the receipts of the
        next commit.
        """
        now_ms = self._clock.now_ms()
        records: dict[bytes, bytes | None] = {}
        later: list[tuple[Session, Waiting]] = []
        for session, waiting in copies:
            if reason := self._refusal(session):
                self._on_dropped(reason)
                continue
            if not (waiting.qos or last or session.deferred):
                session.offer(waiting, now_ms)
                continue
            session.expect(waiting)
            later.append((session, waiting))
            if not waiting.qos:
                session.deferred += 1
                continue
            session.sequence += 1
            waiting.sequence = session.sequence
            if session.is_kept:
                records[queued_key(session.number, waiting.sequence)] = encode_waiting(waiting)
        if later:
            self._intake.record(records, lambda failed: self._committed(later, failed), last=last)

    def _refusal(self, session: Session) -> str:
        """Why a session takes no further message now; empty where it does."""
        most = self._queue_max if session.key[1].startswith(DEVICE) else self._program_queue_max
        if session.size >= most:
            return "queue_full"
        return "no_room" if self.room.is_full else ""

    def _committed(self, copies: Sequence[tuple[Session, Waiting]], failed: Failed | None) -> None:
        if failed:
            for session, waiting in copies:
                session.expect_no_more(waiting)
                session.deferred -= not waiting.qos
            return
        now_ms = self._clock.now_ms()
        for session, waiting in copies:
            if waiting.qos:
                session.arrived(waiting)
            else:
                session.expect_no_more(waiting)
                session.deferred -= 1
                session.offer(waiting, now_ms)
        for session in dict.fromkeys(session for session, _ in copies):
            session.pump(now_ms)
