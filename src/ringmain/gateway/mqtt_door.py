"""What all connections of one MQTT listener share: who checks, who keeps, what is offered, and who is here."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from ringmain.gateway.attributes import Attributes
from ringmain.gateway.authenticate import SignIn
from ringmain.gateway.broker.service import Broker
from ringmain.gateway.connections import Connections, SessionWatch
from ringmain.gateway.pipeline import Pipeline
from ringmain.gateway.provisioning import Provisioner
from ringmain.model.device import Device
from ringmain.ports.clock import Clock
from ringmain.protocols.mqtt.events import Closed, Limits
from ringmain.protocols.mqtt.reasons import Reason


class Ending(Protocol):
    """A connection, as far as its door has to do with it."""

    def end(self, reason: Reason, detail: str) -> None:
        """Close from our side."""
        ...


class Door:
    """One of each listener that lets other people in."""

    def __init__(
        self,
        *,
        authenticator: SignIn,
        provisioner: Provisioner | None = None,
        pipeline: Pipeline,
        broker: Broker,
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
        name: str = "mqtt",
        server_reference: str = "",
    ) -> None:
        """`server_reference` is where MQTT 5 clients are sent when this server shuts down."""
        self.authenticator = authenticator
        self.provisioner = provisioner
        self.claimants = 0
        self.pipeline = pipeline
        self.broker = broker
        self.attributes = Attributes(broker)
        self.connections = connections
        self.sessions = sessions
        self.clock = clock
        self.tasks = tasks
        self.limits = limits
        self.on_closed = on_closed
        self.on_refused = on_refused
        self.on_dropped = on_dropped
        self.on_listening = on_listening
        self.name = name
        self.server_reference = server_reference
        self._connections_max = connections_max
        self._open: dict[Ending, None] = {}  # in order of their coming
        self.draining = False

    def remember(self, connection: Ending) -> None:
        """A connection is open."""
        self._open[connection] = None
        if self.draining:
            self._goodbye(connection)

    def is_full(self) -> bool:
        """Whether one more connection is one too many (its own is already counted)."""
        return len(self._open) > self._connections_max

    def forget(self, connection: Ending) -> None:
        """A connection is over."""
        self._open.pop(connection, None)

    def close_all(self) -> None:
        """Say goodbye to everybody."""
        self.draining = True
        for connection in list(self._open):
            self._goodbye(connection)

    def _goodbye(self, connection: Ending) -> None:
        reason = Reason.USE_ANOTHER_SERVER if self.server_reference else Reason.SERVER_SHUTTING_DOWN
        connection.end(reason, "the platform is shutting down")
