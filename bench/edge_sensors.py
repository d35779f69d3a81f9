"""Sensors for the bench of the edge gateways: one process, a reading a second each, sent to several places at once.

Every sensor has one MQTT 3.1.1 connection to each target and publishes the same reading on all of them at QoS 1. What
is not acknowledged is kept and sent again (DUP) on the next connection. Reading `seq` of sensor `n` has the stamp
`base_ms + seq * every_ms + n * every_ms // sensors` and the value `n * 1_000_000 + seq`, so whoever knows `base_ms`
knows all of them. It must never count as acknowledged what no PUBACK named.

    python bench/edge_sensors.py < PLAN (one line of JSON)

prints {"event": "up"} when every connection is signed in, starts, and answers the lines `counts` and `stop` (the last
waits for what is unacknowledged, bounded). The end of its input ends it.
"""

import asyncio
import sys
import time
from collections import deque
from pathlib import Path

import msgspec

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from bench import edge_mqtt as mqtt  # noqa: E402

VALUE_STEP = 1_000_000
"""Between the values of two sensors: sequence numbers stay far below it, and the sum below 2^53."""

KEEP_ALIVE_S = 60
RECONNECT_S = 1.0
"""Sensors come back this long after a lost connection, each with its own part of it on top."""

ACKNOWLEDGED_S_MAX = 20.0
"""What `stop` waits for acknowledgements."""

TICK_S = 0.02


class Target(msgspec.Struct, frozen=True):
    """Where readings go. `{id}` stands for the sensor's name; users are (name, password) by sensor, or none."""

    name: str
    port: int
    topic: str
    users: tuple[tuple[str, str], ...] = ()


class Plan(msgspec.Struct, frozen=True):
    """What the process does."""

    targets: tuple[Target, ...]
    sensors: int = 200
    every_ms: int = 1000
    channel: str = "wh"


class Book(msgspec.Struct):
    """What became of the readings for one target."""

    sent: int = 0
    acknowledged: int = 0
    resent: int = 0
    connections: int = 0
    refused: int = 0


def name_of(number: int) -> str:
    """The sensor's id everywhere."""
    return f"sensor-{number:03d}"


def stamp_ms(plan_sensors: int, every_ms: int, base_ms: int, number: int, seq: int) -> int:
    """Of one reading."""
    return base_ms + seq * every_ms + number * every_ms // plan_sensors


class Sensor(asyncio.Protocol):
    """One sensor's connection to one target."""

    def __init__(self, plan: Plan, target: Target, number: int, book: Book) -> None:
        self._target, self._number, self._book, self._channel = target, number, book, plan.channel
        self.unacknowledged: dict[int, int] = {}
        self.waiting: deque[tuple[int, int]] = deque()
        self.signed_in = False
        self._next = 0
        self._transport: asyncio.Transport | None = None
        self._packets = mqtt.Packets()
        self._topic = target.topic.replace("{id}", name_of(number))
        self._kept: dict[int, bytes] = {}
        self._said = 0.0
        self.lost_at = -1e9

    @property
    def connected(self) -> bool:
        return self._transport is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._packets = transport, mqtt.Packets()
        user, password = self._target.users[self._number] if self._target.users else (None, None)
        self._write(mqtt.connect(name_of(self._number), user, password, KEEP_ALIVE_S))

    def connection_lost(self, _exc: Exception | None) -> None:
        self._transport, self.signed_in, self.lost_at = None, False, time.monotonic()

    def data_received(self, data: bytes) -> None:
        for first, body in self._packets.feed(data):
            match first >> 4:
                case mqtt.CONNACK if body[1] == 0:
                    self.signed_in = True
                    self._book.connections += 1
                    for identifier, seq in self.unacknowledged.items():
                        self._book.resent += 1
                        self._write(mqtt.publish(self._topic, self._kept[seq], identifier, five=False, again=True))
                case mqtt.CONNACK:
                    self._book.refused += 1
                    self.drop()
                case mqtt.PUBACK:
                    seq = self.unacknowledged.pop(int.from_bytes(body[:2], "big"), None)
                    if seq is not None:
                        del self._kept[seq]
                        self._book.acknowledged += 1

    def send(self, seq: int, ts: int) -> None:
        """A new reading; kept until it is acknowledged, whether or not there is a connection."""
        while True:
            self._next = self._next % 65_535 + 1
            if self._next not in self.unacknowledged:
                break
        value = self._number * VALUE_STEP + seq
        self._kept[seq] = payload = b'{"ts":%d,"%s":%d}' % (ts, self._channel.encode(), value)
        self.unacknowledged[self._next] = seq
        self._book.sent += 1
        if self.signed_in:
            self._write(mqtt.publish(self._topic, payload, self._next, five=False))

    def ping_if_quiet(self) -> None:
        """Keep-alive; while readings flow it is never needed."""
        if self.signed_in and time.monotonic() - self._said > KEEP_ALIVE_S / 2:
            self._write(mqtt.packet(mqtt.PINGREQ << 4, b""))

    def drop(self) -> None:
        """Close the connection."""
        if self._transport:
            self._transport.abort()

    def _write(self, data: bytes) -> None:
        if self._transport:
            self._said = time.monotonic()
            self._transport.write(data)


class Street:
    """All sensors at all targets."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.books = {target.name: Book() for target in plan.targets}
        self.lanes = {
            target.name: [Sensor(plan, target, number, self.books[target.name]) for number in range(plan.sensors)]
            for target in plan.targets
        }
        self.base_ms = 0
        self.sent = 0
        self._stopping = False

    async def sign_in(self, seconds_max: float) -> None:
        """Return when every connection is signed in."""
        until = time.monotonic() + seconds_max
        while not all(sensor.signed_in for lane in self.lanes.values() for sensor in lane):
            if time.monotonic() > until:
                missing = {name: sum(not sensor.signed_in for sensor in lane) for name, lane in self.lanes.items()}
                raise TimeoutError(f"sensors that are not signed in after {seconds_max:g} s: {missing}; {self.books}")
            await asyncio.sleep(TICK_S)

    async def connect(self) -> None:
        """For ever: connect who is not connected."""
        loop = asyncio.get_running_loop()
        while True:
            for target in self.plan.targets:
                for number, sensor in enumerate(self.lanes[target.name]):
                    pause_s = RECONNECT_S * (1 + number / self.plan.sensors)
                    if sensor.connected or time.monotonic() - sensor.lost_at < pause_s:
                        continue
                    try:
                        await loop.create_connection(lambda it=sensor: it, "127.0.0.1", target.port)
                    except OSError:
                        sensor.lost_at = time.monotonic()
            await asyncio.sleep(TICK_S)

    async def send(self) -> None:
        """One reading after the other, each when its stamp says. All targets get each in the same moment."""
        plan = self.plan
        self.base_ms = int(time.time() * 1000) + 1000
        total = 0
        while not self._stopping:
            seq, number = divmod(total, plan.sensors)
            ts = stamp_ms(plan.sensors, plan.every_ms, self.base_ms, number, seq)
            if (early_s := ts / 1000 - time.time()) > 0:
                await asyncio.sleep(early_s)
                continue
            for lane in self.lanes.values():
                lane[number].send(seq, ts)
            total += 1
            self.sent = total
            if not total % plan.sensors:
                for lane in self.lanes.values():
                    for sensor in lane:
                        sensor.ping_if_quiet()

    async def stop(self) -> None:
        """Send nothing new, wait for what is unacknowledged."""
        self._stopping = True
        until = time.monotonic() + ACKNOWLEDGED_S_MAX
        while self.unacknowledged() and time.monotonic() < until:  # noqa: ASYNC110 - 400 sensors, one look
            await asyncio.sleep(TICK_S)

    def unacknowledged(self) -> dict[str, dict[int, list[int]]]:
        """Target → sensor → sequence numbers; empty when all is acknowledged."""
        return {
            name: found
            for name, lane in self.lanes.items()
            if (
                found := {
                    number: sorted(s.unacknowledged.values()) for number, s in enumerate(lane) if s.unacknowledged
                }
            )
        }

    def counts(self) -> bytes:
        """One line."""
        return msgspec.json.encode(
            {"base_ms": self.base_ms, "sent": self.sent, "books": self.books, "at_ms": int(time.time() * 1000)}
        )


async def run() -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=1 << 20)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    street = Street(msgspec.json.decode(await lines.readline(), type=Plan))
    async with asyncio.TaskGroup() as group:
        connecting = group.create_task(street.connect())
        await street.sign_in(60)
        print(msgspec.json.encode({"event": "up"}).decode(), flush=True)
        sending = group.create_task(street.send())
        while command := (await lines.readline()).strip():
            if command == b"stop":
                await street.stop()
                left = msgspec.json.decode(street.counts()) | {"unacknowledged": street.unacknowledged()}
                print(msgspec.json.encode(left).decode(), flush=True)
            else:
                print(street.counts().decode(), flush=True)
        sending.cancel()
        connecting.cancel()


if __name__ == "__main__":
    asyncio.run(run())
