"""The peer of `edge.py`: ThingsBoard's own gateway from the package index, as its documentation sets it up.

It is installed with pinned versions into a virtual environment of its own under `bench/build/`. Its configuration is
the one that its package ships, read from there at run time, with these changes: the platform's address and token,
`sqlite` storage with the documented default of 1,000 messages a pack, and one MQTT connector with the documented
mapping of `sensor/+/data`. Sensors reach it through mosquitto, which is its documented way. Nothing of it is kept in
this repository, and it must never outlive its user.
"""

import os
import subprocess
import sys
import time
import venv
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
from bench import edge_sensors
from bench.edge_child import Child
from bench.edge_judge import Arrivals
from bench.edge_run import Counts

PINS = ("thingsboard-gateway==3.8.5", "tb-mqtt-client==1.13.13", "tb-paho-mqtt-client==2.1.2")
"""The gateway and the two packages in which its session lives."""

HOME = Path(__file__).with_name("build") / "thingsboard"
NOBODY_ELSE = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
"""It asks its maker for updates every hour; from here that ends at a closed port of this machine."""

INSTALL_S_MAX = 300.0
START_S_MAX = 60.0
STOP_S_MAX = 10.0
POLL_S = 0.1

STARTED = "Gateway started."
CONNECTED = "MQTT client connected to platform"
SUBSCRIBED = "- successfully."
"""What its own log says when it is ready: the last is the connector's line about the local broker."""


def install() -> Path:
    """The interpreter of its environment, made when the pins differ from those that are there."""
    python, stamp = HOME / "bin" / "python", HOME / ".pins"
    if not stamp.exists() or stamp.read_text() != "\n".join(PINS):
        print(f"installing {', '.join(PINS)} into {HOME.relative_to(HOME.parents[2])}", flush=True)
        venv.create(HOME, with_pip=True, clear=True)
        done = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PINS],
            capture_output=True,
            check=False,
            timeout=INSTALL_S_MAX,
        )
        if done.returncode:
            raise RuntimeError(
                f"{' '.join(PINS)} could not be installed:\n{done.stderr.decode(errors='replace')[-2000:]}"
            )
        stamp.write_text("\n".join(PINS))
    return python


def shipped() -> Path:
    """The configuration folder of the installed package."""
    return next(HOME.glob("lib/python*/site-packages/thingsboard_gateway/config"))


class Gateway:
    """One gateway process in `directory`. `keep_alive_s` None leaves what it ships (its code says 120)."""

    def __init__(
        self,
        directory: Path,
        name: str,
        *,
        stub: Child,
        platform_port: int,
        broker_port: int,
        keep_alive_s: int | None,
    ) -> None:
        self.name = name
        self.directory = directory
        self.target = edge_sensors.Target("mosquitto", broker_port, "sensor/{id}/data")
        self._stub = stub
        self._token = directory.name
        self._python = install()
        config = directory / "config"
        config.mkdir(parents=True)
        general: dict[str, Any] = msgspec.json.decode((shipped() / "tb_gateway.json").read_bytes())
        general["thingsboard"] |= {
            "host": "127.0.0.1",
            "port": platform_port,
            "security": {"type": "accessToken", "accessToken": self._token},
        }
        if keep_alive_s is not None:
            general["thingsboard"]["keep_alive"] = keep_alive_s
        general["storage"] = {
            "type": "sqlite",
            "data_file_path": f"{directory}/data/",
            "max_read_records_count": 1000,
            "size_limit": 1024,
            "max_db_amount": 10,
            "oversize_check_period": 1,
            "writing_batch_size": 1000,
            "messages_ttl_check_in_hours": 1,
            "messages_ttl_in_days": 7,
        }
        general["connectors"] = [{"name": "sensors", "type": "mqtt", "configuration": "mqtt.json"}]
        mqtt: dict[str, Any] = msgspec.json.decode((shipped() / "mqtt.json").read_bytes())
        broker = mqtt["broker"] | {"host": "127.0.0.1", "port": broker_port, "clientId": self._token}
        write(config / "tb_gateway.json", general)
        write(config / "mqtt.json", {"broker": broker, "mapping": [MAPPING], "requestsMapping": {}})
        (config / "logs.json").write_bytes((shipped() / "logs.json").read_bytes())
        self.log = directory / "gateway.log"

    def __enter__(self) -> Self:
        (self.directory / "logs").mkdir()
        env = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [self._python, "-m", "thingsboard_gateway.tb_gateway"],
                cwd=self.directory,
                env=env | NOBODY_ELSE | {"TB_GW_CONFIG_DIR": f"{self.directory / 'config'}/"},
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
        """Until its own log says that it is started, connected to the platform and to the broker."""
        until = time.monotonic() + START_S_MAX
        while missing := [line for line in (CONNECTED, STARTED, SUBSCRIBED) if line not in self.said()]:
            if not self.alive or time.monotonic() > until:
                raise RuntimeError(f"{self.name} did not say {missing}; its log ends:\n{self.said()[-3000:]}")
            time.sleep(POLL_S)

    def counts(self) -> Counts:
        """What the stub has of it."""
        found = self._stub.ask("counts", 10).get(self._token, {})
        return Counts(found.get("distinct", 0), found.get("sessions", 0))

    def arrivals(self) -> tuple[Arrivals, int | None]:
        """Every reading that the stub has acknowledged to it."""
        path = self.directory.parent / "arrived.json"
        self._stub.ask(f"write {path}", 60)
        rows = msgspec.json.decode(path.read_bytes(), type=dict[str, dict[str, list[tuple[int, int, int]]]])
        found = rows.get(self._token, {})
        return {device: {(ts, value): times for ts, value, times in line} for device, line in found.items()}, None

    def said(self) -> str:
        """Its log so far."""
        return self.log.read_text(errors="replace")

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        try:
            self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_S_MAX)


MAPPING = {
    "topicFilter": "sensor/+/data",
    "subscriptionQos": 1,
    "converter": {
        "type": "json",
        "deviceInfo": {
            "deviceNameExpressionSource": "topic",
            "deviceNameExpression": "(?<=sensor/)(.*?)(?=/data)",
            "deviceProfileExpressionSource": "constant",
            "deviceProfileExpression": "meter",
        },
        "timeout": 60000,
        "attributes": [],
        "timeseries": [{"type": "integer", "key": "wh", "value": "${wh}"}],
    },
}
"""The documented form of a mapping; the stamp of a reading is its `ts`, which the gateway takes by itself."""


def write(path: Path, document: object) -> None:
    """A configuration file as a person would write it."""
    path.write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=2))


def versions() -> dict[str, str]:
    """What is installed there, as pip says it."""
    said = subprocess.run(
        [install(), "-m", "pip", "list", "--format=json", "--disable-pip-version-check"],
        capture_output=True,
        check=True,
        timeout=60,
    ).stdout
    return {item["name"]: item["version"] for item in msgspec.json.decode(said)}


if __name__ == "__main__":
    sys.exit(print("\n".join(f"{name} {version}" for name, version in versions().items())))
