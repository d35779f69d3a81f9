"""The platform that ThingsBoard's gateway talks to in the bench: as much of its MQTT API as a session needs.

It answers the request for the session's limits ("0:0" is none) and those for attributes (there are none), takes
`v1/gateway/connect`, acknowledges every message of QoS 1 at once, and writes down every reading that
`v1/gateway/telemetry` brings: gateway (its access token), device, stamp, value. It must never lose or merge what it
acknowledged; its memory is the record.

    python bench/edge_stub.py --port 0

prints {"port": N}, then takes lines on standard input: `counts`, `write FILE`. The end of its input ends it.
"""

import argparse
import asyncio
import struct
import sys
from collections import Counter
from pathlib import Path

import msgspec

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from bench import edge_mqtt as mqtt  # noqa: E402

LIMITS = {
    "maxPayloadSize": 65_536,
    "maxInflightMessages": 100,
    "rateLimits": {"messages": "0:0", "telemetryMessages": "0:0", "telemetryDataPoints": "0:0"},
    "gatewayRateLimits": {"messages": "0:0", "telemetryMessages": "0:0", "telemetryDataPoints": "0:0"},
}
"""What ThingsBoard answers to `getSessionLimits` where no limit is set, with its own default sizes."""

RPC, RPC_ANSWER = "v1/devices/me/rpc/request/", "v1/devices/me/rpc/response/"
ATTRIBUTES, ATTRIBUTES_ANSWER = "v1/devices/me/attributes/request/", "v1/devices/me/attributes/response/"
GATEWAY_ATTRIBUTES, GATEWAY_ATTRIBUTES_ANSWER = "v1/gateway/attributes/request", "v1/gateway/attributes/response"
TELEMETRY = "v1/gateway/telemetry"


class Entry(msgspec.Struct):
    """One element of a device's telemetry."""

    ts: int
    values: dict[str, int]


class Arrived(msgspec.Struct):
    """What came from one gateway: device → (stamp, value) → how often; sessions and messages counted."""

    readings: dict[str, Counter[tuple[int, int]]] = {}
    distinct: int = 0
    delivered: int = 0
    sessions: int = 0
    messages: int = 0
    newest_ms: int = 0

    def take(self, payload: bytes, channel: str) -> None:
        """One telemetry message."""
        self.messages += 1
        for device, entries in msgspec.json.decode(payload, type=dict[str, list[Entry]]).items():
            found = self.readings.setdefault(device, Counter())
            for entry in entries:
                if channel not in entry.values:
                    continue
                before = len(found)
                found[entry.ts, entry.values[channel]] += 1
                self.distinct += len(found) - before
                self.delivered += 1
                self.newest_ms = max(self.newest_ms, entry.ts)


class Session(asyncio.Protocol):
    """One connection of a gateway."""

    def __init__(self, arrived: dict[str, Arrived], channel: str) -> None:
        self._arrived, self._channel = arrived, channel
        self._packets = mqtt.Packets()
        self._user = ""
        self._five = True
        self._next = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        try:
            for first, body in self._packets.feed(data):
                self._take(first, body)
        except (mqtt.Malformed, msgspec.DecodeError, IndexError, struct.error) as error:
            print(f"closed {self._user!r}: {error}", file=sys.stderr, flush=True)
            self._transport.abort()

    def _take(self, first: int, body: bytes) -> None:
        tail = b"\0" if self._five else b""
        match first >> 4:
            case mqtt.CONNECT:
                self._five, _, self._user = mqtt.read_connect(body)
                self._arrived.setdefault(self._user, Arrived()).sessions += 1
                self._transport.write(mqtt.packet(mqtt.CONNACK << 4, b"\0\0" + (b"\0" if self._five else b"")))
            case mqtt.PUBLISH:
                topic, identifier, payload = mqtt.read_publish(first, body, five=self._five)
                if topic == TELEMETRY:
                    self._arrived[self._user].take(payload, self._channel)
                if identifier:
                    self._transport.write(mqtt.packet(mqtt.PUBACK << 4, identifier))
                self._answer(topic, payload)
            case mqtt.SUBSCRIBE:
                at = mqtt.skip_properties(body, 2) if self._five else 2
                reasons = bytearray()
                while at < len(body):
                    _, at = mqtt.take_string(body, at)
                    reasons.append(min(body[at] & 3, 1))
                    at += 1
                self._transport.write(mqtt.packet(mqtt.SUBACK << 4, body[:2] + tail + bytes(reasons)))
            case mqtt.UNSUBSCRIBE:
                self._transport.write(mqtt.packet(mqtt.UNSUBACK << 4, body[:2] + (b"\0\0" if self._five else b"")))
            case mqtt.PINGREQ:
                self._transport.write(mqtt.packet(mqtt.PINGRESP << 4, b""))
            case mqtt.DISCONNECT:
                self._transport.close()
            case mqtt.PUBACK:
                pass
            case kind:
                raise mqtt.Malformed(f"packet type {kind}")

    def _answer(self, topic: str, payload: bytes) -> None:
        """The three requests of a gateway's session."""
        if topic.startswith(RPC):
            self._publish(RPC_ANSWER + topic.removeprefix(RPC), LIMITS)
        elif topic.startswith(ATTRIBUTES):
            self._publish(ATTRIBUTES_ANSWER + topic.removeprefix(ATTRIBUTES), {})
        elif topic == GATEWAY_ATTRIBUTES:
            asked = msgspec.json.decode(payload)
            self._publish(GATEWAY_ATTRIBUTES_ANSWER, {"id": asked["id"], "device": asked["device"], "values": {}})

    def _publish(self, topic: str, document: object) -> None:
        self._next = self._next % 65_535 + 1
        body = msgspec.json.encode(document)
        self._transport.write(mqtt.publish(topic, body, self._next, five=self._five))


def written(arrived: dict[str, Arrived]) -> bytes:
    """gateway → device → rows of [stamp, value, how often]."""
    return msgspec.json.encode(
        {
            gateway: {
                device: [[ts, value, times] for (ts, value), times in sorted(found.items())]
                for device, found in one.readings.items()
            }
            for gateway, one in arrived.items()
        }
    )


def counts(arrived: dict[str, Arrived]) -> bytes:
    """One line: gateway → its counters."""
    names = ("distinct", "delivered", "sessions", "messages", "newest_ms")
    return msgspec.json.encode(
        {gateway: {name: getattr(one, name) for name in names} for gateway, one in arrived.items()}
    )


async def serve(port: int, channel: str) -> None:
    """Until the end of standard input."""
    arrived: dict[str, Arrived] = {}
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Session(arrived, channel), "127.0.0.1", port)
    lines = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    print(msgspec.json.encode({"port": server.sockets[0].getsockname()[1]}).decode(), flush=True)
    while line := (await lines.readline()).decode().split():
        if line[0] == "write":
            Path(line[1]).write_bytes(written(arrived))  # noqa: ASYNC240 - once, when all is over
        print(counts(arrived).decode(), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="The stub of ThingsBoard's platform.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--channel", default="wh", help="the key that is counted; a gateway's own statistics are not")
    options = parser.parse_args()
    asyncio.run(serve(options.port, options.channel))
    return 0


if __name__ == "__main__":
    sys.exit(main())
