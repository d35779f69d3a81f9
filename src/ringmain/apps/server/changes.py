"""Changes: what happened to a device, told to every room that has to act on it, within one turn of the loop."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from ringmain.apps.server.zones import Zones
from ringmain.gateway.broker.access import DEVICE
from ringmain.gateway.broker.service import Broker
from ringmain.gateway.connections import Connections
from ringmain.gateway.mqtt_connection import MqttConnection
from ringmain.model.device import PERMISSIONS, Device, LifecycleState, Telemetry
from ringmain.model.errors import Refused
from ringmain.services.gateways.service import Gateways
from ringmain.transports.stream import StreamDriver

REVOKED_S_MAX = 0.8
"""For the goodbye to a client whose certificate was revoked; within a second it is gone."""


class Changes:
    """Hears of devices made, moved and revoked."""

    def __init__(
        self,
        connections: Connections,
        zones: Zones,
        gateways: Gateways,
        broker: Broker,
        on_activated: Callable[[Device], None],
    ) -> None:
        """`on_activated`: a device left quarantine."""
        self._connections = connections
        self._zones = zones
        self._gateways = gateways
        self._broker = broker
        self._on_activated = on_activated

    def devices_made(self, devices: Sequence[Device]) -> None:
        """A device behind a gateway never signs in: its zone has to be known before its first reading is stored."""
        for device in devices:
            self._zones.note(device)
        self._gateways.know(devices)

    def device_changed(self, device: Device, before: LifecycleState) -> None:
        """A committed transition: those who may no longer be here are cut now."""
        self._connections.changed(device.key)
        self._zones.note(device)
        self._gateways.device_changed(device, before)
        notice = {"state": device.state, "before": before}
        self._connections.notify(device.key, "lifecycle", msgspec.json.encode(notice))
        if device.state is before:
            refused = Refused("bad_credentials", f"a credential of {device.id} ended", "sign in with another one")
            self._connections.cut(device.key, refused)
        elif device.state is LifecycleState.DECOMMISSIONED:
            self._connections.cut(device.key, Refused("device_not_active", f"device {device.id} is {device.state}"))
            self._broker.forget(device.tenant, f"{DEVICE}{device.key}")
        elif not PERMISSIONS[device.state].connect:
            code = "device_suspended" if device.state is LifecycleState.SUSPENDED else "device_not_active"
            self._connections.cut(device.key, Refused(code, f"device {device.id} is {device.state}"))
        elif PERMISSIONS[before].telemetry is Telemetry.QUARANTINED:
            self._on_activated(device)

    def certificates_revoked(self, drivers: Sequence[StreamDriver[Any]]) -> None:
        """Connections whose certificate is on a new list: whoever has signed in hears why, and nobody stays because it
        does not listen.
        """
        refused = Refused("bad_credentials", "the client certificate was revoked", "sign in with another one")
        ended = set(drivers)
        for connection in self._connections.all():
            if isinstance(connection, MqttConnection) and connection.driver in ended:
                connection.cut(refused)
        for driver in drivers:
            driver.close()
            asyncio.get_running_loop().call_later(REVOKED_S_MAX, driver.abort)
