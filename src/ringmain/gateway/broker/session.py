"""An MQTT session (§4.1): what of a client outlives its connection, and what waits for it.

A message of QoS 1 or 2 for a session that is kept is on disk before it is in here. It leaves the record with its
PUBACK or PUBCOMP. `offer` and the rest only move messages; they never wait.
"""

from collections import deque
from collections.abc import Callable
from typing import Protocol

import msgspec

from ringmain.gateway.broker.access import Access
from ringmain.gateway.broker.message import (
    SESSIONS,
    Waiting,
    encode_waiting,
    packet_identifier,
    queued_key,
    unreleased_key,
)
from ringmain.gateway.broker.room import Room
from ringmain.gateway.broker.subscriptions import Held
from ringmain.gateway.intake import Intake
from ringmain.model.errors import Failed
from ringmain.model.ids import TenantId
from ringmain.protocols.mqtt import properties
from ringmain.protocols.mqtt.outgoing import Sending
from ringmain.protocols.mqtt.packets import Will

Key = tuple[TenantId, str, str]
"""Tenant, owner, client id: whoever else uses the same client id has another session."""


class Link(Protocol):
    """The connection of a session."""

    def deliver(self, waiting: Waiting, identifier: int) -> Sending:
        """Hand one message to the peer."""
        ...

    def deliver_release(self, identifier: int) -> None:
        """PUBREL for a message that an earlier connection has received."""
        ...

    @property
    def choked(self) -> bool:
        """Whether the peer leaves what we write unread."""
        ...

    def flush(self) -> None:
        """Write what was handed over."""
        ...

    def taken_over(self) -> None:
        """Another connection has this session from now on."""
        ...


class _WillRecord(msgspec.Struct, frozen=True, array_like=True):
    topic: str
    payload: bytes
    qos: int
    retain: bool
    delay_s: int
    found: bytes


class Record(msgspec.Struct, frozen=True, array_like=True):
    """A session as it is kept. `gone_ms` is when its connection ended, None while there is one."""

    tenant: str
    owner: str
    client_id: str
    expiry_s: int
    gone_ms: int | None
    held: tuple[Held, ...]
    will: _WillRecord | None
    sequence: int


_encode = msgspec.msgpack.Encoder().encode
decode_record = msgspec.msgpack.Decoder(Record).decode


class Session:
    """One session. `number` names it in the records."""

    def __init__(self, key: Key, number: int, intake: Intake, room: Room, on_dropped: Callable[[str], None]) -> None:
        self.key = key
        self.number = number
        self.access: Access | None = None
        self.link: Link | None = None
        self.expiry_s = 0
        self.gone_ms: int | None = None
        self.will: Will | None = None
        self.will_due_ms: int | None = None
        self.held: dict[str, Held] = {}
        self.unreleased: set[bytes] = set()
        self.is_over = self.on_disk = False
        self.sequence = 0
        self.coming = 0
        """Messages that wait for their commit before they wait in here."""
        self.deferred = 0
        """Those of QoS 0 among them: later ones go behind them."""
        self._queue: deque[Waiting] = deque()
        self._flight: dict[int, Waiting] = {}
        self._intake = intake
        self._room = room
        self._on_dropped = on_dropped

    @property
    def tenant(self) -> TenantId:
        return self.key[0]

    @property
    def online(self) -> bool:
        """Whether it has a connection."""
        return self.link is not None

    @property
    def is_kept(self) -> bool:
        """Whether it outlives its connection."""
        return self.expiry_s > 0

    @property
    def size(self) -> int:
        """Messages that wait, on their way included."""
        return len(self._queue) + len(self._flight) + self.coming

    # -- records --------------------------------------------------------------------------------------------

    @property
    def record_key(self) -> bytes:
        return SESSIONS + self.number.to_bytes(8, "big")

    def record(self) -> bytes:
        """The session as it is now."""
        will = self.will
        stored = None
        if will:
            found = properties.encode(will.properties) if will.properties else b""
            stored = _WillRecord(will.topic, will.payload, will.qos, will.retain, will.delay_s, found)
        tenant, owner, client_id = self.key
        held = tuple(self.held.values())
        return _encode(Record(tenant, owner, client_id, self.expiry_s, self.gone_ms, held, stored, self.sequence))

    def forget(self) -> None:
        """It is over: nothing of it stays on disk."""
        self.is_over = True
        if self.on_disk:
            self._intake.tidy(self.record_key)
        for waiting in (*self._queue, *self._flight.values()):
            self._settle(waiting)
        for identifier in self.unreleased if self.on_disk else ():
            self._intake.tidy(unreleased_key(self.number, identifier))
        self._queue.clear()
        self._flight.clear()

    def restore(self, waiting: Waiting) -> None:
        """A message out of the records, in their order."""
        self._room.take(waiting)
        self._queue.append(waiting)
        self.sequence = max(self.sequence, waiting.sequence)

    # -- messages -------------------------------------------------------------------------------------------

    def expect(self, waiting: Waiting) -> None:
        """A message of QoS 1 or 2 comes, once it is durable."""
        self._room.take(waiting)
        self.coming += 1

    def expect_no_more(self, waiting: Waiting) -> None:
        """It does not."""
        self._room.give(waiting)
        self.coming -= 1

    def arrived(self, waiting: Waiting) -> None:
        """It is durable: `pump` sends it."""
        self.coming -= 1
        if self.is_over:
            self._settle(waiting)
        else:
            self._queue.append(waiting)

    def offer(self, waiting: Waiting, now_ms: int) -> None:
        """A message of QoS 0: now, or behind those that wait for a peer that is there."""
        if self._queue and self.online:
            self._room.take(waiting)
            self._queue.append(waiting)
            self.pump(now_ms)
        elif self.link and self._may(waiting) and not self.link.choked:
            self.link.deliver(waiting, 0)
            self.link.flush()
        else:
            self._on_dropped("not_read")

    def pump(self, now_ms: int) -> None:
        """Send what waits, as far as the peer takes it."""
        link, sent = self.link, False
        while link and self._queue and not link.choked:
            waiting = self._queue[0]
            identifier = packet_identifier(waiting.sequence) if waiting.qos else 0
            if waiting.released:
                self._flight[identifier] = self._queue.popleft()
                link.deliver_release(identifier)
                sent = True
                continue
            expires_ms = waiting.message.expires_ms
            has_expired = expires_ms is not None and expires_ms <= now_ms and not waiting.begun
            if has_expired or not self._may(waiting):
                self._drop_first("expired" if has_expired else "not_authorized")
                continue
            if identifier in self._flight:
                break  # 65,535 messages ago, and still not acknowledged
            sending = link.deliver(waiting, identifier)
            if sending is Sending.NO_ROOM:
                break
            if sending is Sending.TOO_LARGE:
                self._drop_first("too_large")
                continue
            sent = True
            self._queue.popleft()
            if waiting.qos:
                self._flight[identifier] = waiting
            else:
                self._room.give(waiting)
        if sent and link:
            link.flush()

    def delivered(self, identifier: int, now_ms: int) -> None:
        """A message is over."""
        waiting = self._flight.pop(identifier, None)
        if waiting:
            self._settle(waiting)
        self.pump(now_ms)

    def received(self, identifier: int, then: Callable[[], None]) -> None:
        """PUBREC came: `then` sends PUBREL, once a crash can not bring the message back. While there is no room it is
        tried again, for this peer says PUBREC once; on its next connection the message goes out once more, and it
        will know the identifier.
        """
        waiting, link = self._flight.get(identifier), self.link
        if waiting is None:
            return
        if not self.is_kept:
            waiting.released = True
            then()
            return

        def recorded(failed: Failed | None) -> None:
            if failed is None:
                waiting.released = True
            if link is not self.link:
                return
            if failed is None:
                then()
            elif failed.code == "storage_full":
                self.received(identifier, then)

        released = msgspec.structs.replace(waiting, released=True)
        self._intake.record({queued_key(self.number, waiting.sequence): encode_waiting(released)}, recorded)

    def attach(self, link: Link, access: Access) -> None:
        """A connection has the session."""
        self.link, self.access, self.gone_ms, self.will_due_ms = link, access, None, None

    def detach(self, now_ms: int) -> None:
        """The connection is gone. What was on its way goes again, in the order and with the identifiers it had
        [MQTT-4.4.0-1] [MQTT-4.6.0-1].
        """
        self.link, self.gone_ms = None, now_ms
        for waiting in self._queue:
            if not waiting.qos:
                self._room.give(waiting)
        self._queue = deque(waiting for waiting in self._queue if waiting.qos)
        for waiting in reversed(self._flight.values()):
            waiting.dup = waiting.begun = True
            self._queue.appendleft(waiting)
        self._flight.clear()

    def _may(self, waiting: Waiting) -> bool:
        """Authorisation at delivery; any error in it is a refusal."""
        return self.access is not None and self.access.receives(waiting.message.topic)

    def _drop_first(self, reason: str) -> None:
        self._settle(self._queue.popleft())
        self._on_dropped(reason)

    def _settle(self, waiting: Waiting) -> None:
        """It is over, one way or another."""
        self._room.give(waiting)
        if waiting.qos and self.on_disk:
            self._intake.tidy(queued_key(self.number, waiting.sequence))
