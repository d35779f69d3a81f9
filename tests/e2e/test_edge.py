"""The edge gateway as processes: it joins, takes, forwards, keeps, obeys the platform, and takes bad settings back."""

import os
import signal
import ssl
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import paho.mqtt.client as paho
import pytest
from tests.e2e.edge_process import Edge, wait_for
from tests.e2e.platform_process import PlatformProcess, ringmain

from ringmain.model.gateway import SettingsState

pytestmark = pytest.mark.slow

PATIENT = {"keep_alive_s": 5, "answer_s": 3, "commit_every_ms": 20, "send_every_ms": 50, "report_every_s": 1}


class Meter:
    """paho with a token, at the edge."""

    def __init__(self, port: int, name: str, token: str, *, ca: Path | None = None) -> None:
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id=name, protocol=paho.MQTTv311)
        self.client.username_pw_set(name, token)
        self.ended: list[int] = []
        self.client.on_disconnect = lambda *_: self.ended.append(1)
        if ca:
            self.client.tls_set(ca_certs=str(ca), tls_version=ssl.PROTOCOL_TLS_CLIENT)
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()
        wait_for(self.client.is_connected, f"{name} was not let in", 10)

    def say(self, *readings: tuple[int, int]) -> None:
        for at_ms, energy_wh in readings:
            body = msgspec.json.encode({"ts": at_ms, "values": {"energy_wh": energy_wh}})
            self.client.publish("telemetry", body, qos=1).wait_for_publish(10)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformProcess]:
    with PlatformProcess(tmp_path_factory.mktemp("edge") / "platform") as running:
        running.import_devices(
            [(name, "meter", f"token-of-{name}-0123456789") for name in ("m-1", "m-2", "m-3", "m-4")]
        )
        yield running


@pytest.fixture(scope="module")
def edge(platform: PlatformProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    found = Edge(platform, tmp_path_factory.mktemp("edge-dir"))
    platform.post("/api/v1/devices", {"id": "gw", "profile": "gateway"})
    claim = platform.post("/api/v1/devices/gw/claims", {})["claim"]
    put(platform, "gateways/gw/delegations", {"devices": ["m-1", "m-2", "m-3"]})
    put(platform, "gateways/gw/settings", PATIENT)
    found.join(claim)
    found.start()
    wait_for(lambda: found.report().roster_version and found.report().settings_version, "no roster came down")
    wait_for(lambda: found.report().settings_state is SettingsState.CONFIRMED, "its first settings were not confirmed")
    yield found
    assert found.end() == 0


def put(platform: PlatformProcess, path: str, body: object) -> Any:
    return platform.request("PUT", f"/api/v1/{path}", msgspec.json.encode(body)).json()


def meter(edge: Edge, name: str, **more: Any) -> Meter:
    return Meter(edge.ports["mqtts" if "ca" in more else "mqtt"], name, f"token-of-{name}-0123456789", **more)


def energies(platform: PlatformProcess, device: str, count: int) -> list[float]:
    return [value for _, _, value in platform.readings(device, at_least=count)]


def test_readings_go_up_over_plain_and_tls(edge: Edge, platform: PlatformProcess) -> None:
    for name, more in (("m-1", {}), ("m-2", {"ca": platform.ca})):
        speaking = meter(edge, name, **more)
        speaking.say((1_764_547_200_000, 11), (1_764_547_201_000, 12))
        assert energies(platform, name, 2) == [11, 12]
        speaking.close()
    wait_for(lambda: not edge.report().buffered_readings, "the buffer is not empty")
    books = {row.outcome: row.count for row in edge.report().books}
    assert books["received"] == books["forwarded"] == 4


def test_a_meter_that_is_not_delegated_does_not_come_in(edge: Edge) -> None:
    with pytest.raises(AssertionError, match="was not let in"):
        meter(edge, "m-4")
    assert any(row.outcome == "sign_in_refused" for row in edge.report().books)


def test_a_suspended_meter_is_cut_at_the_edge(edge: Edge, platform: PlatformProcess) -> None:
    speaking = meter(edge, "m-3")
    speaking.client.reconnect_delay_set(30, 30)
    platform.post("/api/v1/devices/m-3/suspend")
    wait_for(lambda: speaking.ended, "the suspended meter is still connected", 2.0)
    speaking.close()
    platform.post("/api/v1/devices/m-3/activate")


def test_killed_with_a_dead_platform_it_keeps_everything(edge: Edge, platform: PlatformProcess) -> None:
    platform.pause()
    try:
        speaking = meter(edge, "m-1")
        speaking.say(*((1_764_560_000_000 + at, at) for at in range(100)))
        speaking.close()
        assert edge.end(signal.SIGKILL) == -signal.SIGKILL
        edge.start()
        assert edge.report().buffered_readings == 100
    finally:
        os.kill(platform.pid, signal.SIGCONT)
    wait_for(lambda: not edge.report().buffered_readings, "the backlog did not go up")
    assert energies(platform, "m-1", 102)[2:] == list(range(100))


def test_settings_that_cut_the_uplink_take_themselves_back(edge: Edge, platform: PlatformProcess) -> None:
    good = edge.report().settings_version
    put(platform, "gateways/gw/settings", {**PATIENT, "platform_port": 1, "confirm_s": 5})
    wait_for(lambda: edge.report().settings_state is SettingsState.TRIAL, "they were not tried")
    wait_for(lambda: edge.report().settings_state is SettingsState.REVERTED, "they were not taken back")
    wait_for(lambda: edge.report().uplink == "up", "the uplink did not come back")
    assert edge.report().settings_version == good
    shown = wait_for(
        lambda: (report := platform.get("/api/v1/gateways/gw")["report"])["settings_state"] == "reverted" and report,
        "the platform was not told",
    )
    assert "no uplink within 5 s" in shown["settings_detail"]
    put(platform, "gateways/gw/settings", {**PATIENT, "send_every_ms": 60})
    wait_for(lambda: edge.report().settings_state is SettingsState.CONFIRMED, "good ones were not taken after bad ones")


def test_a_meters_claim_is_passed_on_and_it_is_delegated_at_once(edge: Edge, platform: PlatformProcess) -> None:
    platform.post("/api/v1/devices", {"id": "m-new", "profile": "meter"})
    claim = platform.post("/api/v1/devices/m-new/claims", {})["claim"]
    heard: list[bytes] = []
    claimant = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id="new", protocol=paho.MQTTv5)
    claimant.username_pw_set("claim", claim)
    claimant.on_message = lambda _, __, message: heard.append(message.payload)
    claimant.on_subscribe = lambda *_: claimant.publish("provision", b'{"nonce": "0123456789abcdef"}', qos=1)
    claimant.on_connect = lambda *_: claimant.subscribe("provision/answer", 1)
    claimant.connect("127.0.0.1", edge.ports["mqtt"])
    claimant.loop_start()
    answer = msgspec.json.decode(wait_for(lambda: heard and heard[0], "the claim was not answered"))
    claimant.loop_stop()
    assert answer["device"] == "m-new"
    wait_for(lambda: edge.report().meters_known == 4, "the new meter is not on the roster")
    speaking = Meter(edge.ports["mqtt"], "m-new", answer["token"])
    speaking.say((1_764_547_200_000, 5))
    speaking.close()
    assert energies(platform, "m-new", 1) == [5]


def test_there_is_one_owner_of_a_directory(edge: Edge) -> None:
    done = subprocess.run(ringmain(*edge.options, "edge"), capture_output=True, timeout=30, check=False)
    assert done.returncode == 4
    assert b"is in use by process" in done.stderr


def test_status_for_people(edge: Edge) -> None:
    done = subprocess.run(ringmain(*edge.options, "edge", "status"), capture_output=True, timeout=30, check=True)
    text = done.stdout.decode()
    assert "uplink     up since" in text
    assert "forwarded:" in text
