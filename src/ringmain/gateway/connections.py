"""Connections: every open connection of every device, so that one can be cut, told or taken over at once."""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import Protocol

from ringmain.model.device import Principal
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceKey


class Connection(Protocol):
    """One live connection of a device, whatever it speaks."""

    client_id: str

    def cut(self, refused: Refused) -> None:
        """Close it now, saying why."""
        ...

    def reauthorise(self, principal: Principal) -> None:
        """The device's state or profile changed, and it may stay."""
        ...

    def notify(self, notice: str, body: bytes) -> bool:
        """Deliver a notice (see `route.NOTICES`) if the device listens to it. False where it listens and has no room
        for it now: whoever must be heard tries again.
        """
        ...


class SessionWatch(Protocol):
    """What the session service wants to know of connections."""

    def connected(self, device: DeviceKey, expected_interval_s: int, protocol: str, peer: str) -> int:
        """A connection was accepted; returns the session's new epoch."""
        ...

    def active(self, device: DeviceKey, at_ms: int, expected_interval_s: int | None = None) -> None:
        """It said something."""
        ...

    def sleeping(self, device: DeviceKey, until_ms: int) -> None:
        """It announced that it will be away."""
        ...

    def disconnected(self, device: DeviceKey, epoch: int) -> None:
        """The connection of that epoch ended."""
        ...


class Connections:
    """By device; a device may hold several, one for each client id."""

    def __init__(self) -> None:
        self._open: dict[DeviceKey, dict[str, Connection]] = {}
        self._watches: dict[int, set[DeviceKey]] = {}
        self.count = 0

    def attach(self, device: DeviceKey, connection: Connection) -> Connection | None:
        """Add a connection; returns the one with the same client id that it replaces [MQTT-3.1.4-3]."""
        of_device = self._open.setdefault(device, {})
        replaced = of_device.get(connection.client_id)
        of_device[connection.client_id] = connection
        self.count += replaced is None
        return replaced

    def detach(self, device: DeviceKey, connection: Connection) -> None:
        """Forget a connection, unless another one has taken its place."""
        of_device = self._open.get(device, {})
        if of_device.get(connection.client_id) is connection:
            del of_device[connection.client_id]
            self.count -= 1
            if not of_device:
                del self._open[device]

    def of(self, device: DeviceKey) -> list[Connection]:
        """All connections of a device."""
        return list(self._open.get(device, {}).values())

    def devices(self) -> list[DeviceKey]:
        """Every device with a connection."""
        return list(self._open)

    def all(self) -> Iterator[Connection]:
        """All connections, as they are now."""
        return iter([connection for of_device in self._open.values() for connection in of_device.values()])

    @contextmanager
    def watch(self) -> Generator[set[DeviceKey], None, None]:
        """The devices that change meanwhile. Who signs in is not attached yet, so a change that comes between the
        look at the registry and `attach` would miss it: whoever finds their device in here has to look again.
        """
        changed: set[DeviceKey] = set()
        self._watches[id(changed)] = changed
        try:
            yield changed
        finally:
            del self._watches[id(changed)]

    def changed(self, device: DeviceKey) -> None:
        """The state or the token of a device is not what it was."""
        for watch in self._watches.values():
            watch.add(device)

    def cut(self, device: DeviceKey, refused: Refused) -> int:
        """Close every connection of a device; how many there were."""
        connections = self.of(device)
        for connection in connections:
            connection.cut(refused)
        return len(connections)

    def notify(self, device: DeviceKey, notice: str, body: bytes) -> bool:
        """Deliver a notice to every connection of a device that listens to it; whether there was room for all."""
        told = [connection.notify(notice, body) for connection in self.of(device)]
        return all(told)
