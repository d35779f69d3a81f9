"""One MQTT connection, from CONNECT to the end: what the machine says goes to the sign-in, the pipeline and the
broker, and what they answer goes back to the machine. What it says is `mqtt_uplink`'s, what it listens to
`mqtt_filters`', how it is told `mqtt_link`'s, and what it hears of its own messages `mqtt_receipts`'.

Nothing is acknowledged before the intake says that it is durable, and nobody hears what it may not.
"""

import asyncio
import logging
import secrets
from collections.abc import Sequence

from msgspec.structs import replace

from ringmain.gateway.broker.access import Access, DeviceAccess
from ringmain.gateway.broker.session import Session
from ringmain.gateway.broker.subscriptions import Held
from ringmain.gateway.mqtt_door import Door
from ringmain.gateway.mqtt_filters import Filters
from ringmain.gateway.mqtt_link import MqttLink
from ringmain.gateway.mqtt_receipts import MqttReceipts
from ringmain.gateway.mqtt_uplink import MqttUplink, may_publish
from ringmain.gateway.pipeline import SignedIn
from ringmain.gateway.provisioning import ANSWER, CLAIMANTS_MAX, Claimant, Provisioner, claim_of
from ringmain.model.device import Principal
from ringmain.model.errors import Failed, Refused
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
from ringmain.protocols.mqtt.machine import ServerMachine
from ringmain.protocols.mqtt.outgoing import Sending
from ringmain.protocols.mqtt.packets import Connect
from ringmain.protocols.mqtt.properties import Property
from ringmain.protocols.mqtt.reasons import Reason
from ringmain.transports.stream import StreamDriver

log = logging.getLogger(__name__)


class MqttConnection:
    """Connection of a device, or of anybody else who may come in."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self._machine = ServerMachine(door.limits, asyncio.get_running_loop().time())
        self._machine.server_reference = door.server_reference
        self.driver: StreamDriver[Event] = StreamDriver(self._machine, self._on_events, lambda: door.remember(self))
        self.driver.on_drained = self._pump
        self.client_id = ""
        self._link = MqttLink(self._machine, self.driver, door.clock, self.end)
        self._receipts = MqttReceipts(door, self._machine, self.driver, self.end)
        self._uplink = MqttUplink(door, self._receipts)
        self._filters = Filters(door.limits)
        self._who: SignedIn | None = None
        self._claimant: Claimant | None = None
        self._session: Session | None = None
        self._epoch = 0
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
        elif isinstance(event, Released):
            self._complete(event, None)

    def _published(self, event: Published) -> None:
        if self._claimant:
            self._claimant.published(event, listens=bool(self._filters))
            return
        session = self._session
        if session is None:
            return
        if not event.plain:
            second = [each for each, first in zip(event.identifiers, event.firsts, strict=True) if first & 4]
            if second:
                self._door.broker.take(session, second)
        if self._who:
            self._uplink.of_device(self._who, session, event)
        elif session.access:
            self._receipts.tell(self._uplink.of_program(session.access, session, event))
        self._receipts.pace()

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
            self._open(connect, found, self._name_of(connect))

    def _let_claim(self, connect: Connect, claim: str, provisioner: Provisioner) -> None:
        """Somebody who is nobody yet: no device, no session, no lane, no will."""
        door = self._door
        if door.claimants >= CLAIMANTS_MAX:
            raise Refused("unavailable", "too many claims at a time")
        if self._machine.phase is not Phase.AUTHENTICATING:
            return
        door.claimants += 1
        self._claimant = Claimant(claim, provisioner, door.tasks, answer=self._answer, end=self.end)
        self._filters.claimant = self._claimant
        self._welcomed(self._machine.accept(self.driver.now(), self._name_of(connect)))

    def _answer(self, identifier: bytes, body: bytes) -> None:
        """A claim was redeemed, or was not."""
        self._machine.acknowledge([identifier] if identifier else [])
        if self._machine.publish(ANSWER, body, self._filters.qos_of(ANSWER) or 0) is not Sending.SENT:
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
        assigned = self._name_of(connect)
        self._who, self._filters.device = who, device
        replaced = door.connections.attach(device.key, self)
        self._attached = True
        if isinstance(replaced, MqttConnection):
            replaced.end(Reason.SESSION_TAKEN_OVER, "another connection uses this client id")
        interval_s = principal.profile.expected_interval_s
        self._epoch = door.sessions.connected(device.key, interval_s, self._name, self.driver.peer)
        self._open(connect, DeviceAccess(principal), assigned)

    def _open(self, connect: Connect, access: Access, assigned: str) -> None:
        limit = self._door.limits.session_expiry_s_max
        if connect.level == 5:
            expiry_s = min(number_of(connect, Property.SESSION_EXPIRY, 0), limit)
        else:
            expiry_s = 0 if connect.clean_start else limit
        self._filters.access = access
        if connect.will and connect.will.retain and not self._door.limits.retain:  # 3.1.1 has no word for it
            connect = replace(connect, will=replace(connect.will, retain=False))
        if connect.will and (refusal := self._may_leave(access, connect.will.topic)):
            raise Refused(refusal, f"a will on {connect.will.topic} is not permitted")

        def opened(session: Session, is_present: bool, failed: Failed | None) -> None:  # noqa: FBT001
            self._opened(session, assigned, failed, is_present=is_present)

        self._door.broker.open(access, self.client_id, connect, expiry_s, self._link, opened)

    def _may_leave(self, access: Access, topic: str) -> str:
        """Of a will: one of a device is judged as any message of it, when it is published."""
        if isinstance(access, DeviceAccess):
            return ""
        return "not_authorized" if may_publish(access, topic) else ""

    def _opened(self, session: Session, assigned: str, failed: Failed | None, *, is_present: bool) -> None:
        """The session is durable where it has to be: now the client may know that it has it."""
        if failed or self._over or self._machine.phase is not Phase.AUTHENTICATING:
            self._door.broker.close(session, self._link, with_will=False)
            if failed and not self._over:
                self._closed(self._machine.refuse(Reason(failed.error.mqtt_reason), failed.detail))
            return
        self._session = self._receipts.session = session
        self._filters.restore(session.held)
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
        if is_present and self._who and self._filters:
            self._door.on_listening(self._who.principal.device, self._filters.notices)

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
            decided = self._filters.decide(subscription, event.subscription_identifier)
            if isinstance(decided, Reason):
                codes.append(decided)
                continue
            heard += self._filters.add(decided)
            codes.append(decided.qos)
            granted.append((decided, subscription.retain_handling))

        def then(failed: Failed | None) -> None:
            answers = [Reason.QUOTA_EXCEEDED if code < 0x80 else code for code in codes] if failed else codes
            if failed and self._session:
                self._filters.restore(self._session.held)
            self._machine.grant(event.identifier, list(answers))
            self.driver.flush()
            if heard and self._who and not failed:
                self._door.on_listening(self._who.principal.device, heard)

        if self._session:
            self._door.broker.subscribe(self._session, granted, then)
        else:
            then(None)

    def _unsubscribe(self, event: UnsubscribeAsked) -> None:
        there = self._filters.drop(event.filters)
        codes = [Reason.SUCCESS if found else Reason.NO_SUBSCRIPTION_EXISTED for found in there]

        def then(failed: Failed | None) -> None:
            if failed and self._session:
                self._filters.restore(self._session.held)
            if failed and self._machine.level != 5:  # its UNSUBACK has no word for it
                self.end(Reason.SERVER_UNAVAILABLE, failed.detail)
                return
            refusal = Reason.IMPLEMENTATION_SPECIFIC  # §3.11.3 knows no quota
            self._machine.release(event.identifier, [refusal if failed else code for code in codes])
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
            self._door.broker.close(self._session, self._link, with_will=with_will, expiry_s=self._expiry_s(event))
        if who and self._attached:
            self._door.connections.detach(who.device, self)
            self._door.sessions.disconnected(who.device, self._epoch)
        if self._claimant:
            self._claimant.close()
            self._door.claimants -= 1
        self._door.forget(self)
        self.driver.close(linger=self._session is not None)

    def _expiry_s(self, event: Closed) -> int | None:
        if event.session_expiry_s is None:
            return None
        return min(event.session_expiry_s, self._door.limits.session_expiry_s_max)

    # -- what others say ------------------------------------------------------------------------------------

    def cut(self, refused: Refused) -> None:
        """Connection: the device may no longer be here, and its will no longer be done."""
        if self._who and self._session and self._session.will and not self._over:
            self._door.pipeline.reject(self._who.device, refused.code, 1)
            self._door.pipeline.intake.enlist(self._receipts, [b""])
        self._will_is_void = True
        self.end(Reason(refused.error.mqtt_reason), refused.detail)

    def reauthorise(self, principal: Principal) -> None:
        """Connection: the device changed and may stay."""
        if self._who:
            self._who = self._door.pipeline.admit(principal)
            self._filters.device, self._filters.access = principal.device, DeviceAccess(principal)
            if self._session:
                self._session.access = self._filters.access

    def notify(self, notice: str, body: bytes) -> bool:
        """Connection: at most once to each connection, at the best QoS of the filters that match; nothing is kept for
        one that does not read.
        """
        qos = self._filters.qos_of(notice)
        if qos is None or not self._who:
            return True
        if self.driver.is_choked:
            return False
        topic = f"devices/{self._who.principal.device.id}/{notice}"
        if self._machine.publish(topic, body, qos) is not Sending.SENT:
            return False
        self.driver.flush()
        return True

    def end(self, reason: Reason, detail: str) -> None:
        """Close from our side."""
        self._closed(self._machine.close(reason, detail))
