"""Paho, a client that knows nothing of us, at the MQTT door: 3.1.1 and 5, TCP and TLS."""

import base64
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from tests.e2e.platform_process import PlatformProcess

pytestmark = pytest.mark.slow

V311, V5 = MQTTProtocolVersion.MQTTv311, MQTTProtocolVersion.MQTTv5
VERSIONS = pytest.mark.parametrize("version", [V311, V5], ids=["3.1.1", "5"])
ANSWER_S_MAX = 5.0
CUT_S_MAX = 1.0
BASE_MS = 1_767_225_600_000
NOT_PERMITTED = {0x86, 0x87}
"""Paho tells the 3.1.1 codes 4 and 5 as these reasons of MQTT 5."""


def _token(device: str) -> str:
    return f"token-of-{device}-0123456789abcdef0123456789abcdef"


DEVICES = [f"{name}-{version}" for name in ("tcp", "tls", "wrong", "thief", "victim", "will", "orderly", "cut", "dead",
                                            "listener") for version in ("v311", "v5")]  # fmt: skip


def _name(prefix: str, version: MQTTProtocolVersion) -> str:
    return f"{prefix}-{'v5' if version is V5 else 'v311'}"


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformProcess]:
    with PlatformProcess(tmp_path_factory.mktemp("paho") / "data") as running:
        running.import_devices([(device, "generic", _token(device)) for device in DEVICES])
        yield running


class Session:
    """A Paho client, and what it was told."""

    def __init__(self, device: str, version: MQTTProtocolVersion, token: str) -> None:
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=device, protocol=version)
        self.client.username_pw_set(device, token)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_publish = self._on_publish
        self.client.on_message = self._on_message
        self.answered, self.ended, self.granted, self.notified = (threading.Event() for _ in range(4))
        self.client.on_subscribe = lambda *_: self.granted.set()
        self.code = self.end_code = -1
        self.puback_codes: list[int] = []
        self.messages: list[paho.MQTTMessage] = []

    def _on_connect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.code = reason.value
        self.answered.set()

    def _on_disconnect(self, _client: Any, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.end_code = reason.value
        self.ended.set()

    def _on_publish(self, _client: Any, _data: Any, _mid: int, reason: Any, _properties: Any) -> None:
        self.puback_codes.append(reason.value)

    def _on_message(self, _client: Any, _data: Any, message: paho.MQTTMessage) -> None:
        self.messages.append(message)
        self.notified.set()

    def publish(self, topic: str, payload: str | bytes, qos: int = 1) -> None:
        self.client.publish(topic, payload, qos).wait_for_publish(ANSWER_S_MAX)


@contextmanager
def _session(
    platform: PlatformProcess,
    device: str,
    version: MQTTProtocolVersion,
    *,
    tls: bool = False,
    token: str = "",
    will: str = "",
) -> Iterator[Session]:
    session = Session(device, version, token or _token(device))
    if will:
        session.client.will_set("telemetry", will, qos=1)
    if tls:
        session.client.tls_set(str(platform.ca), tls_version=ssl.PROTOCOL_TLS_CLIENT)
    session.client.connect("127.0.0.1", platform.ports.mqtts if tls else platform.ports.mqtt)
    session.client.loop_start()
    try:
        assert session.answered.wait(ANSWER_S_MAX), "no CONNACK"
        yield session
    finally:
        session.client.disconnect()
        session.client.loop_stop()


@VERSIONS
@pytest.mark.parametrize("tls", [False, True], ids=["tcp", "tls"])
def test_what_paho_publishes_is_stored_once(platform: PlatformProcess, version: MQTTProtocolVersion, tls: bool) -> None:
    device = _name("tls" if tls else "tcp", version)
    with _session(platform, device, version, tls=tls) as session:
        assert session.code == 0
        waiting = [
            session.client.publish("telemetry", f'{{"ts":{BASE_MS + n * 1000},"values":{{"kwh":{n}.25}}}}', 1)
            for n in range(200)
        ]
        for message in waiting:
            message.wait_for_publish(ANSWER_S_MAX)
        session.publish(f"devices/{device}/telemetry", f'{{"ts":{BASE_MS + 200_000},"values":{{"kwh":200.25}}}}', 0)
    assert platform.readings(device, 201) == [
        (f"2026-01-01T00:{n // 60:02}:{n % 60:02}Z", "kwh", n + 0.25) for n in range(201)
    ]
    assert len(session.puback_codes) == 201  # QoS 0 is reported too, once it is written
    assert set(session.puback_codes) == {0}
    assert platform.outcomes(device)["stored"] == 201


@VERSIONS
def test_wrong_token_is_refused(platform: PlatformProcess, version: MQTTProtocolVersion) -> None:
    device = _name("wrong", version)
    before = platform.metric("ringmain_auth_refusals_total")
    with _session(platform, device, version, token=_token(_name("tcp", version))) as session:
        assert session.code in NOT_PERMITTED
        assert not session.client.is_connected()
    assert platform.metric("ringmain_auth_refusals_total") > before
    assert platform.readings(device) == []


@VERSIONS
def test_another_devices_topic_is_rejected_and_counted(platform: PlatformProcess, version: MQTTProtocolVersion) -> None:
    thief, victim = _name("thief", version), _name("victim", version)
    with _session(platform, thief, version) as session:
        session.publish(f"devices/{victim}/telemetry", '{"kwh": 1}')
        session.publish("somewhere/else", '{"kwh": 1}')
        session.publish("telemetry", f'{{"ts":{BASE_MS},"values":{{"kwh":7}}}}')
        assert session.puback_codes == ([0x87, 0x90, 0] if version is V5 else [0, 0, 0])
    platform.wait_for_outcome(thief, "rejected.foreign_device", 1)
    platform.wait_for_outcome(thief, "rejected.unknown_topic", 1)
    assert platform.readings(thief, 1) == [("2026-01-01T00:00:00Z", "kwh", 7)]
    assert platform.readings(victim) == []


@VERSIONS
def test_undecodable_payload_is_acknowledged_and_kept(platform: PlatformProcess, version: MQTTProtocolVersion) -> None:
    device = _name("dead", version)
    payload = b'{"ts": 1, "values": {"kwh": \xff}}'
    with _session(platform, device, version) as session:
        session.client.subscribe("errors", 1)
        assert session.granted.wait(ANSWER_S_MAX)
        session.publish("telemetry", payload)
        assert len(session.puback_codes) == 1
        assert session.client.is_connected()
        assert session.notified.wait(ANSWER_S_MAX), "the device that listens to errors was not told"
        assert session.messages[0].topic == f"devices/{device}/errors"
    platform.wait_for_outcome(device, "dead_letter.undecodable_payload", 1)
    letters = platform.get(f"/api/v1/dead-letters?device={device}")["items"]
    assert [(letter["reason"], base64.b64decode(letter["payload"])) for letter in letters] == [
        ("undecodable_payload", payload)
    ]


@VERSIONS
def test_will_of_a_lost_connection_is_stored(platform: PlatformProcess, version: MQTTProtocolVersion) -> None:
    device = _name("will", version)
    with _session(platform, device, version, will=f'{{"ts":{BASE_MS},"values":{{"v":0}}}}') as session:
        session.client.loop_stop()
        session.client._sock_close()
        assert platform.readings(device, 1) == [("2026-01-01T00:00:00Z", "v", 0)]


@VERSIONS
def test_will_of_an_orderly_end_is_not(platform: PlatformProcess, version: MQTTProtocolVersion) -> None:
    device = _name("orderly", version)
    with _session(platform, device, version, will=f'{{"ts":{BASE_MS},"values":{{"v":0}}}}') as session:
        session.publish("telemetry", f'{{"ts":{BASE_MS},"values":{{"v":230}}}}')
    time.sleep(0.5)
    assert platform.readings(device, 1) == [("2026-01-01T00:00:00Z", "v", 230)]
    assert "conflict" not in platform.outcomes(device)


@VERSIONS
def test_suspended_device_is_cut_and_refused(platform: PlatformProcess, version: MQTTProtocolVersion) -> None:
    device = _name("cut", version)
    with _session(platform, device, version) as session:
        session.publish("telemetry", f'{{"ts":{BASE_MS},"values":{{"v":230}}}}')
        session.client.reconnect_delay_set(30, 30)
        began = time.monotonic()
        platform.post(f"/api/v1/devices/{device}/suspend")
        assert session.ended.wait(CUT_S_MAX), "a suspended device was still connected after a second"
        assert time.monotonic() - began < CUT_S_MAX
        if version is V5:
            assert session.end_code == 0x87
    with _session(platform, device, version) as session:
        assert session.code in NOT_PERMITTED
    platform.post(f"/api/v1/devices/{device}/activate")
    with _session(platform, device, version) as session:
        assert session.code == 0
        session.publish("telemetry", f'{{"ts":{BASE_MS + 1000},"values":{{"v":231}}}}')
    assert len(platform.readings(device, 2)) == 2


@VERSIONS
def test_only_its_own_notices_may_be_listened_to(platform: PlatformProcess, version: MQTTProtocolVersion) -> None:
    device, codes = _name("listener", version), []
    with _session(platform, device, version) as session:
        session.client.on_subscribe = lambda _c, _d, _mid, reasons, _p: (
            codes.extend(reason.value for reason in reasons),
            session.granted.set(),
        )
        session.client.subscribe([(f"devices/{device}/#", 1), ("devices/victim-v5/#", 1), ("#", 0)])
        assert session.granted.wait(ANSWER_S_MAX)
    assert codes[0] == 1
    assert all(code >= 0x80 for code in codes[1:])


def test_receive_maximum_is_told_and_session_expiry_is_accepted(platform: PlatformProcess) -> None:
    properties = Properties(PacketTypes.CONNECT)
    properties.SessionExpiryInterval = 60
    session = Session("tcp-v5", V5, _token("tcp-v5"))
    told: list[Any] = []
    session.client.on_connect = lambda _c, _d, _f, reason, said: (
        told.extend([reason.value, said]),
        session.answered.set(),
    )
    session.client.connect("127.0.0.1", platform.ports.mqtt, properties=properties)
    session.client.loop_start()
    try:
        assert session.answered.wait(ANSWER_S_MAX)
    finally:
        session.client.disconnect()
        session.client.loop_stop()
    assert told[0] == 0
    assert told[1].ReceiveMaximum == 32
