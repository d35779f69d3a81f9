"""The broker: sessions, subscriptions and retained messages of all tenants, and what has to be on disk before anybody
is told so.

It runs in the loop and never waits: what must be durable goes into the intake's next commit with everything else that
came meanwhile, and what follows from it follows then. Nothing crosses from one tenant to another: each has a realm of
its own, and a message does not know any other.
"""

import asyncio
import heapq
import itertools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence

from ringmain.gateway.broker.access import Access
from ringmain.gateway.broker.delivery import PROGRAM_QUEUE_MAX, QUEUE_MAX, Delivery, copies_of
from ringmain.gateway.broker.message import (
    COUNTED,
    QUEUED,
    RETAINED,
    SESSIONS,
    UNRELEASED,
    Message,
    Waiting,
    decode_message,
    decode_waiting,
    unreleased_key,
    with_expiry,
)
from ringmain.gateway.broker.realm import Realm
from ringmain.gateway.broker.retained import RETAINED_MAX
from ringmain.gateway.broker.session import Key, Link, Session, decode_record
from ringmain.gateway.broker.subscriptions import Held
from ringmain.gateway.intake import Intake
from ringmain.model.errors import Failed, Refused
from ringmain.model.ids import TenantId
from ringmain.ports.clock import Clock
from ringmain.ports.queue import Queue
from ringmain.protocols.mqtt import properties
from ringmain.protocols.mqtt.packets import Connect, Will
from ringmain.protocols.mqtt.wire import Cursor

log = logging.getLogger(__name__)

TICK_S = 0.25
"""Between looks at wills and sessions that are due: a will of one second's delay comes within that second."""

SESSIONS_MAX = 100_000
"""Sessions of all tenants, without connection too."""


class Broker:
    """One for each composition, shared by all doors."""

    def __init__(
        self,
        intake: Intake,
        clock: Clock,
        *,
        queue_max: int = QUEUE_MAX,
        program_queue_max: int = PROGRAM_QUEUE_MAX,
        on_dropped: Callable[[str], None] = lambda _: None,
    ) -> None:
        """`on_dropped` hears why a message did not reach a session."""
        self._intake = intake
        self._clock = clock
        self._on_dropped = on_dropped
        self._delivery = Delivery(intake, clock, queue_max, program_queue_max, on_dropped)
        self._realms: dict[TenantId, Realm] = {}
        self._sessions: dict[Key, Session] = {}
        self._due: list[tuple[int, int, Session]] = []
        self._looks = itertools.count()
        self._number = 0
        self.on_will: Callable[[Session, Message], bool] | None = None
        """Takes the wills of those whose messages are judged elsewhere; whether it has."""
        self.on_asked: Callable[[TenantId, str], None] = lambda _tenant, _filter: None
        """Told of each subscription before its retained messages are looked up."""

    # -- start and time -------------------------------------------------------------------------------------

    async def load(self, queue: Queue) -> None:
        """Read back what was kept. Whoever was connected is gone since now; its will comes with the next `tick`, when
        everybody who has subscribed is here again.
        """
        now_ms = self._clock.now_ms()
        by_number: dict[int, Session] = {}
        for key, value in await queue.records(SESSIONS):
            session = self._restored(int.from_bytes(key[1:], "big"), value, now_ms)
            by_number[session.number] = session
        for key, value in await queue.records(QUEUED):
            owner = by_number.get(int.from_bytes(key[1:9], "big"))
            if owner is None:
                self._intake.tidy(key)
            else:
                owner.restore(decode_waiting(int.from_bytes(key[9:], "big"), value))
        for key, _ in await queue.records(UNRELEASED):
            owner = by_number.get(int.from_bytes(key[1:9], "big"))
            if owner is None:
                self._intake.tidy(key)
            else:
                owner.unreleased.add(key[9:])
        for key, value in await queue.records(RETAINED):
            tenant, _, _ = key[1:].partition(b"\0")
            self.realm(TenantId(tenant.decode())).retained.put(decode_message(value))
        for key, value in await queue.records(COUNTED):
            self.realm(TenantId(key[1:].decode())).published = int.from_bytes(value, "big")

    def _restored(self, number: int, value: bytes, now_ms: int) -> Session:
        record = decode_record(value)
        session = Session(
            (TenantId(record.tenant), record.owner, record.client_id),
            number,
            self._intake,
            self._delivery.room,
            self._on_dropped,
        )
        self._number = max(self._number, number)
        self._sessions[session.key] = session
        session.expiry_s, session.sequence, session.on_disk = record.expiry_s, record.sequence, True
        session.gone_ms = now_ms if record.gone_ms is None else record.gone_ms
        if record.will:
            stored = record.will
            found = properties.decode(Cursor(stored.found), properties.IN_WILL) if stored.found else properties.NONE
            session.will = Will(stored.topic, stored.payload, stored.qos, stored.retain, stored.delay_s, found)
            # Not before everything is read back: who listens may come after it, and so may what already waits for them.
            session.will_due_ms = session.gone_ms + min(stored.delay_s, session.expiry_s) * 1000
            self._look_at(session, session.will_due_ms)
        for held in record.held:
            session.held[held.asked] = held
            self.realm(session.tenant).subscriptions.add(session, held)
        self._look_at(session, session.gone_ms + session.expiry_s * 1000)
        return session

    async def run(self) -> None:
        """Publish wills and end sessions that are due, until cancelled."""
        while True:
            await asyncio.sleep(TICK_S)
            self.tick()

    def tick(self) -> None:
        """What is due now."""
        now_ms = self._clock.now_ms()
        while self._due and self._due[0][0] <= now_ms:
            _, _, session = heapq.heappop(self._due)
            if session.is_over or session.online:
                continue
            if session.will_due_ms is not None and session.will_due_ms <= now_ms:
                self._publish_will(session)
            if session.gone_ms is not None and session.gone_ms + session.expiry_s * 1000 <= now_ms:
                self._end(session)

    def _record(self, session: Session, then: Callable[[Failed | None], None]) -> None:
        session.on_disk = True
        self._intake.record({session.record_key: session.record()}, then)

    def _look_at(self, session: Session, due_ms: int) -> None:
        heapq.heappush(self._due, (due_ms, next(self._looks), session))

    # -- sessions -------------------------------------------------------------------------------------------

    def realm(self, tenant: TenantId) -> Realm:
        """The realm of a tenant."""
        found = self._realms.get(tenant)
        if found is None:
            found = self._realms[tenant] = Realm(tenant, self._intake, self._on_dropped)
        return found

    def open(
        self,
        access: Access,
        client_id: str,
        connect: Connect,
        expiry_s: int,
        link: Link,
        then: Callable[[Session, bool, Failed | None], None],
    ) -> None:
        """Give `link` its session (§3.1.2.4, §3.1.4): `then` is called with it and whether it was there before, once
        that is durable where it has to be. A connection that has it is taken over at once.
        """
        key = (access.tenant, access.owner, client_id)
        session = self._sessions.get(key)
        if session and session.link:
            session.link.taken_over()
            session = self._sessions.get(key)
        if session and connect.clean_start:
            self._end(session)
            session = None
        is_present = session is not None
        if session is None:
            if len(self._sessions) >= SESSIONS_MAX:
                raise Refused("unavailable", f"{SESSIONS_MAX} sessions at a time", "end some, or let them expire")
            self._number += 1
            session = self._sessions[key] = Session(
                key, self._number, self._intake, self._delivery.room, self._on_dropped
            )
        session.attach(link, access)
        session.expiry_s, session.will = expiry_s, connect.will
        opened = session
        if session.is_kept or session.will or session.on_disk:
            self._record(session, lambda failed: then(opened, is_present, failed))
        else:
            then(session, is_present, None)

    def close(self, session: Session, link: Link, *, with_will: bool, expiry_s: int | None = None) -> None:
        """A connection ended."""
        if session.link is not link or session.is_over:
            return
        now_ms = self._clock.now_ms()
        session.detach(now_ms)
        if expiry_s is not None:
            session.expiry_s = expiry_s
        if session.will and with_will:
            self._put_off_will(session, now_ms)
        else:
            had, session.will = session.will, None
            if had and not session.is_kept:
                self._intake.tidy(session.record_key)
                session.on_disk = False
        if not session.is_kept:
            self._end(session)
            return
        self._intake.tidy(session.record_key, session.record())
        self._look_at(session, now_ms + session.expiry_s * 1000)

    def forget(self, tenant: TenantId, owner: str) -> None:
        """An owner is no more, and nothing of its sessions may stay."""
        for session in [each for key, each in self._sessions.items() if key[:2] == (tenant, owner)]:
            session.will = None
            self._end(session)

    def _end(self, session: Session) -> None:
        """The session is over; a will that was put off is not put off further (§3.1.3.2.2)."""
        if session.will and not session.online:
            self._publish_will(session)
        tree = self.realm(session.tenant).subscriptions
        for held in session.held.values():
            tree.remove(session, held)
        session.held.clear()
        self._sessions.pop(session.key, None)
        session.forget()

    def _put_off_will(self, session: Session, now_ms: int) -> None:
        will = session.will
        if will is None:
            return
        delay_s = min(will.delay_s, session.expiry_s)
        session.will_due_ms = now_ms + delay_s * 1000
        if delay_s:
            session.access = None  # who it is and what it may do is asked anew then
            self._look_at(session, session.will_due_ms)
        else:
            self._publish_will(session)

    def _publish_will(self, session: Session) -> None:
        will, session.will, session.will_due_ms = session.will, None, None
        if will is None:
            return
        now_ms = self._clock.now_ms()
        expires_ms = with_expiry(will.properties, now_ms)
        message = Message(will.topic, will.payload, will.qos, will.retain, will.properties, expires_ms)
        if not (self.on_will and self.on_will(session, message)):
            self.publish(session.tenant, message)
        if not session.is_over:
            self._intake.tidy(session.record_key, session.record() if session.is_kept else None)

    # -- subscriptions --------------------------------------------------------------------------------------

    def subscribe(
        self, session: Session, asked: Sequence[tuple[Held, int]], then: Callable[[Failed | None], None]
    ) -> None:
        """Add subscriptions, each with its retain handling (§3.8.3.1). `then` is called when they are durable where
        they have to be; the retained messages follow it.
        """
        retained: list[tuple[Held, Message]] = []
        before = {held.asked: session.held.get(held.asked) for held, _ in asked}
        for held, handling in asked:
            is_new = held.asked not in session.held
            self._hold(session, held.asked, held)
            self.on_asked(session.tenant, held.filter)
            if not held.group and (handling == 0 or (handling == 1 and is_new)):
                retained += self._retained(session, held, RETAINED_MAX - len(retained))
        if session.is_kept and asked:
            self._record(session, lambda failed: self._changed(session, before, failed, then))
        else:
            then(None)
        now_ms = self._clock.now_ms()
        alive = [(held, each) for held, each in retained if each.expires_ms is None or each.expires_ms > now_ms]
        self._delivery.send(
            (
                session,
                Waiting(
                    message,
                    min(message.qos, held.qos),
                    held.name_of(message.topic),
                    retain=True,
                    numbers=(held.number,) if held.number else (),
                ),
            )
            for held, message in alive
        )

    def _retained(self, session: Session, held: Held, most: int) -> list[tuple[Held, Message]]:
        """What is retained for one filter, `most` messages of it: many filters may cover the same ones."""
        found = self.realm(session.tenant).retained.match(held.filter) if most else []
        for _ in found[most:]:
            self._on_dropped("queue_full")
        return [(held, each) for each in found[:most]]

    def unsubscribe(
        self, session: Session, filters: Sequence[str], then: Callable[[Failed | None], None]
    ) -> list[bool]:
        """Take subscriptions away; which of them there were."""
        before = {each: session.held.get(each) for each in filters}
        found = [session.held.get(each) is not None and self._hold(session, each, None) for each in filters]
        if session.is_kept and any(found):
            self._record(session, lambda failed: self._changed(session, before, failed, then))
        else:
            then(None)
        return found

    def _hold(self, session: Session, asked: str, held: Held | None) -> bool:
        """Have this in place of whatever the session had of that filter before."""
        tree = self.realm(session.tenant).subscriptions
        known = session.held.pop(asked, None)
        if known:
            tree.remove(session, known)
        if held:
            session.held[asked] = held
            tree.add(session, held)
        return True

    def _changed(
        self,
        session: Session,
        before: Mapping[str, Held | None],
        failed: Failed | None,
        then: Callable[[Failed | None], None],
    ) -> None:
        """Where that failed everything is as it was."""
        if failed and not session.is_over:
            for asked, held in before.items():
                self._hold(session, asked, held)
        then(failed)

    # -- messages -------------------------------------------------------------------------------------------

    def listens(self, tenant: TenantId) -> bool:
        """Whether anybody of a tenant has subscribed to anything."""
        realm = self._realms.get(tenant)
        return realm is not None and realm.subscriptions.count > 0

    def publish(self, tenant: TenantId, message: Message, origin: Session | None = None) -> bool:
        """Keep it where it is retained, and send it to everybody who has subscribed; whether anybody has, be it the one
        who says it. What is of QoS 1 or 2 leaves when the commit that holds it is done, so that a publisher that hears
        of no commit and repeats it is not heard twice.
        """
        realm = self.realm(tenant)
        if message.retain:
            realm.retain(message)
        matches = realm.subscriptions.match(message.topic)
        self._delivery.send(copies_of(message, matches, origin), last=message.qos == 2)
        return bool(matches)

    def keep(self, tenant: TenantId, message: Message) -> None:
        """Retain a message without sending it to anybody."""
        self.realm(tenant).retain(message)

    def count(self, tenant: TenantId, messages: int) -> None:
        """Messages of QoS 1 and 2 that clients have published, durably."""
        self.realm(tenant).count(messages)

    def take(self, session: Session, identifiers: Iterable[bytes]) -> None:
        """Messages of QoS 2 that come with the same commit (§4.3.3)."""
        records = {}
        for identifier in identifiers:
            session.unreleased.add(identifier)
            if session.is_kept:
                records[unreleased_key(session.number, identifier)] = b""
        if records:
            self._intake.record(records)

    def release(self, session: Session, identifier: bytes, then: Callable[[Failed | None], None]) -> None:
        """PUBREL came; `then` says PUBCOMP. There is no other answer: while there is no room it waits."""
        session.unreleased.discard(identifier)
        if session.is_kept:
            self._intake.insist(
                {unreleased_key(session.number, identifier): None},
                lambda failed: self._released(session, identifier, failed, then),
            )
        else:
            then(None)

    def _released(
        self, session: Session, identifier: bytes, failed: Failed | None, then: Callable[[Failed | None], None]
    ) -> None:
        """Where that failed the record is still there, and the peer says PUBREL once more."""
        if failed and not session.is_over:
            session.unreleased.add(identifier)
        then(failed)

    def untake(self, session: Session, identifiers: Iterable[bytes]) -> None:
        """Messages of QoS 2 that were refused after all: their identifiers are free."""
        for identifier in identifiers:
            if identifier in session.unreleased:
                session.unreleased.discard(identifier)
                if session.is_kept:
                    self._intake.tidy(unreleased_key(session.number, identifier))
