"""Our side of `edge.py`: a platform (`ringmain up`) and an edge gateway (`ringmain edge`) as their users start them.

The edge joins through the relay with a claim token, gets its certificate, and the sensors as its delegations. What
arrived is asked of the platform's API. It must never look into the edge's or the platform's files for a figure.
"""

import os
import signal
import subprocess
import time
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from bench import edge_sensors
from bench.edge_judge import Arrivals
from bench.edge_run import Counts
from tests.e2e.platform_process import PlatformProcess, ringmain

GATEWAY = "edge-1"
PROFILE = "gateway"
TOKEN = "bench-token-of-{id}-0123456789abcdef"  # of devices that exist for one run
KEYS = ("edge.dir={dir}", "edge.port=0", "edge.tls_port=0")
JOIN_S_MAX = 60.0
START_S_MAX = 60.0
STOP_S_MAX = 20.0
POLL_S = 0.1


def prepare(platform: PlatformProcess, sensors: int) -> str:
    """The devices, the delegations, and the claim token with which the edge joins."""
    names = [edge_sensors.name_of(number) for number in range(sensors)]
    platform.import_devices([(name, "generic", TOKEN.format(id=name)) for name in names])
    platform.post("/api/v1/devices", {"id": GATEWAY, "profile": PROFILE})
    put(platform, f"/api/v1/gateways/{GATEWAY}/delegations", {"devices": names})
    claim: str = platform.post(f"/api/v1/devices/{GATEWAY}/claims", {})["claim"]
    return claim


def put(platform: PlatformProcess, path: str, body: object) -> Any:
    """An administrator's PUT of JSON."""
    return platform.request("PUT", path, msgspec.json.encode(body)).json()


class Edge:
    """The edge gateway in `directory`, behind the relay at `port`."""

    def __init__(self, directory: Path, name: str, platform: PlatformProcess, *, sensors: int) -> None:
        self.name = name
        self.directory = directory
        self.log = directory.with_name(directory.name + ".log")
        self._platform = platform
        self._sensors = sensors
        self._mqtt_port = 0

    @property
    def target(self) -> edge_sensors.Target:
        """The sensors sign in with their own tokens, as at the platform."""
        names = [edge_sensors.name_of(number) for number in range(self._sensors)]
        users = tuple((name, TOKEN.format(id=name)) for name in names)
        return edge_sensors.Target(self.name, self._mqtt_port, "devices/{id}/telemetry", users)

    def join(self, port: int, claim: str) -> None:
        """Redeem the claim through the relay: what is stored is the relay's address."""
        arguments = [
            "edge",
            "join",
            "--platform",
            f"127.0.0.1:{port}",
            "--ca",
            str(self._platform.ca),
            "--claim",
            claim,
        ]
        done = subprocess.run(
            self._command(*arguments), env=self._environment, capture_output=True, check=False, timeout=JOIN_S_MAX
        )
        if done.returncode:
            raise RuntimeError(f"the edge did not join: {(done.stdout + done.stderr).decode(errors='replace')}")

    def _command(self, *arguments: str) -> list[str]:
        return ringmain(*(word for key in KEYS for word in ("--set", key.format(dir=self.directory))), *arguments)

    @property
    def _environment(self) -> Mapping[str, str]:
        return {name: value for name, value in os.environ.items() if not name.startswith("RINGMAIN_")}

    def __enter__(self) -> Self:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command("edge"),
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Until its doors are open, it is up at the platform, and knows its sensors."""
        until = time.monotonic() + START_S_MAX
        while not self._ready():
            if not self.alive or time.monotonic() > until:
                raise RuntimeError(
                    f"the edge did not get ready; its log ends:\n{self.log.read_bytes()[-3000:].decode()}"
                )
            time.sleep(POLL_S)

    def _ready(self) -> bool:
        try:
            self._mqtt_port = msgspec.json.decode((self.directory / "ports.json").read_bytes())["mqtt"]
        except FileNotFoundError:
            return False
        status = self.status()
        return status is not None and status["uplink"] == "up" and status["meters_known"] >= self._sensors

    def status(self) -> dict[str, Any] | None:
        """What `ringmain edge status` says; None while nobody answers."""
        done = subprocess.run(
            self._command("edge", "status", "-o", "json"),
            env=self._environment,
            capture_output=True,
            check=False,
            timeout=30,
        )
        found: dict[str, Any] | None = msgspec.json.decode(done.stdout) if done.returncode == 0 else None
        return found

    def counts(self) -> Counts:
        """What the platform's books say was stored; they commit with the readings."""
        items = self._platform.get("/api/v1/tally")["items"]
        return Counts(sum(item["count"] for item in items if item["outcome"] == "stored"))

    def arrivals(self) -> tuple[Arrivals, int | None]:
        """Every reading, as the API gives it; and how many more came that were recognised as duplicates."""
        found: dict[str, dict[tuple[int, int], int]] = {}
        for number in range(self._sensors):
            name = edge_sensors.name_of(number)
            readings = found[name] = {}
            for at, channel, value in self._platform.readings(name):
                if channel != "wh" or value != int(value):
                    raise RuntimeError(f"{name} has {channel}={value} at {at}, which nobody sent")
                key = round(datetime.fromisoformat(at).timestamp() * 1000), int(value)
                readings[key] = readings.get(key, 0) + 1
        items = self._platform.get("/api/v1/tally")["items"]
        return found, sum(item["count"] for item in items if item["outcome"] == "duplicate")

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.alive:
            os.kill(self.pid, signal.SIGTERM)
        try:
            self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_S_MAX)
