"""Who breaks the standard loses its own connection, with the right reason, and is counted; nobody else notices."""

import socket
import time
from collections.abc import Iterator

import pytest
from tests.e2e.platform_process import PlatformProcess

pytestmark = pytest.mark.slow

DEVICE = "breaker"
TOKEN = "token-of-breaker-0123456789abcdef0123456789abcdef"
ANSWER_S_MAX = 5.0
METRIC = "ringmain_packets_malformed_total"


def _text(text: str) -> bytes:
    return len(text).to_bytes(2, "big") + text.encode()


def _packet(first: int, body: bytes) -> bytes:
    assert len(body) < 128
    return bytes((first, len(body))) + body


def _connect(level: int, client: str, token: str = TOKEN) -> bytes:
    properties = b"\x00" if level == 5 else b""
    body = _text("MQTT") + bytes((level, 0xC2)) + b"\x00\x00" + properties
    return _packet(0x10, body + _text(client) + _text(DEVICE) + _text(token))


def _publish(level: int, topic: str, payload: str, first: int = 0x32) -> bytes:
    return _packet(first, _text(topic) + b"\x00\x01" + (b"\x00" if level == 5 else b"") + payload.encode())


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformProcess]:
    with PlatformProcess(tmp_path_factory.mktemp("malformed") / "data") as running:
        running.import_devices([(DEVICE, "generic", TOKEN)])
        yield running


@pytest.fixture
def witness(platform: PlatformProcess) -> Iterator[socket.socket]:
    """A connection that does everything right, and must still be there in the end."""
    with _open(platform) as connection:
        connection.sendall(_connect(4, "witness"))
        assert connection.recv(4) == b"\x20\x02\x00\x00"
        yield connection
        connection.sendall(b"\xc0\x00")
        assert connection.recv(2) == b"\xd0\x00", "another connection's fault ended this one"


def _open(platform: PlatformProcess) -> socket.socket:
    return socket.create_connection(("127.0.0.1", platform.ports.mqtt), timeout=ANSWER_S_MAX)


def _until_closed(connection: socket.socket) -> bytes:
    """All that came before the end. An end with a reset is an end too."""
    said = b""
    while True:
        try:
            part = connection.recv(4096)
        except ConnectionResetError:
            return said
        if not part:
            return said
        said += part


BEFORE_CONNECT = {
    "not MQTT": b"GET / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: a browser that went astray\r\n\r\n",
    "PUBLISH first": _publish(4, "telemetry", "{}"),
    "length of five octets": b"\x10\xff\xff\xff\xff\x7f",
    "reserved flags of CONNECT": b"\x11" + _connect(4, "x")[1:],
    "reserved connect flag": _packet(0x10, _text("MQTT") + b"\x04\xc3\x00\x00" + _text("x") + _text("u") + _text("p")),
}
AFTER_CONNECT = {
    "a second CONNECT": lambda level: _connect(level, "again"),
    "QoS 3": lambda level: _publish(level, "telemetry", "{}", 0x36),
    "a wildcard in a topic name": lambda level: _publish(level, "devices/+/telemetry", "{}"),
    "packet type 0": lambda _: b"\x00\x00",
    "SUBSCRIBE without filters": lambda level: _packet(0x82, b"\x00\x01" + (b"\x00" if level == 5 else b"")),
    "topic that is not UTF-8": lambda level: _packet(
        0x32, b"\x00\x02\xff\xfe\x00\x01" + (b"\x00" if level == 5 else b"") + b"{}"
    ),
    "larger than the limit": lambda _: b"\x32\xff\xff\xff\x7f",
}


@pytest.mark.parametrize("octets", BEFORE_CONNECT.values(), ids=BEFORE_CONNECT.keys())
def test_a_stranger_who_speaks_no_mqtt_is_closed_and_counted(
    platform: PlatformProcess, witness: socket.socket, octets: bytes
) -> None:
    before = platform.metric(METRIC)
    with _open(platform) as connection:
        connection.sendall(octets)
        said = _until_closed(connection)
    assert not said or said[0] == 0x20, "a stranger hears a CONNACK or nothing"
    assert platform.metric(METRIC) == before + 1


@pytest.mark.parametrize("level", [4, 5], ids=["3.1.1", "5"])
@pytest.mark.parametrize("octets", AFTER_CONNECT.values(), ids=AFTER_CONNECT.keys())
def test_a_malformed_packet_ends_its_connection_with_a_reason_and_is_counted(
    platform: PlatformProcess, witness: socket.socket, octets, level: int
) -> None:
    before = platform.metric(METRIC)
    with _open(platform) as connection:
        connection.sendall(_connect(level, "breaker"))
        connack = connection.recv(1024)
        assert connack[0] == 0x20
        assert connack[3] == 0
        connection.sendall(octets(level))
        said = _until_closed(connection)
    if level == 5:
        assert said[0] == 0xE0, "MQTT 5 hears why (§4.13)"
        assert said[2] in (0x81, 0x82, 0x90, 0x95, 0x9B)
    else:
        assert said == b"", "3.1.1 has no DISCONNECT from the server"
    assert platform.metric(METRIC) == before + 1


@pytest.mark.parametrize(("level", "codes"), [(4, {4, 5}), (5, {0x86, 0x87})], ids=["3.1.1", "5"])
def test_wrong_token_gets_its_connack(platform: PlatformProcess, level: int, codes: set[int]) -> None:
    with _open(platform) as connection:
        connection.sendall(_connect(level, "thief", "wrong-token"))
        said = _until_closed(connection)
    assert said[0] == 0x20
    assert said[3] in codes


def test_what_was_published_behind_a_refused_connect_is_not_read(platform: PlatformProcess) -> None:
    with _open(platform) as connection:
        connection.sendall(
            _connect(4, "thief", "wrong-token") + _publish(4, "telemetry", '{"ts":1,"values":{"stolen":1}}')
        )
        said = _until_closed(connection)
    assert said[0] == 0x20
    assert len(said) == 4
    time.sleep(0.2)
    assert [channel for _, channel, _ in platform.readings(DEVICE)].count("stolen") == 0


def test_a_connection_that_says_nothing_is_closed_in_time(tmp_path) -> None:
    environment = {"RINGMAIN_MQTT__CONNECT_DEADLINE_S": "1"}
    with PlatformProcess(tmp_path / "data", environment=environment) as platform, _open(platform) as connection:
        began = time.monotonic()
        assert _until_closed(connection) == b""
        assert time.monotonic() - began > 0.5
