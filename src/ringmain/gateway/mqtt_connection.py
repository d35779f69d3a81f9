"""One MQTT connection, from CONNECT to the end: what the machine says goes to the sign-in, the pipeline and the
broker, and what they answer goes back to the machine.

Nothing is acknowledged before the intake says that it is durable, and nobody hears what it may not.
"""

import asyncio
import logging
import secrets
from collections.abc import Sequence
from itertools import groupby

from ringmain.gateway.broker.access import Access, DeviceAccess, Grant, canonical
from ringmain.gateway.broker.message import Message, Waiting, with_expiry
from ringmain.gateway.broker.session import Session
from ringmain.gateway.broker.subscriptions import Held
from ringmain.gateway.mqtt_door import Door
from ringmain.gateway.pipeline import Authenticated, SignedIn
from ringmain.gateway.provisioning import ANSWER, CLAIMANTS_MAX, Claimant, Provisioner, claim_of
from ringmain.gateway.route import grants
from ringmain.model.device import Principal
from ringmain.model.errors import ERRORS, Failed, Refused
from ringmain.protocols.mqtt import properties
from ringmain.protocols.mqtt.events import (
    Closed,
    ConnectAsked,
    Delivered,
    Event,
    Phase,
    Published,
    Received,
    Released,
    SubscribeAsked,
    UnsubscribeAsked,
)
from ringmain.protocols.mqtt.handshake import number_of
from ringmain.protocols.mqtt.machine import Sending, ServerMachine
from ringmain.protocols.mqtt.packets import Connect, Subscription
from ringmain.protocols.mqtt.properties import Property, Value
from ringmain.protocols.mqtt.reasons import Reason
from ringmain.protocols.mqtt.topics import shared_filter
from ringmain.transports.stream import StreamDriver

log = logging.getLogger(__name__)

SUBSCRIPTIONS_MAX = 16
"""A device's own tree has a handful of notices; more filters than this are a mistake."""

CONSUMER_SUBSCRIPTIONS_MAX = 1_000
"""Of a back-end program, which may follow single devices."""

IN_FLIGHT_311_MAX = 4_096
"""3.1.1 has no receive maximum: beyond this many unacknowledged messages its socket is not read."""


class MqttConnection:
    """Depositor of the intake, connection of a device, link of a session."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._machine = ServerMachine(door.limits, asyncio.get_running_loop().time())
        self._machine.server_reference = door.server_reference
        self.driver: StreamDriver[Event] = StreamDriver(self._machine, self._on_events, lambda: door.remember(self))
        self.driver.on_drained = self._pump
        self.client_id = ""
        self._access: Access | None = None
        self._who: SignedIn | None = None
        self._claimant: Claimant | None = None
        self._session: Session | None = None
        self._epoch = 0
        self._listens: dict[str, tuple[tuple[str, ...], int]] = {}
        self._answers: dict[bytes, Reason] = {}
        self._over = self._attached = self._will_is_void = False
        self._name = door.name

    # -- what the machine says ------------------------------------------------------------------------------

    def _on_events(self, _: StreamDriver[Event], events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Published):
                self._published(event)
            elif isinstance(event, ConnectAsked):
                self.driver.hold("sign-in")
                self._door.tasks.create_task(self._sign_in(event.connect))
            elif isinstance(event, Closed):
                self._closed(event)
            elif self._session or self._claimant:
                self._asked(event)
        if self._who and not self._over:
            self._door.sessions.active(self._who.device, self._door.clock.now_ms())

    def _asked(self, event: Event) -> None:
        session = self._session
        if isinstance(event, SubscribeAsked):
            self._subscribe(event)
        elif isinstance(event, UnsubscribeAsked):
            self._unsubscribe(event)
        elif isinstance(event, Delivered) and session:
            session.delivered(event.identifier, self._door.clock.now_ms())
        elif isinstance(event, Received) and session:
            session.received(event.identifier, lambda: self._release(event.identifier))
        elif isinstance(event, Released) and session:
            self._door.broker.release(session, event.identifier, lambda failed: self._complete(event, failed))

    def _published(self, event: Published) -> None:
        if self._claimant:
            self._claimant.published(event, listens=bool(self._listens))
            return
        session = self._session
        if session is None:
            return
        if not event.plain:
            second = [each for each, first in zip(event.identifiers, event.firsts, strict=True) if first & 4]
            if second:
                self._door.broker.take(session, second)
        if self._who:
            self._uplink(self._who, session, event)
        else:
            self._plain(session, event)
        if self._machine.in_flight > IN_FLIGHT_311_MAX:
            self.driver.hold("in flight", excuses=True)

    def _uplink(self, who: SignedIn, session: Session, event: Published) -> None:
        """What a device says: into the pipeline, and to whoever listens in its tenant."""
        pipeline, broker, tenant = self._door.pipeline, self._door.broker, session.tenant
        content_types = None
        if not event.plain:
            content_types = [str(found.get(Property.CONTENT_TYPE, "")) for found in event.properties]
        messages = Authenticated(who, self._name, event.topics, event.payloads, event.identifiers, content_types)
        pipeline.uplink(messages, self)
        if event.plain and not who.speaks and not broker.listens(tenant):
            return
        device_id = who.principal.device.id
        for place, topic in enumerate(event.topics):
            route = who.routes.get(topic)
            if route is None or route.reason:
                continue
            first, found = (
                (event.firsts[place], event.properties[place])
                if not event.plain
                else (0x32 if event.identifiers[place] else 0x30, properties.NONE)
            )
            shown = canonical(device_id, route.topic)
            self._broadcast(session, shown, event.payloads[place], first, found)

    def _plain(self, session: Session, event: Published) -> None:
        """What somebody who is no device says: to whoever listens in its tenant."""
        counted = 0
        for place, raw in enumerate(event.topics):
            topic, identifier = raw.decode(), event.identifiers[place]
            first = (0x32 if identifier else 0x30) if event.plain else event.firsts[place]
            found = properties.NONE if event.plain else event.properties[place]
            refusal = self._may_publish(topic)
            if refusal:
                self._answers[identifier] = refusal
            elif not self._broadcast(session, topic, event.payloads[place], first, found) and first & 6 == 2:
                self._answers[identifier] = Reason.NO_MATCHING_SUBSCRIBERS
            counted += bool(identifier)
        self._answers.pop(b"", None)
        if counted:
            self._door.broker.count(session.tenant, counted)
            self._door.pipeline.intake.enlist(self, [each for each in event.identifiers if each])

    def _broadcast(
        self, session: Session, topic: str, payload: bytes, first: int, found: properties.Properties
    ) -> bool:
        expires_ms = with_expiry(found, self._door.clock.now_ms()) if found else None
        message = Message(topic, payload, first >> 1 & 3, bool(first & 1), found, expires_ms)
        heard = self._door.broker.publish(session.tenant, message, session)
        self._door.attributes.said(session.tenant, message)
        return heard

    def _may_publish(self, topic: str) -> Reason | None:
        """Fails closed: an error on our side is a refusal."""
        try:
            return self._access.publishes(topic) if self._access else Reason.NOT_AUTHORIZED
        except Exception:
            log.exception("it could not be found out whether a client may publish; it may not")
            return Reason.NOT_AUTHORIZED

    def _release(self, identifier: int) -> None:
        self._machine.release_message(identifier)
        self.driver.flush()

    def _complete(self, event: Released, failed: Failed | None) -> None:
        if failed:  # the peer says it again: on this connection, or on its next one
            return
        self._machine.complete(event.identifier)
        self.driver.flush()

    def _pump(self) -> None:
        if self._session:
            self._session.pump(self._door.clock.now_ms())

    # -- coming in ------------------------------------------------------------------------------------------

    async def _sign_in(self, connect: Connect) -> None:
        """A task of the door's: whatever goes wrong in here ends this connection and nothing else."""
        try:
            await self._let_in(connect)
        except Refused as refused:
            self._door.on_refused(refused.code)
            reason = Reason(refused.error.mqtt_reason)
            if refused.code == "shutting_down" and self._door.server_reference:
                reason = Reason.USE_ANOTHER_SERVER
            self._closed(self._machine.refuse(reason, refused.detail))
        except Exception:
            log.exception("a connection failed on our side while it signed in; it is closed")
            self._door.on_refused("internal")
            self.end(Reason.UNSPECIFIED, "internal error")

    async def _let_in(self, connect: Connect) -> None:
        door = self._door
        if door.draining:
            raise Refused("shutting_down", "the platform is shutting down")
        if door.is_full() or door.pipeline.intake.trouble:
            raise Refused("unavailable", "the platform takes no more connections now")
        claim = claim_of(connect.user_name, connect.password)
        if claim and door.provisioner:
            self._let_claim(connect, claim, door.provisioner)
            return
        certificate = self.driver.certificate
        with door.connections.watch() as changed:
            found = await door.authenticator.sign_in(connect.user_name, connect.password, certificate)
            while isinstance(found, Principal) and found.device.key in changed:
                changed.clear()
                found = await door.authenticator.sign_in(connect.user_name, connect.password, certificate)
        if self._machine.phase is not Phase.AUTHENTICATING:
            return  # it went away, or took too long, while it was looked up
        if isinstance(found, Principal):
            self._admit(connect, found, door.pipeline.admit(found))
        else:
            self._open(connect, found)

    def _let_claim(self, connect: Connect, claim: str, provisioner: Provisioner) -> None:
        """Somebody who is nobody yet: no device, no session, no lane, no will."""
        door = self._door
        if door.claimants >= CLAIMANTS_MAX:
            raise Refused("unavailable", "too many claims at a time")
        if self._machine.phase is not Phase.AUTHENTICATING:
            return
        door.claimants += 1
        self._claimant = Claimant(claim, provisioner, door.tasks, answer=self._answer, end=self.end)
        self._welcomed(self._machine.accept(self.driver.now(), self._name_of(connect)))

    def _answer(self, identifier: bytes, body: bytes) -> None:
        """A claim was redeemed, or was not."""
        self._machine.acknowledge([identifier] if identifier else [])
        qos = max((granted for _, granted in self._listens.values()), default=0)
        if self._machine.publish(ANSWER, body, qos) is not Sending.SENT:
            self.end(Reason.PACKET_TOO_LARGE, "the answer has no room; repeat the request with the same CSR or nonce")
        self.driver.flush()

    def _name_of(self, connect: Connect) -> str:
        """Take the client id, or assign one; what was assigned."""
        assigned = "" if connect.client_id else f"ringmain-{secrets.token_hex(8)}"
        self.client_id = connect.client_id or assigned
        return assigned

    def _admit(self, connect: Connect, principal: Principal, who: SignedIn) -> None:
        """A device: cut from here on at once, should it be suspended."""
        door, device = self._door, principal.device
        self.client_id = connect.client_id
        self._who = who
        self._open(connect, DeviceAccess(principal))
        if self._over:
            return
        replaced = door.connections.attach(device.key, self)
        self._attached = True
        if isinstance(replaced, MqttConnection):
            replaced.end(Reason.SESSION_TAKEN_OVER, "another connection uses this client id")
        interval_s = principal.profile.expected_interval_s
        self._epoch = door.sessions.connected(device.key, interval_s, self._name, self.driver.peer)

    def _open(self, connect: Connect, access: Access) -> None:
        limit = self._door.limits.session_expiry_s_max
        if connect.level == 5:
            expiry_s = min(number_of(connect, Property.SESSION_EXPIRY, 0), limit)
        else:
            expiry_s = 0 if connect.clean_start else limit
        assigned = self._name_of(connect)
        self._access = access
        if connect.will and (refusal := self._may_leave(access, connect.will.topic)):
            raise Refused(refusal, f"a will on {connect.will.topic} is not permitted")

        def opened(session: Session, is_present: bool, failed: Failed | None) -> None:  # noqa: FBT001
            self._opened(session, assigned, failed, is_present=is_present)

        self._door.broker.open(access, self.client_id, connect, expiry_s, self, opened)

    def _may_leave(self, access: Access, topic: str) -> str:
        """Of a will: one of a device is judged as any message of it, when it is published."""
        if isinstance(access, DeviceAccess):
            return ""
        return "not_authorized" if self._may_publish(topic) else ""

    def _opened(self, session: Session, assigned: str, failed: Failed | None, *, is_present: bool) -> None:
        """The session is durable where it has to be: now the client may know that it has it."""
        if failed or self._over or self._machine.phase is not Phase.AUTHENTICATING:
            self._door.broker.close(session, self, with_will=False)
            if failed and not self._over:
                self._closed(self._machine.refuse(Reason(failed.error.mqtt_reason), failed.detail))
            return
        self._session = session
        if self._who:
            device = self._who.principal.device
            self._listens = {
                held.asked: (grants(device, held.asked), min(held.qos, 1)) for held in session.held.values()
            }
        response = f"devices/{self._who.principal.device.id}/rpc/" if self._who else f"apps/{self.client_id}/"
        self._welcomed(
            self._machine.accept(
                self.driver.now(),
                assigned,
                session_present=is_present,
                session_expiry_s=session.expiry_s,
                unreleased=tuple(session.unreleased),
                response_information=response,
            )
        )
        self._pump()
        if is_present and self._who and self._listens:
            notices = [each for found, _ in self._listens.values() for each in found]
            self._door.on_listening(self._who.principal.device, notices)

    def _welcomed(self, events: list[Event]) -> None:
        self.driver.rearm()
        if events:
            self._on_events(self.driver, events)
        self.driver.release("sign-in")
        self.driver.flush()

    # -- subscriptions --------------------------------------------------------------------------------------

    def _subscribe(self, event: SubscribeAsked) -> None:
        codes: list[int] = []
        heard: list[str] = []
        granted: list[tuple[Held, int]] = []
        for subscription in event.subscriptions:
            decided = self._decide(subscription, event.subscription_identifier)
            if isinstance(decided, Reason):
                codes.append(decided)
                continue
            notices = self._notices(subscription.filter)
            self._listens[subscription.filter] = (notices, min(decided.qos, 1))
            heard += notices
            codes.append(decided.qos)
            granted.append((decided, subscription.retain_handling))

        def then(failed: Failed | None) -> None:
            answers = [Reason.QUOTA_EXCEEDED if code < 0x80 else code for code in codes] if failed else codes
            self._machine.grant(event.identifier, list(answers))
            self.driver.flush()
            if heard and self._who and not failed:
                self._door.on_listening(self._who.principal.device, heard)

        if self._session:
            self._door.broker.subscribe(self._session, granted, then)
        else:
            then(None)

    def _decide(self, subscription: Subscription, number: int) -> Held | Reason:
        """What is granted of one filter, or why it is not."""
        limits, pattern = self._door.limits, subscription.filter
        if subscription.refusal:
            return subscription.refusal
        group, pattern = shared_filter(pattern)
        if group and (not limits.shared or self._who or not pattern):
            return Reason.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED if pattern else Reason.TOPIC_FILTER_INVALID
        grant = self._granted(pattern)
        if isinstance(grant, Reason):
            return grant
        count_max = SUBSCRIPTIONS_MAX if self._who or self._claimant else CONSUMER_SUBSCRIPTIONS_MAX
        if len(self._listens) >= count_max and subscription.filter not in self._listens:
            return Reason.QUOTA_EXCEEDED
        return Held(
            subscription.filter,
            grant.filter,
            min(subscription.qos, limits.maximum_qos),
            subscription.no_local,
            subscription.retain_as_published,
            number,
            group,
            grant.under,
            grant.shown,
        )

    def _granted(self, pattern: str) -> Grant | Reason:
        """Fails closed: an error on our side is a refusal."""
        if self._claimant:
            return Grant(pattern) if self._claimant.grants(pattern) else Reason.NOT_AUTHORIZED
        try:
            return self._access.subscribes(pattern) if self._access else Reason.NOT_AUTHORIZED
        except Exception:
            log.exception("it could not be found out whether a client may subscribe; it may not")
            return Reason.NOT_AUTHORIZED

    def _notices(self, pattern: str) -> tuple[str, ...]:
        if self._who:
            return grants(self._who.principal.device, pattern)
        return self._claimant.grants(pattern) if self._claimant else ()

    def _unsubscribe(self, event: UnsubscribeAsked) -> None:
        there = [self._listens.pop(pattern, None) is not None for pattern in event.filters]
        codes = [Reason.SUCCESS if found else Reason.NO_SUBSCRIPTION_EXISTED for found in there]

        def then(failed: Failed | None) -> None:
            self._machine.release(event.identifier, [Reason.QUOTA_EXCEEDED] * len(codes) if failed else list(codes))
            self.driver.flush()

        if self._session:
            self._door.broker.unsubscribe(self._session, event.filters, then)
        else:
            then(None)

    # -- the end --------------------------------------------------------------------------------------------

    def _closed(self, event: Closed) -> None:
        """The end, whoever made it, and once. What becomes of a will is the broker's business [MQTT-3.1.2-8]."""
        if self._over:
            return
        self._over = True
        who, self._who = self._who, None
        self._door.on_closed(event)
        if self._session:
            with_will = event.publish_will and not self._will_is_void
            self._door.broker.close(self._session, self, with_will=with_will, expiry_s=self._expiry_s(event))
        if who and self._attached:
            self._door.connections.detach(who.device, self)
            self._door.sessions.disconnected(who.device, self._epoch)
        if self._claimant:
            self._claimant.close()
            self._door.claimants -= 1
        self._door.forget(self)
        self.driver.close()

    def _expiry_s(self, event: Closed) -> int | None:
        if event.session_expiry_s is None:
            return None
        return min(event.session_expiry_s, self._door.limits.session_expiry_s_max)

    # -- what others say ------------------------------------------------------------------------------------

    def settle(self, identifiers: list[bytes], failed: Failed | None) -> None:
        """Depositor: PUBACK or PUBREC to those of QoS 1 and 2, in the order in which they came [MQTT-4.6.0-2]. What is
        not durable is never acknowledged: MQTT 5 hears 0x97, 3.1.1 loses its connection and sends again.
        """
        if failed:
            if b"" in identifiers:
                self._door.on_dropped(identifiers.count(b""))
            self._untake(identifiers)
        if failed and (self._machine.level != 5 or failed.code != "storage_full"):
            self.end(Reason.SERVER_UNAVAILABLE, failed.detail)
            return
        if b"" in identifiers:
            identifiers = [identifier for identifier in identifiers if identifier]
        if self._answers:
            answers = self._answers
            for reason, run in groupby(identifiers, lambda it: answers.pop(it, Reason.SUCCESS)):
                each = list(run)
                if reason >= 0x80:
                    self._untake(each)
                self._machine.acknowledge(each, Reason.QUOTA_EXCEEDED if failed else reason)
        elif identifiers:
            self._machine.acknowledge(identifiers, Reason.QUOTA_EXCEEDED if failed else Reason.SUCCESS)
        self.driver.flush()
        if self._machine.in_flight <= IN_FLIGHT_311_MAX:
            self.driver.release("in flight")

    def _untake(self, identifiers: Sequence[bytes]) -> None:
        """Messages of QoS 2 that are over with a PUBREC that refuses them, or were not taken at all."""
        if self._session and self._session.unreleased:
            self._door.broker.untake(self._session, identifiers)

    def refuse(self, identifiers: list[bytes], reason: str) -> None:
        """Depositor: MQTT 5 hears why with its PUBACK; 3.1.1 knows no other answer than success."""
        if self._machine.level == 5:
            answer = Reason(ERRORS[reason].mqtt_reason)
            self._answers.update((identifier, answer) for identifier in identifiers if identifier)

    def hold(self) -> None:
        """Depositor."""
        self.driver.hold("log", excuses=True)

    def resume(self) -> None:
        """Depositor."""
        self.driver.release("log")

    def cut(self, refused: Refused) -> None:
        """Connection: the device may no longer be here, and its will no longer be done."""
        if self._who and self._session and self._session.will and not self._over:
            self._door.pipeline.reject(self._who.device, refused.code, 1)
            self._door.pipeline.intake.enlist(self, [b""])
        self._will_is_void = True
        self.end(Reason(refused.error.mqtt_reason), refused.detail)

    def reauthorise(self, principal: Principal) -> None:
        """Connection: the device changed and may stay."""
        if self._who:
            self._who = self._door.pipeline.admit(principal)

    def notify(self, notice: str, body: bytes) -> bool:
        """Connection: at most once to each connection, at the best QoS of the filters that match; nothing is kept for
        one that does not read.
        """
        qos = max((granted for notices, granted in self._listens.values() if notice in notices), default=None)
        if qos is None or not self._who:
            return True
        if self.driver.is_choked:
            return False
        topic = f"devices/{self._who.principal.device.id}/{notice}"
        if self._machine.publish(topic, body, qos) is not Sending.SENT:
            return False
        self.driver.flush()
        return True

    # -- Link -----------------------------------------------------------------------------------------------

    def deliver(self, waiting: Waiting, identifier: int) -> Sending:
        """Link: what is left of the message's life goes with it [MQTT-3.3.2-6]."""
        message = waiting.message
        found: properties.Properties = properties.NONE
        if self._machine.level == 5 and (message.found or waiting.numbers):
            changed: dict[Property, Value] = dict(message.found)
            if message.expires_ms is not None:
                left_ms = message.expires_ms - self._door.clock.now_ms()
                changed[Property.MESSAGE_EXPIRY] = max(0, -(-left_ms // 1000))
            if waiting.numbers:
                changed[Property.SUBSCRIPTION_IDENTIFIER] = waiting.numbers
            found = changed
        return self._machine.publish(
            waiting.topic,
            message.payload,
            waiting.qos,
            identifier=identifier,
            found=found,
            retain=waiting.retain,
            dup=waiting.dup and waiting.qos > 0,
        )

    def deliver_release(self, identifier: int) -> None:
        """Link."""
        self._machine.release_message(identifier)

    @property
    def choked(self) -> bool:
        """Link."""
        return self.driver.is_choked

    def flush(self) -> None:
        """Link."""
        self.driver.flush()

    def taken_over(self) -> None:
        """Link [MQTT-3.1.4-3]."""
        self.end(Reason.SESSION_TAKEN_OVER, "another connection uses this client id")

    def end(self, reason: Reason, detail: str) -> None:
        """Close from our side."""
        self._closed(self._machine.close(reason, detail))
