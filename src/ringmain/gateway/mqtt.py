"""The MQTT door: one connection's events, answered. The machine knows the packets, the pipeline the readings; this
joins them, and owns the order: sign in, subscribe, deliver, settle, cut.
"""

import asyncio
import logging
import secrets
from collections.abc import Callable, Sequence
from itertools import groupby

from ringmain.gateway.authenticate import SignIn
from ringmain.gateway.connections import Connections, SessionWatch
from ringmain.gateway.pipeline import Authenticated, Pipeline, SignedIn
from ringmain.gateway.provisioning import ANSWER, CLAIMANTS_MAX, Claimant, Provisioner, claim_of
from ringmain.gateway.route import grants
from ringmain.model.device import Device, Principal
from ringmain.model.errors import ERRORS, Failed, Refused
from ringmain.ports.clock import Clock
from ringmain.protocols.mqtt.events import (
    Closed,
    ConnectAsked,
    Event,
    Limits,
    Phase,
    Published,
    SubscribeAsked,
    UnsubscribeAsked,
)
from ringmain.protocols.mqtt.machine import ServerMachine
from ringmain.protocols.mqtt.packets import Connect, Will
from ringmain.protocols.mqtt.reasons import Reason
from ringmain.transports.stream import StreamDriver

log = logging.getLogger(__name__)

SUBSCRIPTIONS_MAX = 16
"""A device's own tree has two notices; more filters than this are a mistake."""

IN_FLIGHT_311_MAX = 4_096
"""3.1.1 has no receive maximum: beyond this many unacknowledged messages its socket is not read."""


class MqttDoor:
    """What all MQTT connections share."""

    def __init__(
        self,
        *,
        authenticator: SignIn,
        provisioner: Provisioner | None = None,
        pipeline: Pipeline,
        connections: Connections,
        sessions: SessionWatch,
        clock: Clock,
        tasks: asyncio.TaskGroup,
        limits: Limits,
        connections_max: int,
        on_closed: Callable[[Closed], None],
        on_refused: Callable[[str], None],
        on_dropped: Callable[[int], None],
        on_listening: Callable[[Device, Sequence[str]], None] = lambda _device, _notices: None,
    ) -> None:
        self.authenticator = authenticator
        self.provisioner = provisioner
        self.claimants = 0
        self.pipeline = pipeline
        self.connections = connections
        self.sessions = sessions
        self.clock = clock
        self.tasks = tasks
        self.limits = limits
        self.on_closed = on_closed
        self.on_refused = on_refused
        self.on_dropped = on_dropped
        self.on_listening = on_listening
        self._connections_max = connections_max
        self._open: dict[MqttConnection, None] = {}  # in order of their coming
        self.draining = False

    def protocol(self) -> StreamDriver[Event]:
        """For `create_server`: a driver with a machine and a connection behind it."""
        return MqttConnection(self).driver

    def remember(self, connection: "MqttConnection") -> None:
        """A connection is open."""
        self._open[connection] = None
        if self.draining:
            connection.end(Reason.SERVER_SHUTTING_DOWN, "the platform is shutting down")

    def is_full(self) -> bool:
        """Whether one more connection is one too many (its own is already counted)."""
        return len(self._open) > self._connections_max

    def forget(self, connection: "MqttConnection") -> None:
        """A connection is over."""
        self._open.pop(connection, None)

    def close_all(self) -> None:
        """Say goodbye to everybody."""
        self.draining = True
        for connection in list(self._open):
            connection.end(Reason.SERVER_SHUTTING_DOWN, "the platform is shutting down")


class MqttConnection:
    """One connection, from CONNECT to the end."""

    def __init__(self, door: MqttDoor) -> None:
        self._door = door
        self._machine = ServerMachine(door.limits, asyncio.get_running_loop().time())
        self.driver: StreamDriver[Event] = StreamDriver(self._machine, self._on_events, lambda: door.remember(self))
        self.client_id = ""
        self._who: SignedIn | None = None
        self._claimant: Claimant | None = None
        self._will: Will | None = None
        self._epoch = 0
        self._listens: dict[str, tuple[tuple[str, ...], int]] = {}
        self._refused: dict[bytes, Reason] = {}
        self._over = False
        self._name = "mqtt"

    # -- what the machine says ------------------------------------------------------------------------------

    def _on_events(self, _: StreamDriver[Event], events: Sequence[Event]) -> None:
        for event in events:
            if isinstance(event, Published):
                self._published(event)
            elif isinstance(event, ConnectAsked):
                self.driver.hold("sign-in")
                self._door.tasks.create_task(self._sign_in(event.connect))
            elif isinstance(event, SubscribeAsked):
                self._subscribe(event)
            elif isinstance(event, UnsubscribeAsked):
                codes = [self._unsubscribe(pattern) for pattern in event.filters]
                self._machine.release(event.identifier, codes)
            elif isinstance(event, Closed):
                self._closed(event)
        if self._who:
            self._door.sessions.active(self._who.device, self._door.clock.now_ms())

    def _published(self, event: Published) -> None:
        who = self._who
        if who is None:
            if self._claimant:
                self._claimant.published(event, listens=bool(self._listens))
            return
        self._door.pipeline.uplink(
            Authenticated(who, self._name, event.topics, event.payloads, event.identifiers), self
        )
        if self._machine.in_flight > IN_FLIGHT_311_MAX:
            self.driver.hold("in flight", excuses=True)

    async def _sign_in(self, connect: Connect) -> None:
        """A task of the door's: whatever goes wrong in here ends this connection and nothing else."""
        try:
            await self._let_in(connect)
        except Refused as refused:
            self._door.on_refused(refused.code)
            self._closed(self._machine.refuse(Reason(refused.error.mqtt_reason), refused.detail))
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
            principal = await door.authenticator.sign_in(connect.user_name, connect.password, certificate)
            while principal.device.key in changed:
                changed.clear()
                principal = await door.authenticator.sign_in(connect.user_name, connect.password, certificate)
        if self._machine.phase is not Phase.AUTHENTICATING:
            return  # it went away, or took too long, while it was looked up
        self._accept(connect, principal, door.pipeline.admit(principal))
        self.driver.release("sign-in")
        self.driver.flush()

    def _let_claim(self, connect: Connect, claim: str, provisioner: Provisioner) -> None:
        """Somebody who is nobody yet: no device, no session, no lane, no will."""
        door = self._door
        if door.claimants >= CLAIMANTS_MAX:
            raise Refused("unavailable", "too many claims at a time")
        if self._machine.phase is not Phase.AUTHENTICATING:
            return
        door.claimants += 1
        self._claimant = Claimant(claim, provisioner, door.tasks, answer=self._answer, end=self.end)
        self._welcome(self._name_of(connect))
        self.driver.release("sign-in")
        self.driver.flush()

    def _answer(self, identifier: bytes, body: bytes) -> None:
        """A claim was redeemed, or was not."""
        self._machine.acknowledge([identifier] if identifier else [])
        qos = max((granted for _, granted in self._listens.values()), default=0)
        if not self._machine.publish(ANSWER, body, qos):
            self.end(Reason.PACKET_TOO_LARGE, "the answer has no room; repeat the request with the same CSR or nonce")
        self.driver.flush()

    def _name_of(self, connect: Connect) -> str:
        """Take the client id, or assign one; what was assigned."""
        assigned = "" if connect.client_id else f"ringmain-{secrets.token_hex(8)}"
        self.client_id = connect.client_id or assigned
        return assigned

    def _accept(self, connect: Connect, principal: Principal, who: SignedIn) -> None:
        door, device = self._door, principal.device
        assigned = self._name_of(connect)
        self._who, self._will = who, connect.will
        replaced = door.connections.attach(device.key, self)
        if isinstance(replaced, MqttConnection):
            replaced.end(Reason.SESSION_TAKEN_OVER, "another connection uses this client id")
        self._epoch = door.sessions.connected(
            device.key, principal.profile.expected_interval_s, self._name, self.driver.peer
        )
        self._welcome(assigned)

    def _welcome(self, assigned: str) -> None:
        events = self._machine.accept(self.driver.now(), assigned)
        self.driver.rearm()
        if events:
            self._on_events(self.driver, events)

    def _subscribe(self, event: SubscribeAsked) -> None:
        codes: list[int] = []
        heard: list[str] = []
        for subscription in event.subscriptions:
            notices = self._grants(subscription.filter)
            if subscription.refusal:
                codes.append(subscription.refusal)
            elif not notices:
                codes.append(Reason.NOT_AUTHORIZED)
            elif len(self._listens) >= SUBSCRIPTIONS_MAX and subscription.filter not in self._listens:
                codes.append(Reason.QUOTA_EXCEEDED)
            else:
                granted = min(subscription.qos, 1)
                self._listens[subscription.filter] = (notices, granted)
                codes.append(granted)
                heard += notices
        self._machine.grant(event.identifier, codes)
        if heard and self._who:
            self._door.on_listening(self._who.principal.device, heard)

    def _grants(self, pattern: str) -> tuple[str, ...]:
        if self._who:
            return grants(self._who.principal.device, pattern)
        return self._claimant.grants(pattern) if self._claimant else ()

    def _unsubscribe(self, pattern: str) -> int:
        held = self._listens.pop(pattern, None)
        return Reason.SUCCESS if held else Reason.NO_SUBSCRIPTION_EXISTED

    def _closed(self, event: Closed) -> None:
        """The end, whoever made it, and once. A will of a lost connection goes the way of any message
        [MQTT-3.1.2-8].
        """
        if self._over:
            return
        self._over = True
        who, will, self._who = self._who, self._will, None
        self._door.on_closed(event)
        if who:
            if will and event.publish_will:
                message = Authenticated(who, self._name, [will.topic.encode()], [will.payload], [b""])
                self._door.pipeline.uplink(message, self)
            self._door.connections.detach(who.device, self)
            self._door.sessions.disconnected(who.device, self._epoch)
        if self._claimant:
            self._claimant.close()
            self._door.claimants -= 1
        self._door.forget(self)
        self.driver.close()

    # -- what others say ------------------------------------------------------------------------------------

    def settle(self, identifiers: list[bytes], failed: Failed | None) -> None:
        """Depositor: PUBACK to those of QoS 1, in the order in which they came [MQTT-4.6.0-2]. What is not durable is
        never acknowledged: MQTT 5 hears 0x97, 3.1.1 loses its connection and sends again.
        """
        if failed and b"" in identifiers:
            self._door.on_dropped(identifiers.count(b""))
        if failed and (self._machine.level != 5 or failed.code != "storage_full"):
            self.end(Reason.SERVER_UNAVAILABLE, failed.detail)
            return
        if b"" in identifiers:
            identifiers = [identifier for identifier in identifiers if identifier]
        if self._refused:
            for reason, run in groupby(identifiers, lambda it: self._refused.pop(it, Reason.SUCCESS)):
                self._machine.acknowledge(list(run), Reason.QUOTA_EXCEEDED if failed else reason)
        elif identifiers:
            self._machine.acknowledge(identifiers, Reason.QUOTA_EXCEEDED if failed else Reason.SUCCESS)
        self.driver.flush()
        if self._machine.in_flight <= IN_FLIGHT_311_MAX:
            self.driver.release("in flight")

    def refuse(self, identifiers: list[bytes], reason: str) -> None:
        """Depositor: MQTT 5 hears why with its PUBACK; 3.1.1 knows no other answer than success."""
        if self._machine.level == 5:
            answer = Reason(ERRORS[reason].mqtt_reason)
            self._refused.update((identifier, answer) for identifier in identifiers if identifier)

    def hold(self) -> None:
        """Depositor."""
        self.driver.hold("log", excuses=True)

    def resume(self) -> None:
        """Depositor."""
        self.driver.release("log")

    def cut(self, refused: Refused) -> None:
        """Connection: the device may no longer be here, and its will no longer be done."""
        if self._who and self._will:
            self._will = None
            self._door.pipeline.reject(self._who.device, refused.code, 1)
            self._door.pipeline.intake.enlist(self, [b""])
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
        if not self._machine.publish(f"devices/{self._who.principal.device.id}/{notice}", body, qos):
            return False
        self.driver.flush()
        return True

    def end(self, reason: Reason, detail: str) -> None:
        """Close from our side."""
        self._closed(self._machine.close(reason, detail))
