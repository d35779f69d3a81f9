"""The connection of a session, as the broker sees it: what it has for the peer goes to the machine."""

from collections.abc import Callable

from ringmain.gateway.broker.message import Waiting
from ringmain.ports.clock import Clock
from ringmain.protocols.mqtt import properties
from ringmain.protocols.mqtt.events import Event, Phase
from ringmain.protocols.mqtt.machine import ServerMachine
from ringmain.protocols.mqtt.outgoing import Sending
from ringmain.protocols.mqtt.properties import Property, Value
from ringmain.protocols.mqtt.reasons import Reason
from ringmain.transports.stream import StreamDriver


class MqttLink:
    """See `broker.session.Link`. `end` closes the connection from our side."""

    def __init__(
        self, machine: ServerMachine, driver: StreamDriver[Event], clock: Clock, end: Callable[[Reason, str], None]
    ) -> None:
        self._machine = machine
        self._driver = driver
        self._clock = clock
        self._end = end

    def deliver(self, waiting: Waiting, identifier: int) -> Sending:
        """Link: what is left of the message's life goes with it [MQTT-3.3.2-6]."""
        message = waiting.message
        found: properties.Properties = properties.NONE
        if self._machine.level == 5 and (message.found or waiting.numbers):
            changed: dict[Property, Value] = dict(message.found)
            if message.expires_ms is not None:
                left_ms = message.expires_ms - self._clock.now_ms()
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
        """Link; as long as the peer has no CONNACK, nothing else is for it."""
        return self._driver.is_choked or self._machine.phase is not Phase.CONNECTED

    def flush(self) -> None:
        """Link."""
        self._driver.flush()

    def taken_over(self) -> None:
        """Link [MQTT-3.1.4-3]."""
        self._end(Reason.SESSION_TAKEN_OVER, "another connection uses this client id")
