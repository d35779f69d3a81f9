"""The uplink's embedded home: MQTT 5, one connection after another, each with backoff and full jitter between them.

A connection is up when the platform has accepted it and granted what the gateway listens to. It ends by an error, by
an answer that is overdue (a link that died without a word), or because somebody asks for a new one. What is in flight
then is `Failed("unavailable")` for who sent it: it may or may not have arrived.

It must never try faster than its backoff, and never stop trying.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from random import Random

from ringmain.adapters.embedded.uplink_answers import refusal_of
from ringmain.adapters.embedded.uplink_backoff import Backoff
from ringmain.adapters.embedded.uplink_target import Target
from ringmain.model.errors import Failed, Refused
from ringmain.ports.uplink import Listener
from ringmain.protocols.mqtt.client import ClientMachine
from ringmain.protocols.mqtt.client_events import (
    Accepted,
    Acknowledged,
    ClientEvent,
    Ended,
    Granted,
    Received,
)
from ringmain.protocols.mqtt.reasons import Reason
from ringmain.transports.stream import StreamDriver

log = logging.getLogger(__name__)

CONNECT_S_MAX, CONNECT_ANSWERS = 15.0, 3
"""TCP and TLS handshake together, over a line of 9,600 bit/s as well; never longer than three answers may take."""


PACKET_BYTES_MAX, PACKET_FRAME = 1_048_576, 64
"""What a platform takes by default; and what a packet has beyond the topic's own tree and the payload: its head, its
identifier, and the name below the tree."""


class MqttUplink:
    """See `ports.uplink`. `root` is the gateway's own tree, `devices/{id}/`."""

    def __init__(
        self,
        target: Callable[[], Target],
        root: str,
        listens: Sequence[str],
        *,
        listener: Listener,
        on_change: Callable[[], None],
        rng: Random,
    ) -> None:
        self._target = target
        self._root = root
        self._listens = listens
        self._listener = listener
        self._on_change = on_change
        self._rng = rng
        self._driver: StreamDriver[ClientEvent] | None = None
        self._machine: ClientMachine | None = None
        self._waiting: dict[int, asyncio.Future[None]] = {}
        self._changed = asyncio.Event()
        self._at_once = False
        self._subscribed = 0
        self._carried = False
        self._packet_bytes_max = PACKET_BYTES_MAX
        self.is_up = False
        self.connections = 0
        self.trouble = "not connected yet"
        self.refusal: Reason | None = None
        """Why the platform did not let us in, where it said so."""

    # -- port -----------------------------------------------------------------------------------------------

    @property
    def payload_bytes_max(self) -> int:
        """See `ports.uplink`."""
        return self._packet_bytes_max - len(self._root.encode()) - PACKET_FRAME

    async def up(self) -> None:
        """See `ports.uplink`."""
        while not self.is_up:
            await self._changed.wait()

    async def news(self) -> None:
        """Return at the next change of any kind."""
        await self._changed.wait()

    async def send(self, name: str, payload: bytes) -> None:
        """See `ports.uplink`."""
        connection = self.connections
        while self.is_up and self.connections == connection and not self._room():
            await self._changed.wait()
        if not self.is_up or self.connections != connection or not self._machine or not self._driver:
            raise Failed("unavailable", "the uplink is down", "it is kept and sent when the uplink is back")
        try:
            identifier = self._machine.publish(self._root + name, payload, self._driver.now())
        except ValueError as error:
            raise Refused("too_large", str(error), "send it in smaller parts") from error
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting[identifier] = done
        self._driver.flush()
        self._machine.sending(self._driver.now())
        self._driver.rearm()
        await done

    def reconnect(self) -> None:
        """End this connection, if there is one, and make the next at once: the target may be another."""
        self._at_once = True
        if self._driver and self._machine:
            self._ended(self._machine.close())
        self._tell()

    def _room(self) -> int:
        return self._machine.room if self._machine else 0

    # -- connections ----------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Connect for ever, until cancelled."""
        backoff, now = Backoff(self._rng), asyncio.get_running_loop().time
        while True:
            self._at_once = self._carried = False
            since = now()
            target = self._target()
            connect_s = min(CONNECT_S_MAX, CONNECT_ANSWERS * target.client.answer_s)
            try:
                await self._connection(target, connect_s)
            except TimeoutError:
                self.trouble = f"no connection to {target.host}:{target.port} within {connect_s:g} s"
            except OSError as error:  # ssl.SSLError is one
                self.trouble = f"{target.host}:{target.port}: {error}"
            backoff.ended(carried=self._carried, lasted_s=now() - since)
            self._tell()
            if not self._at_once:
                await self._pause(backoff.pause_s())

    async def _connection(self, target: Target, connect_s: float) -> None:
        """One connection from the handshake to the end. It is ours from the moment in which it is there: whatever
        happens to it before we hear of that is heard.
        """
        loop = asyncio.get_running_loop()
        machine = ClientMachine(target.client, loop.time(), lambda: driver.progress())  # noqa: PLW0108 - it is made below

        def opened() -> None:
            machine.opened(loop.time())
            self._machine, self._driver = machine, driver

        driver: StreamDriver[ClientEvent] = StreamDriver(machine, self._on_events, opened)
        try:
            async with asyncio.timeout(connect_s):
                await loop.create_connection(
                    lambda: driver,
                    target.host,
                    target.port,
                    ssl=target.tls,
                    server_hostname=target.host if target.tls else None,
                )
            driver.flush()
            while self._driver is driver and not self._at_once:  # the target may have changed during the handshake
                await self._changed.wait()
        finally:
            if self._driver is driver:
                self._ended(machine.close())

    async def _pause(self, seconds: float) -> None:
        """`reconnect` ends it."""
        try:
            async with asyncio.timeout(seconds):
                while not self._at_once:
                    await self._changed.wait()
        except TimeoutError:
            pass

    def _on_events(self, driver: StreamDriver[ClientEvent], events: Sequence[ClientEvent]) -> None:
        for event in events:
            if self._driver is not driver:
                return
            if isinstance(event, Acknowledged):
                self._acknowledged(event)
            elif isinstance(event, Received):
                self._listener(event.topic.removeprefix(self._root), event.payload)
            elif isinstance(event, Accepted):
                self._packet_bytes_max = event.packet_bytes_max
                self._subscribed = (
                    self._machine.subscribe([self._root + name for name in self._listens], driver.now())
                    if self._machine
                    else 0
                )
            elif isinstance(event, Granted):
                self._granted(event)
            elif isinstance(event, Ended):
                self._ended(event)
        self._tell()

    def _granted(self, event: Granted) -> None:
        refused = [name for name, code in zip(self._listens, event.codes, strict=False) if code >= 0x80]
        if event.identifier != self._subscribed:
            return
        if refused:
            log.warning(
                "the platform does not let us listen to %s; is this device a gateway there?", ", ".join(refused)
            )
        self.is_up, self.trouble, self.refusal = True, "", None
        self.connections += 1
        self._on_change()

    def _acknowledged(self, event: Acknowledged) -> None:
        done = self._waiting.pop(event.identifier, None)
        if done is None or done.done():
            return
        refusal = refusal_of(event)
        if refusal:
            done.set_exception(refusal)
        else:
            self._carried = True
            done.set_result(None)

    def _ended(self, event: Ended) -> None:
        driver, self._driver, self._machine = self._driver, None, None
        self.refusal = None if self.is_up else event.reason
        was_up, self.is_up = self.is_up, False
        self.trouble = event.detail
        waiting, self._waiting = self._waiting, {}
        for done in waiting.values():
            if not done.done():
                done.set_exception(
                    Failed("unavailable", f"the uplink ended: {event.detail}", "it is kept and sent again")
                )
        if driver:
            driver.close()
        if was_up:
            self._on_change()

    def _tell(self) -> None:
        """Wake whoever waits for a change of any kind."""
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()
