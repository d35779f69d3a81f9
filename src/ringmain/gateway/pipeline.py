"""The way of an uplink, as a recipe. One type for each stage of a *batch*, so that what has not been authenticated
can not be routed and what has not been routed can not be translated: the type checker refuses.

    socket → transports driver → protocol machine → here → intake (durable) → acknowledgement
                                                            ↓
                                              services/ingestion → time series → windows, bills
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

import msgspec

from ringmain.gateway.columns import Lane, Lanes, OpenBatch
from ringmain.gateway.connections import Connections
from ringmain.gateway.intake import Depositor, Intake
from ringmain.gateway.route import Purpose, Route, route
from ringmain.gateway.translate.decoded import DecodedTelemetry, Decoder, Decoders
from ringmain.gateway.translate.telemetry import TelemetryTranslator
from ringmain.model.batch import DeadLetter
from ringmain.model.device import PERMISSIONS, Device, Principal, Telemetry
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceKey
from ringmain.protocols.mqtt.topics import REMEMBERED_BYTES_MAX

BEYOND = frozenset({Purpose.CHUNKS, Purpose.REPORT, Purpose.CLAIMS})
"""What only some compositions take: an edge is no platform for other edges."""

TOPICS_REMEMBERED = 256
"""Routes remembered for one sign-in."""


class SignedIn:
    """A principal with what it needs for every batch: its lane, and the routes it has used."""

    __slots__ = ("device", "lane", "principal", "routes", "speaks")

    def __init__(self, principal: Principal, lane: Lane) -> None:
        self.principal = principal
        self.device: DeviceKey = principal.device.key
        self.lane = lane
        self.routes: dict[bytes, Route] = {}
        self.speaks = False
        """Whether it has used a topic that is for nobody but those who listen."""


class Authenticated(msgspec.Struct, frozen=True, gc=False):
    """Messages of somebody who signed in, as parallel lists; `identifiers` are the door's own names for them, and
    `content_types` what the door was told of each payload (empty: nothing), where it is told such things.
    """

    who: SignedIn
    door: str
    topics: Sequence[bytes]
    payloads: Sequence[bytes]
    identifiers: list[bytes]
    content_types: Sequence[str] | None = None


class Routed(msgspec.Struct, frozen=True, gc=False):
    """Messages for one route."""

    who: SignedIn
    door: str
    to: Route
    payloads: Sequence[bytes]
    identifiers: list[bytes]
    content_types: Sequence[str] | None = None


class Translated(msgspec.Struct, frozen=True, gc=False):
    """Messages that are in the open batch, each with an outcome: what is no reading and no dead letter was rejected
    for the `reason`.
    """

    identifiers: list[bytes]
    reason: str = ""
    dead_letters: Sequence[DeadLetter] = ()


class Translator(Protocol):
    """What becomes of payloads that are no plain telemetry of the device that signed in."""

    def translate(
        self, batch: OpenBatch, device: Device, payloads: Sequence[bytes], door: str, topic: str
    ) -> Sequence[DeadLetter]:
        """Bring `payloads` of `device` into `batch`, each as a message of its own; returns the dead letters of
        `device` among them, also in `batch`.
        """
        ...


class OfPrincipals(Protocol):
    """What becomes of payloads whose translation needs more of the principal than its device."""

    def translate(
        self, batch: OpenBatch, who: Principal, payloads: Sequence[bytes], door: str, topic: str
    ) -> Sequence[DeadLetter]:
        """As `Translator.translate`."""
        ...


class Pipeline:
    """The steps and what they need. One of each gateway, shared by all doors.

    `translators` are for purposes beyond telemetry and status; a topic whose purpose has none is unknown here. So are
    the topics of decoders where nothing is `decoded`, and attributes and answers to calls where there is no `tree`.
    """

    def __init__(
        self,
        intake: Intake,
        translator: TelemetryTranslator,
        connections: Connections,
        *,
        lanes: Lanes | None = None,
        translators: Mapping[Purpose, Translator] | None = None,
        sparkplug: OfPrincipals | None = None,
        tree: bool = True,
        decoders: Decoders | None = None,
        decoded: DecodedTelemetry | None = None,
        on_admitted: Callable[[Device], None],
        on_status: Callable[[DeviceKey, bytes], None],
        on_received: Callable[[str, int], None],
    ) -> None:
        self.intake = intake
        self._translator = translator
        self.connections = connections
        self._on_admitted = on_admitted
        self._on_status = on_status
        self._on_received = on_received
        self._lanes = lanes or Lanes()
        self._translators = translators or {}
        self._sparkplug = sparkplug
        self._tree = tree
        self._decoders = decoders
        self._decoded = decoded

    def admit(self, principal: Principal) -> SignedIn:
        """The first stage: only `authenticate` makes principals. `Refused` where the state permits no telemetry."""
        telemetry = PERMISSIONS[principal.device.state].telemetry
        if telemetry is Telemetry.REFUSED:
            raise Refused("device_not_active", f"device {principal.device.id} is {principal.device.state}")
        quarantined = telemetry is Telemetry.QUARANTINED
        lane = self._lanes.of(principal.device.tenant, principal.profile, quarantined=quarantined)
        self._on_admitted(principal.device)
        return SignedIn(principal, lane)

    def uplink(self, messages: Authenticated, depositor: Depositor) -> Sequence[Translated]:
        """The recipe: route, translate into the open batch, enlist for the commit that will answer."""
        self._on_received(messages.door, len(messages.topics))
        done = [self._translate(routed) for routed in self._route(messages)]
        for translated in done:
            if translated.reason:
                depositor.refuse(translated.identifiers, translated.reason)
            self.intake.enlist(depositor, translated.identifiers)
        return done

    def _route(self, messages: Authenticated) -> Iterator[Routed]:
        """Messages by topic, in order. Nearly always there is but one."""
        who, door, topics, types = messages.who, messages.door, messages.topics, messages.content_types
        start, end = 0, len(topics)
        while start < end:
            topic = topics[start]
            to = who.routes.get(topic) or self.route_of(who, topic)
            if not start and topics.count(topic) == end:
                yield Routed(who, door, to, messages.payloads, messages.identifiers, types)
                return
            stop = start + 1
            while stop < end and topics[stop] == topic:
                stop += 1
            payloads, identifiers = messages.payloads[start:stop], messages.identifiers[start:stop]
            yield Routed(who, door, to, payloads, identifiers, types[start:stop] if types else None)
            start = stop

    def route_of(self, who: SignedIn, topic: bytes) -> Route:
        """The route of a topic for one that is signed in, remembered."""
        found = who.routes.get(topic)
        if found:
            return found
        found = self.route(who.principal, topic)
        if len(who.routes) >= TOPICS_REMEMBERED:
            who.routes.clear()
        if len(topic) <= REMEMBERED_BYTES_MAX:
            who.routes[topic] = found
        who.speaks = who.speaks or found.purpose is Purpose.TREE
        return found

    def route(self, principal: Principal, topic: bytes) -> Route:
        """The route of a topic in this composition."""
        if self._decoders is None or self._decoded is None:
            found = route(principal, topic)
        else:
            found = route(principal, topic, self._decoders.takes)
        is_beyond = found.purpose in BEYOND and found.purpose not in self._translators
        is_unheard = found.purpose is Purpose.TREE and not self._tree
        if is_beyond or is_unheard or (found.purpose is Purpose.SPARKPLUG and self._sparkplug is None):
            return Route(Purpose.REJECT, found.topic, "unknown_topic")
        return found

    def _translate(self, routed: Routed) -> Translated:
        who, to, payloads, door = routed.who, routed.to, routed.payloads, routed.door
        batch, device = self.intake.batch(), routed.who.principal.device
        if to.purpose is Purpose.TELEMETRY:
            types, spelling = routed.content_types, to.spelling
            dead = self._translator.translate(
                batch, who.lane, device, payloads, door, to.topic, spelling=spelling, content_types=types
            )
            return self._told(routed, dead)
        if to.purpose is Purpose.DECODED and (decoder := self._decoder_of(who.principal)) and self._decoded:
            dead = self._decoded.translate(batch, who.lane, device, payloads, door, to.topic, decoder)
            return self._told(routed, dead)
        if to.purpose in self._translators:
            return self._told(routed, self._translators[to.purpose].translate(batch, device, payloads, door, to.topic))
        if to.purpose is Purpose.SPARKPLUG and self._sparkplug:
            return self._told(routed, self._sparkplug.translate(batch, who.principal, payloads, door, to.topic))
        if to.purpose in (Purpose.TREE, Purpose.STATUS):
            batch.messages += len(payloads)
            if to.purpose is Purpose.STATUS:
                self._on_status(who.device, payloads[-1])
            return Translated(routed.identifiers)
        self.reject(who.device, to.reason, len(payloads))
        detail = f"topic {to.topic[:REMEMBERED_BYTES_MAX]}"
        self._tell(who.device, to, to.reason, detail, len(payloads), kept="not at all")
        return Translated(routed.identifiers, to.reason)

    def _decoder_of(self, principal: Principal) -> Decoder | None:
        return self._decoders.named(principal.profile.decoder) if self._decoders else None

    def _told(self, routed: Routed, dead: Sequence[DeadLetter]) -> Translated:
        if dead:
            reason, detail = dead[-1].reason, dead[-1].detail
            self._tell(routed.who.device, routed.to, reason, detail, len(dead), kept="as a dead letter")
        return Translated(routed.identifiers, dead_letters=dead)

    def reject(self, device: DeviceKey, reason: str, count: int) -> None:
        """Count records that are refused, durably, with the next commit."""
        batch = self.intake.batch()
        batch.messages += count
        batch.reject(device, reason, count)

    def _tell(self, device: DeviceKey, to: Route, reason: str, detail: str, count: int, *, kept: str) -> None:
        """MQTT 3.1.1 has no words for a refusal, so a device that wants to know listens to `errors`."""
        topic = to.topic[:REMEMBERED_BYTES_MAX]
        notice = {"reason": reason, "detail": detail, "topic": topic, "messages": count, "kept": kept}
        self.connections.notify(device, "errors", msgspec.json.encode(notice))
