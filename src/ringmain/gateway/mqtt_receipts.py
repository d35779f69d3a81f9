"""What a client hears of its messages once their commit is over: PUBACK or PUBREC, or that they were not taken.

What is not durable is never acknowledged: MQTT 5 hears 0x97 where there was no room, 3.1.1 loses its connection and
sends again.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import groupby

from ringmain.gateway.broker.session import Session
from ringmain.gateway.mqtt_door import Door
from ringmain.model.errors import ERRORS, Failed
from ringmain.protocols.mqtt.events import Event
from ringmain.protocols.mqtt.machine import ServerMachine
from ringmain.protocols.mqtt.reasons import Reason
from ringmain.transports.stream import StreamDriver

IN_FLIGHT_311_MAX = 4_096
"""3.1.1 has no receive maximum: beyond this many unacknowledged messages its socket is not read."""


class MqttReceipts:
    """Depositor of the intake, for one connection. `end` closes it from our side."""

    def __init__(
        self, door: Door, machine: ServerMachine, driver: StreamDriver[Event], end: Callable[[Reason, str], None]
    ) -> None:
        self.session: Session | None = None
        self._door = door
        self._machine = machine
        self._driver = driver
        self._end = end
        self._answers: dict[bytes, Reason] = {}

    def tell(self, answers: Mapping[bytes, Reason]) -> None:
        """What is to be answered to these other than success."""
        self._answers.update(answers)

    def pace(self) -> None:
        """Read no more from one that has too many without an answer."""
        if self._machine.in_flight > IN_FLIGHT_311_MAX:
            self._driver.hold("in flight", excuses=True)

    def settle(self, identifiers: list[bytes], failed: Failed | None) -> None:
        """Depositor: to those of QoS 1 and 2, in the order in which they came [MQTT-4.6.0-2]."""
        if failed:
            if b"" in identifiers:
                self._door.on_dropped(identifiers.count(b""))
            self._untake(identifiers)
        if failed and (self._machine.level != 5 or failed.code != "storage_full"):
            self._end(Reason.SERVER_UNAVAILABLE, failed.detail)
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
        self._driver.flush()
        if self._machine.in_flight <= IN_FLIGHT_311_MAX:
            self._driver.release("in flight")

    def _untake(self, identifiers: Sequence[bytes]) -> None:
        """Messages of QoS 2 that are over with a PUBREC that refuses them, or were not taken at all."""
        if self.session and self.session.unreleased:
            self._door.broker.untake(self.session, identifiers)

    def refuse(self, identifiers: list[bytes], reason: str) -> None:
        """Depositor: MQTT 5 hears why with its PUBACK; 3.1.1 knows no other answer than success."""
        if self._machine.level == 5:
            answer = Reason(ERRORS[reason].mqtt_reason)
            self._answers.update((identifier, answer) for identifier in identifiers if identifier)

    def hold(self) -> None:
        """Depositor."""
        self._driver.hold("log", excuses=True)

    def resume(self) -> None:
        """Depositor."""
        self._driver.release("log")
