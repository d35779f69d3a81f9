"""The MQTT door: a listener's protocol, and what becomes of the wills of devices."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

import msgspec

from ringmain.gateway.broker.access import DEVICE, DeviceAccess, canonical
from ringmain.gateway.broker.message import Message
from ringmain.gateway.broker.service import Broker
from ringmain.gateway.broker.session import Session
from ringmain.gateway.intake import Intake
from ringmain.gateway.mqtt_connection import MqttConnection
from ringmain.gateway.mqtt_door import Door
from ringmain.gateway.pipeline import Authenticated, Pipeline
from ringmain.model.device import Principal
from ringmain.model.errors import Failed, Refused
from ringmain.model.ids import DeviceKey
from ringmain.protocols.mqtt.events import Event
from ringmain.protocols.mqtt.properties import Property
from ringmain.transports.stream import StreamDriver

log = logging.getLogger(__name__)


class MqttDoor(Door):
    """A door that makes its connections."""

    def protocol(self) -> StreamDriver[Event]:
        """For `create_server`: a driver with a machine and a connection behind it."""
        return MqttConnection(self).driver


class DeviceWills:
    """Wills of devices: each is a message like any other, and the state of its device decides, also when it comes after
    a restart or a delay.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        broker: Broker,
        principal_of: Callable[[DeviceKey], Awaitable[Principal | None]],
        tasks: asyncio.TaskGroup,
    ) -> None:
        self._pipeline = pipeline
        self._broker = broker
        self._principal_of = principal_of
        self._tasks = tasks

    def take(self, session: Session, message: Message) -> bool:
        """Whether the will is one of a device, and so on its way now."""
        owner = session.key[1]
        if not owner.startswith(DEVICE):
            return False
        if isinstance(session.access, DeviceAccess):
            self._publish(session.access.principal, message)
        else:
            self._tasks.create_task(self._look_up(DeviceKey(int(owner.removeprefix(DEVICE))), message))
        return True

    async def _look_up(self, key: DeviceKey, message: Message) -> None:
        try:
            principal = await self._principal_of(key)
        except Exception:
            log.exception("the device of a will could not be looked up; the will is not published")
            return
        if principal:
            self._publish(principal, message)

    def _publish(self, principal: Principal, message: Message) -> None:
        try:
            who = self._pipeline.admit(principal)
        except Refused as refused:
            self._pipeline.reject(principal.device.key, refused.code, 1)
            self._pipeline.intake.commit_soon()
            return
        topic = message.topic.encode()
        content_types = [str(message.found.get(Property.CONTENT_TYPE, ""))]
        self._pipeline.uplink(
            Authenticated(who, "mqtt", [topic], [message.payload], [b""], content_types), _Nobody(self._pipeline.intake)
        )
        route = self._pipeline.route_of(who, topic)
        if not route.reason:
            shown = canonical(principal.device.id, route.topic)
            self._broker.publish(principal.device.tenant, msgspec.structs.replace(message, topic=shown))


class _Nobody:
    """Depositor of what nobody waits for."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    def settle(self, identifiers: list[bytes], failed: Failed | None) -> None:
        """Depositor."""
        if failed:
            log.error("%d wills could not be kept: %s", len(identifiers), failed.detail)

    def refuse(self, identifiers: list[bytes], reason: str) -> None:
        """Depositor."""

    def hold(self) -> None:
        """Depositor."""

    def resume(self) -> None:
        """Depositor."""
