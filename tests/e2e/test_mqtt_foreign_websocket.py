"""MQTT in a WebSocket, by clients that know nothing of us: Paho, and a WebSocket library that sends what it is told."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import paho.mqtt.client as paho
import pytest
import websockets
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from tests.e2e.platform_process import PlatformProcess

pytestmark = pytest.mark.slow

V311, V5 = MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5
VERSIONS = pytest.mark.parametrize("version", [V311, V5], ids=["3.1.1", "5"])
ANSWER_S_MAX = 5.0
CUT_S_MAX = 1.0
BASE_MS = 1_767_225_600_000
DEVICES = ("paho-4", "paho-5", "split", "cut-4", "cut-5", "same", "big", "end-4", "end-5")


def _token(device: str) -> str:
    return f"token-of-{device}-0123456789abcdef0123456789abcdef"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformProcess]:
    environment = {"RINGMAIN_MQTT__CONNECT_DEADLINE_S": "2", "RINGMAIN_MQTT__PACKET_BYTES_MAX": "65536"}
    with PlatformProcess(tmp_path_factory.mktemp("websocket") / "data", environment=environment) as running:
        running.import_devices([(device, "generic", _token(device)) for device in DEVICES])
        yield running


# -- Paho ---------------------------------------------------------------------------------------------------


class Session:
    def __init__(self, device: str, version: MQTTProtocolVersion, token: str = "") -> None:
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=device, protocol=version, transport="websockets"
        )
        self.client.username_pw_set(device, token or _token(device))
        self.answered, self.ended, self.granted, self.notified = (threading.Event() for _ in range(4))
        self.code = self.end_code = -1
        self.messages: list[paho.MQTTMessage] = []
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_subscribe = lambda *_: self.granted.set()
        self.client.on_message = self._on_message

    def _on_connect(self, *arguments) -> None:
        self.code = arguments[3].value
        self.answered.set()

    def _on_disconnect(self, *arguments) -> None:
        self.end_code = arguments[3].value
        self.ended.set()

    def _on_message(self, *arguments) -> None:
        self.messages.append(arguments[2])
        self.notified.set()


@contextmanager
def _session(platform: PlatformProcess, device: str, version: MQTTProtocolVersion, token: str = ""):
    session = Session(device, version, token)
    session.client.connect("127.0.0.1", platform.ports.http)
    session.client.loop_start()
    try:
        assert session.answered.wait(ANSWER_S_MAX), "no CONNACK"
        yield session
    finally:
        session.client.disconnect()
        session.client.loop_stop()


@VERSIONS
def test_what_paho_publishes_is_stored_once(platform: PlatformProcess, version: MQTTProtocolVersion) -> None:
    device = f"paho-{version.value}"
    with _session(platform, device, version) as session:
        assert session.code == 0
        session.client.subscribe(f"devices/{device}/#", 1)
        assert session.granted.wait(ANSWER_S_MAX)
        waiting = [
            session.client.publish("telemetry", f'{{"ts":{BASE_MS + n * 1000},"values":{{"kwh":{n}.25}}}}', 1)
            for n in range(200)
        ]
        for message in waiting:
            message.wait_for_publish(ANSWER_S_MAX)
        session.client.publish("elsewhere", "{}", 1).wait_for_publish(ANSWER_S_MAX)
        assert session.notified.wait(ANSWER_S_MAX), "no notice of what was rejected"
        assert session.messages[0].topic == f"devices/{device}/errors"
    assert [value for _, _, value in platform.readings(device, 200)] == [n + 0.25 for n in range(200)]


@VERSIONS
def test_a_wrong_token_is_refused(platform: PlatformProcess, version: MQTTProtocolVersion) -> None:
    with _session(platform, "paho-4", version, _token("paho-5")) as session:
        assert session.code == 0x86


@VERSIONS
def test_a_suspended_device_is_cut(platform: PlatformProcess, version: MQTTProtocolVersion) -> None:
    device = f"cut-{version.value}"
    with _session(platform, device, version) as session:
        platform.post(f"/api/v1/devices/{device}/suspend")
        assert session.ended.wait(CUT_S_MAX)
        if version is V5:
            assert session.end_code == 0x87


# -- frame by frame -----------------------------------------------------------------------------------------


def _text(value: str) -> bytes:
    return len(value).to_bytes(2, "big") + value.encode()


def _packet(first: int, body: bytes) -> bytes:
    length, size = len(body), b""
    while True:
        length, low = divmod(length, 128)
        size += bytes([low | (128 if length else 0)])
        if not length:
            return bytes([first]) + size + body


def _connect(device: str, level: int = 5) -> bytes:
    properties = b"\0" if level == 5 else b""
    head = _text("MQTT") + bytes([level, 0b1100_0010, 0, 60]) + properties
    return _packet(0x10, head + _text(f"raw-{device}") + _text(device) + _text(_token(device)))


def _publish(identifier: int, ts: int, value: float, padding: int = 0) -> bytes:
    payload = f'{{"ts":{ts},"values":{{"kwh":{value}}}}}{" " * padding}'.encode()
    return _packet(0x32, _text("telemetry") + identifier.to_bytes(2, "big") + b"\0" + payload)


def _puback(identifier: int) -> bytes:
    return _packet(0x40, identifier.to_bytes(2, "big"))


@asynccontextmanager
async def _raw(
    platform: PlatformProcess, subprotocols=("mqtt",), path: str = "/mqtt", **options
) -> AsyncIterator[websockets.ClientConnection]:
    url = f"ws://127.0.0.1:{platform.ports.http}{path}"
    async with websockets.connect(url, subprotocols=list(subprotocols) or None, **options) as client:
        yield client


async def _heard(client: websockets.ClientConnection, octets: int) -> bytes:
    data = b""
    async with asyncio.timeout(ANSWER_S_MAX):
        while len(data) < octets:
            data += await client.recv(decode=False)
    return data


async def _signed_in(client: websockets.ClientConnection, device: str, level: int = 5) -> None:
    await client.send(_connect(device, level))
    connack = await _heard(client, 4)
    assert (connack[0], connack[3]) == (0x20, 0)


async def _close_code(client: websockets.ClientConnection) -> int:
    async with asyncio.timeout(ANSWER_S_MAX):
        await client.wait_closed()
    return client.close_code


async def test_packets_need_not_know_frames(platform: PlatformProcess) -> None:
    """[MQTT-6.0.0-2]: byte by byte, all in one, and across the frames of one message."""
    async with _raw(platform) as client:
        for octet in _connect("split"):
            await client.send(bytes([octet]))
        assert (await _heard(client, 4))[0] == 0x20
        await client.send(
            b"".join(_publish(n, BASE_MS + n, n) for n in range(1, 11)) + _publish(11, BASE_MS + 11, 11)[:7]
        )
        rest = _publish(11, BASE_MS + 11, 11)[7:] + _publish(12, BASE_MS + 12, 12)
        await client.send([rest[:5], rest[5:6], rest[6:]])
        assert await _heard(client, 48) == b"".join(map(_puback, range(1, 13)))
        await client.send(_packet(0xC0, b""))
        assert await _heard(client, 2) == b"\xd0\x00"
        await client.send(_packet(0xE0, b""))
        assert await _close_code(client) == 1000
    assert [value for _, _, value in platform.readings("split", 12)] == list(range(1, 13))


@pytest.mark.parametrize("subprotocols", [(), ("mqttv3.1",), ("chat", "amqp")])
async def test_no_handshake_without_the_subprotocol(platform: PlatformProcess, subprotocols) -> None:
    with pytest.raises(websockets.InvalidStatus) as refused:
        async with _raw(platform, subprotocols):
            pass
    assert refused.value.response.status_code == 400


async def test_the_subprotocol_is_echoed(platform: PlatformProcess) -> None:
    async with _raw(platform, ("chat", "mqtt")) as client:
        assert client.subprotocol == "mqtt"
        assert client.response.headers.get("sec-websocket-extensions") is None


async def test_pages_of_any_origin_need_a_token_all_the_same(platform: PlatformProcess) -> None:
    async with _raw(platform, origin="https://elsewhere.example") as client:
        await client.send(_connect("split").replace(_token("split").encode(), b"x" * len(_token("split"))))
        assert (await _heard(client, 4))[3] == 0x86
        assert await _close_code(client) == 1000


@pytest.mark.parametrize("path", ["/", "/mqtt/", "/api/v1/devices"])
async def test_there_is_no_other_websocket(platform: PlatformProcess, path: str) -> None:
    with pytest.raises(websockets.InvalidStatus):
        async with _raw(platform, path=path):
            pass


def test_plain_http_is_told_to_upgrade(platform: PlatformProcess) -> None:
    answer = platform.request("GET", "/mqtt", token=None)
    assert (answer.status, answer.headers["upgrade"]) == (426, "websocket")


async def test_a_text_frame_ends_it(platform: PlatformProcess) -> None:
    """[MQTT-6.0.0-1]"""
    async with _raw(platform) as client:
        await _signed_in(client, "split")
        await client.send("PINGREQ")
        assert await _close_code(client) == 1003


async def test_a_silent_client_has_until_the_connect_deadline(platform: PlatformProcess) -> None:
    began = time.monotonic()
    async with _raw(platform) as client:
        assert await (await client.ping()) >= 0
        assert await _close_code(client) in {1000, 1006}
    assert time.monotonic() - began > 1.5


async def test_what_is_larger_than_a_packet_may_be_is_not_taken_into_memory(platform: PlatformProcess) -> None:
    async with _raw(platform) as client:
        await _signed_in(client, "big")
        await client.send(bytes(65_536 + 6))
        assert await _close_code(client) == 1009


async def test_a_packet_that_is_too_large_over_frames_that_are_not(platform: PlatformProcess) -> None:
    async with _raw(platform) as client:
        await _signed_in(client, "big")
        await client.send(_publish(1, BASE_MS, 1, padding=70_000)[:30_000])
        goodbye = await _heard(client, 4)
        assert (goodbye[0], goodbye[2]) == (0xE0, 0x95)
        assert await _close_code(client) == 1000


async def test_the_same_client_id_over_tcp_takes_it_over(platform: PlatformProcess) -> None:
    async with _raw(platform) as client:
        await _signed_in(client, "same")
        reader, writer = await asyncio.open_connection("127.0.0.1", platform.ports.mqtt)
        writer.write(_connect("same"))
        assert (await reader.readexactly(4))[3] == 0
        goodbye = await _heard(client, 4)
        assert (goodbye[0], goodbye[2]) == (0xE0, 0x8E)
        assert await _close_code(client) == 1000
        writer.close()


def test_an_orderly_end_says_goodbye_first(tmp_path) -> None:
    """MQTT 5 hears DISCONNECT 0x8B, then the WebSocket closes; 3.1.1 has no such word. Nobody holds it up."""
    with PlatformProcess(tmp_path / "data") as own:
        own.import_devices([(device, "generic", _token(device)) for device in ("end-4", "end-5")])

        async def scene() -> float:
            async with _raw(own) as five, _raw(own) as four, _raw(own, close_timeout=1):
                await _signed_in(five, "end-5")
                await _signed_in(four, "end-4", 4)
                began = time.monotonic()
                ending = asyncio.create_task(asyncio.to_thread(own.stop))
                goodbye = await _heard(five, 4)
                assert (goodbye[0], goodbye[2]) == (0xE0, 0x8B)
                assert await _close_code(five) == 1000
                assert await _close_code(four) == 1000
                assert await ending == 0
                return time.monotonic() - began

        assert asyncio.run(scene()) < 8
        assert "Traceback" not in own.log_tail(100_000)
