"""What a client that is in says: of a device into the pipeline, and everything to whoever listens in its tenant.

It never crosses from one tenant to another: the session says which it is, not the topic.
"""

import logging

from ringmain.gateway.broker.access import Access, canonical
from ringmain.gateway.broker.message import Message, with_expiry
from ringmain.gateway.broker.session import Session
from ringmain.gateway.intake import Depositor
from ringmain.gateway.mqtt_door import Door
from ringmain.gateway.pipeline import Authenticated, SignedIn
from ringmain.protocols.mqtt import properties
from ringmain.protocols.mqtt.events import Published
from ringmain.protocols.mqtt.properties import Properties, Property
from ringmain.protocols.mqtt.reasons import Reason

log = logging.getLogger(__name__)


def may_publish(access: Access, topic: str) -> Reason | None:
    """None where it may. Fails closed: an error on our side is a refusal."""
    try:
        return access.publishes(topic)
    except Exception:
        log.exception("it could not be found out whether a client may publish; it may not")
        return Reason.NOT_AUTHORIZED


class MqttUplink:
    """Of one connection, whose `depositor` hears of the outcome."""

    def __init__(self, door: Door, depositor: Depositor) -> None:
        self._door = door
        self._depositor = depositor

    def of_device(self, who: SignedIn, session: Session, event: Published) -> None:
        """A device: into the pipeline, which judges each topic; what it takes, others may hear."""
        pipeline, broker, tenant = self._door.pipeline, self._door.broker, session.tenant
        content_types = None
        if not event.plain:
            content_types = [str(found.get(Property.CONTENT_TYPE, "")) for found in event.properties]
        messages = Authenticated(who, self._door.name, event.topics, event.payloads, event.identifiers, content_types)
        pipeline.uplink(messages, self._depositor)
        if event.plain and not who.speaks and not broker.listens(tenant):
            return
        device_id = who.principal.device.id
        for place, topic in enumerate(event.topics):
            route = pipeline.route_of(who, topic)
            if route.reason:
                continue
            first, found = _of(event, place)
            self._broadcast(session, canonical(device_id, route.topic), event.payloads[place], first, found)

    def of_program(self, access: Access, session: Session, event: Published) -> dict[bytes, Reason]:
        """Anybody else; by packet identifier, what is to be answered other than success."""
        told: dict[bytes, Reason] = {}
        counted = 0
        for place, raw in enumerate(event.topics):
            topic, identifier = raw.decode(), event.identifiers[place]
            first, found = _of(event, place)
            refusal = may_publish(access, topic)
            if refusal:
                told[identifier] = refusal
            elif not self._broadcast(session, topic, event.payloads[place], first, found) and first & 6 == 2:
                told[identifier] = Reason.NO_MATCHING_SUBSCRIBERS
            counted += bool(identifier)
        told.pop(b"", None)
        if counted:
            self._door.broker.count(session.tenant, counted)
            self._door.pipeline.intake.enlist(self._depositor, [each for each in event.identifiers if each])
        return told

    def _broadcast(self, session: Session, topic: str, payload: bytes, first: int, found: Properties) -> bool:
        expires_ms = with_expiry(found, self._door.clock.now_ms()) if found else None
        retain = bool(first & 1) and self._door.limits.retain
        message = Message(topic, payload, first >> 1 & 3, retain, found, expires_ms)
        heard = self._door.broker.publish(session.tenant, message, session)
        self._door.attributes.said(session.tenant, message)
        return heard


def _of(event: Published, place: int) -> tuple[int, Properties]:
    """The first byte and the properties of one message of a batch."""
    if event.plain:
        return 0x32 if event.identifiers[place] else 0x30, properties.NONE
    return event.firsts[place], event.properties[place]
