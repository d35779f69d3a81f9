"""`ringmain simulate meters` against mosquitto: every message arrives, and none is lost where the broker is killed."""

import itertools
import json
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.e2e.platform_process import ringmain

pytestmark = [pytest.mark.slow, pytest.mark.needs("mosquitto", "mosquitto_sub")]

METERS = 100
WAIT_S = 30.0


class Mosquitto:
    """A broker on a loopback port of its own, which keeps sessions and messages over a restart."""

    def __init__(self, folder: Path) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port: int = free.getsockname()[1]
        self._folder = folder
        self._config = folder / "mosquitto.conf"
        self._config.write_text(
            f"listener {self.port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nmax_inflight_messages 0\n"
        )
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("mosquitto")
        assert program is not None
        with (self._folder / "mosquitto.log").open("ab") as log:
            self.process = subprocess.Popen([program, "-c", str(self._config)], stdout=log, stderr=log)
        until = time.monotonic() + WAIT_S
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
            except OSError:
                assert time.monotonic() < until, (self._folder / "mosquitto.log").read_text()
                time.sleep(0.02)
            else:
                return

    def kill(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(WAIT_S)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    server = Mosquitto(tmp_path)
    server.start()
    yield server
    server.kill()


class Listener:
    """`mosquitto_sub` on all topics; what it hears lies in a file."""

    def __init__(self, port: int, path: Path) -> None:
        self._path = path
        self._file = path.open("wb")
        options = ["-h", "127.0.0.1", "-p", str(port), "-q", "1", "-t", "street/#", "-F", "%t %p"]
        self.process = subprocess.Popen(["mosquitto_sub", *options], stdout=self._file, stderr=subprocess.DEVNULL)
        time.sleep(0.3)  # it says nothing when it has subscribed

    def heard(self, at_least: int) -> list[tuple[str, Any]]:
        until = time.monotonic() + WAIT_S
        while (lines := self._path.read_bytes().splitlines()) is not None and len(lines) < at_least:
            assert time.monotonic() < until, f"{len(lines)} of {at_least} messages"
            time.sleep(0.05)
        pairs = [line.decode().split(" ", 1) for line in lines]
        return [(topic, json.loads(payload)) for topic, payload in pairs]

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(WAIT_S)
        self._file.close()


def simulate(port: int, *options: str) -> "subprocess.Popen[bytes]":
    command = ringmain("simulate", "meters", "--port", str(port), "--topic", "street/{id}", *options)
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


def result(process: "subprocess.Popen[bytes]") -> Any:
    out, error = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, error.decode()
    return json.loads(out)


def test_a_subscriber_hears_every_reading_of_a_hundred_meters(broker: Mosquitto, tmp_path: Path) -> None:
    listener = Listener(broker.port, tmp_path / "heard")
    window = ["--start", "2026-06-01T00:00:00Z", "--until", "2026-06-01T12:00:00Z", "--speed", "7200", "--pv", "0.3"]
    report = result(simulate(broker.port, "--count", str(METERS), *window, "--reboot-every-h", "0"))
    heard = listener.heard(METERS * 24)
    listener.end()

    assert report["published"] == report["acknowledged"] == METERS * 24 == len(heard)
    assert (report["resent"], report["cuts"], report["unacknowledged"]) == (0, 0, 0)
    start = 1_780_272_000_000
    for number in range(1, METERS + 1):
        mine = [payload for topic, payload in heard if topic == f"street/meter-{number}"]
        assert [each["ts"] for each in mine] == [start + index * 1_800_000 for index in range(24)]
        values = [each["values"] for each in mine]
        for one, following in itertools.pairwise(values):
            assert following["import_wh"] - one["import_wh"] == one["energy_wh"]
    assert 10 <= sum("export_wh" in payload["values"] for _, payload in heard) / 24 <= 50


def test_nothing_is_lost_when_the_broker_is_killed_and_comes_back(broker: Mosquitto, tmp_path: Path) -> None:
    progress = tmp_path / "progress.json"
    window = ["--start", "2026-06-01T00:00:00Z", "--until", "2026-06-02T00:00:00Z", "--speed", "10800"]
    meters = simulate(
        broker.port, "--count", str(METERS), *window, "--reboot-every-h", "0", "--progress", str(progress)
    )
    until = time.monotonic() + WAIT_S
    while not (progress.exists() and json.loads(progress.read_bytes())["acknowledged"] > 500):
        assert time.monotonic() < until
        time.sleep(0.05)
    broker.kill()
    time.sleep(1.2)
    broker.start()
    report = result(meters)
    assert report["published"] == report["acknowledged"] == METERS * 48
    assert (report["behind"], report["unacknowledged"]) == (0, 0)
    assert report["cuts"] >= METERS
    assert report["connections"] >= 2 * METERS


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_it_within_two_seconds(broker: Mosquitto, tmp_path: Path, number: signal.Signals) -> None:
    progress = tmp_path / "progress.json"
    meters = simulate(broker.port, "--count", "50", "--every-s", "1", "--progress", str(progress))
    until = time.monotonic() + WAIT_S
    while not (progress.exists() and json.loads(progress.read_bytes())["acknowledged"]):
        assert time.monotonic() < until
        time.sleep(0.05)
    meters.send_signal(number)
    meters.wait(2.0)
    report = result(meters)
    assert report["ended"] == "stopped"
    assert report["acknowledged"] == report["published"] > 0
