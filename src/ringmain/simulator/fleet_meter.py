"""One meter of a fleet: what it has said so far, what is due, and the connection that it has or has not.

It remembers the number of its next interval and what is in flight, no more: a backlog of any length costs nothing,
because readings follow from their time. It must never pass over an interval, nor forget one before its PUBACK.
"""

import asyncio
from typing import Protocol, cast

import msgspec

from ringmain.simulator.meters import MeterBank
from ringmain.simulator.mqtt_client import MqttClient, PeerError, Settings
from ringmain.simulator.payload import Encode

NEVER_MS = 1 << 62
"""Due time of a meter that has nothing more to say."""


class Identity(msgspec.Struct, frozen=True):
    """How a meter signs in; with neither user nor password it is anonymous."""

    id: str
    user: str = ""
    password: str = ""


class Span(msgspec.Struct, frozen=True):
    """Numbers of the intervals that a meter reads: `first` up to, not including, `end` (None: for ever)."""

    first: int
    end: int | None = None


class Meter:
    """The meter at `place` in its fleet and in `row` of a bank; `spread_ms` after an interval ends it speaks."""

    __slots__ = (
        "_bank",
        "_encode",
        "_end",
        "_readings_max",
        "_row",
        "_spread_ms",
        "_topic",
        "attempt",
        "client",
        "due_ms",
        "next_number",
        "paused",
        "place",
        "readings",
        "restarting",
        "transport",
    )

    def __init__(
        self,
        place: int,
        settings: Settings,
        topic: str,
        bank: MeterBank,
        row: int,
        span: Span,
        spread_ms: int,
        encode: Encode,
        readings_max: int,
    ) -> None:
        self.place = place
        self.client = MqttClient(settings)
        self.transport: asyncio.Transport | None = None
        self.attempt = 0
        self.paused = self.restarting = False
        self.readings = 0
        self.next_number = span.first
        self._end = span.end
        self._topic = topic
        self._bank = bank
        self._row = row
        self._spread_ms = spread_ms
        self._encode = encode
        self._readings_max = readings_max
        self.due_ms = self._due()

    @property
    def up(self) -> bool:
        """Whether it may publish."""
        return self.transport is not None and self.client.connected

    def publish(self, now_ms: int, qos: int) -> None:
        """Hand the client one message of readings that are due, the oldest first."""
        number = self.next_number
        count = min(self._readings_max, 1 + (now_ms - self.due_ms) // self._bank.every_ms)
        if self._end is not None:
            count = min(count, self._end - number)
        payload = self._encode([self._bank.reading(self._row, each) for each in range(number, number + count)])
        if qos:
            self.client.publish(self._topic, payload)
        else:
            self.client.publish_at_most_once(self._topic, payload)
        self.readings += count
        self.next_number = number + count
        self.due_ms = self._due()

    def behind(self, now_ms: int) -> int:
        """Readings that are due and were not handed to the client."""
        if self.due_ms > now_ms:
            return 0
        count = 1 + (now_ms - self.due_ms) // self._bank.every_ms
        return count if self._end is None else min(count, self._end - self.next_number)

    def _due(self) -> int:
        """When the next interval has ended by the meter's own clock, and its turn has come."""
        if self._end is not None and self.next_number >= self._end:
            return NEVER_MS
        return self._bank.true_ms(self._row, self.next_number + 1) + self._spread_ms


class Base(Protocol):
    """What a connection tells its fleet."""

    def heard(self, meter: Meter, acknowledged: int) -> None:
        """The server spoke to this meter."""
        ...

    def lost(self, meter: Meter, error: Exception | None) -> None:
        """The meter's connection is gone; `error` is what the peer or the network did."""
        ...


class MeterConnection(asyncio.Protocol):
    """Bytes between one meter and the server."""

    def __init__(self, meter: Meter, base: Base, clock: asyncio.AbstractEventLoop) -> None:
        self._meter = meter
        self._base = base
        self._clock = clock
        self._error: Exception | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        meter, now = self._meter, self._clock.time()
        made = cast("asyncio.Transport", transport)  # uvloop's are no subclass of it
        if meter.transport is not None:  # a call that was given up for late, and came through after all
            made.abort()
            return
        meter.transport = self._transport = made
        meter.paused = False
        meter.client.connect(now)
        made.write(meter.client.data_to_send(now))

    def data_received(self, data: bytes) -> None:
        if self._transport is None:
            return
        try:
            acknowledged = self._meter.client.receive(data, self._clock.time())
        except PeerError as error:
            self.end(error)
            return
        self._base.heard(self._meter, acknowledged)

    def pause_writing(self) -> None:
        self._meter.paused = True

    def resume_writing(self) -> None:
        self._meter.paused = False

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is None:
            return
        self._meter.transport = None
        self._base.lost(self._meter, self._error or exc)

    def end(self, error: Exception) -> None:
        """Leave a server that breaks the rules, or is silent."""
        self._error = error
        if self._transport is not None:
            self._transport.abort()
