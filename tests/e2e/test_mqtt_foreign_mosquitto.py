"""`mosquitto_pub` and `mosquitto_sub`, the clients that people have at hand, over TCP and TLS."""

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.e2e.platform_process import PlatformProcess

pytestmark = [pytest.mark.slow, pytest.mark.needs("mosquitto_pub", "mosquitto_sub")]

TOKEN = "token-of-{}-0123456789abcdef0123456789abcdef"
WAYS = [(door, version) for door in ("tcp", "tls") for version in ("mqttv311", "mqttv5")]
BASE_MS = 1_767_225_600_000
SECONDS_MAX = 20.0


@pytest.fixture(scope="module")
def platform(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlatformProcess]:
    names = [f"{door}-{version}" for door, version in WAYS] + ["listener", "wrong", "alone"]
    with PlatformProcess(tmp_path_factory.mktemp("mosquitto") / "data") as running:
        running.import_devices([(name, "generic", TOKEN.format(name)) for name in names])
        yield running


def _client(
    program: str, platform: PlatformProcess, *options: str, door: str = "tcp", ca: Path | None = None
) -> list[str]:
    port = platform.ports.mqtts if door == "tls" else platform.ports.mqtt
    trust = ["--cafile", str(ca or platform.ca)] if door == "tls" else []
    return [program, "-h", "127.0.0.1", "-p", str(port), *trust, *options]


def _run(command: list[str], lines: str = "") -> "subprocess.CompletedProcess[str]":
    return subprocess.run(command, input=lines, capture_output=True, text=True, check=False, timeout=SECONDS_MAX)


@pytest.mark.parametrize(("door", "version"), WAYS)
def test_what_mosquitto_pub_sends_is_stored_once(platform: PlatformProcess, door: str, version: str) -> None:
    device = f"{door}-{version}"
    lines = "".join(f'{{"ts":{BASE_MS + n * 1000},"values":{{"kwh":{n}.5,"v":230.1}}}}\n' for n in range(100))
    credentials = ["-i", device, "-u", device, "-P", TOKEN.format(device)]
    options = ["-V", version, *credentials, "-q", "1", "-t", f"devices/{device}/telemetry", "-l"]
    done = _run(_client("mosquitto_pub", platform, *options, door=door), lines)
    assert done.returncode == 0, done.stderr
    readings = platform.readings(device, 200)
    assert [value for _, channel, value in readings if channel == "kwh"] == [n + 0.5 for n in range(100)]
    assert len(readings) == 200


def test_token_alone_is_enough(platform: PlatformProcess) -> None:
    options = [
        "-u",
        TOKEN.format("alone"),
        "-q",
        "1",
        "-t",
        "telemetry",
        "-m",
        f'{{"ts":{BASE_MS},"values":{{"v":1}}}}',
    ]
    done = _run(_client("mosquitto_pub", platform, *options))
    assert done.returncode == 0, done.stderr
    assert platform.readings("alone", 1) == [("2026-01-01T00:00:00Z", "v", 1)]


@pytest.mark.parametrize("version", ["mqttv311", "mqttv5"])
def test_wrong_token_is_said_so(platform: PlatformProcess, version: str) -> None:
    options = ["-V", version, "-u", "wrong", "-P", "not-the-token", "-q", "1", "-t", "telemetry", "-m", '{"v": 1}']
    done = _run(_client("mosquitto_pub", platform, *options))
    assert done.returncode != 0
    assert any(text in done.stderr.lower() for text in ("not authorised", "bad user name or password")), done.stderr
    assert platform.readings("wrong") == []


def test_a_server_that_another_authority_signed_is_not_ours(platform: PlatformProcess, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    subject = ["-subj", "/CN=somebody else", "-days", "1", "-keyout", str(tmp_path / "key.pem"), "-out", str(other)]
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run(["openssl", "req", "-x509", *key, *subject], check=True, capture_output=True, timeout=SECONDS_MAX)
    options = ["-u", "alone", "-P", TOKEN.format("alone"), "-t", "telemetry", "-m", '{"v": 1}']
    done = _run(_client("mosquitto_pub", platform, *options, door="tls", ca=other))
    assert done.returncode != 0
    assert "tls" in done.stderr.lower() or "certificate" in done.stderr.lower(), done.stderr


def test_mosquitto_sub_hears_of_a_dead_letter(platform: PlatformProcess) -> None:
    credentials = ["-u", "listener", "-P", TOKEN.format("listener")]
    listening = _client(
        "mosquitto_sub", platform, *credentials, "-i", "ear", "-q", "1", "-t", "errors", "-C", "1", "-v"
    )
    with subprocess.Popen(listening, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as ear:
        try:
            saying = [*credentials, "-i", "mouth", "-q", "1", "-t", "telemetry", "-m", "no json"]
            until = time.monotonic() + SECONDS_MAX
            while ear.poll() is None:
                assert time.monotonic() < until, "the listener was not told"
                done = _run(_client("mosquitto_pub", platform, *saying))
                assert done.returncode == 0, done.stderr
                time.sleep(0.1)
            heard, complaint = ear.communicate(timeout=SECONDS_MAX)
        finally:
            ear.kill()
    assert heard.startswith("devices/listener/errors {"), complaint
    assert "undecodable_payload" in heard
