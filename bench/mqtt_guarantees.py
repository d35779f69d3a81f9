"""What an acknowledgement is worth: the same script against Ringmain and against other brokers, in one run.

Three publishers of QoS 1 send; one subscriber with a kept session is there, another one is away. The broker is killed
(`kill -9`) in the middle of it and started again, some times over; publishers send again what was not acknowledged, as
the standard has it. At the end everything is acknowledged, both subscribers are there, and their books are compared
with those of the publishers: messages that were acknowledged and never came, and messages that came twice.

    python bench/mqtt_guarantees.py [--kills 5] [--seconds 1.0] [--amqtt VENV/bin/amqtt] [--report FILE.json]

A kill says nothing about the disk: the kernel still writes what a process handed over. What a broker loses here it had
only in its memory. amqtt is looked for where `--amqtt` says: it is no dependency of this project.
"""

import argparse
import asyncio
import contextlib
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT)]  # run as a script, this folder alone is on the path

import msgspec  # noqa: E402
from bench import peer  # noqa: E402
from rich.console import Console  # noqa: E402
from rich.table import Table  # noqa: E402
from tests.campaigns.mqtt_peers import Publisher, Sent, Subscriber  # noqa: E402
from tests.e2e.platform_process import PlatformProcess  # noqa: E402

PUBLISHERS, WINDOW, PAUSE_S = 3, 8, 0.005
SEED = 20_260_130
START_S_MAX = 30.0
CAUGHT_UP_S_MAX = 20.0
LEVEL = 4
"""MQTT 3.1.1: all of them speak it."""

MOSQUITTO = """\
listener {port} 127.0.0.1
allow_anonymous true
persistence true
persistence_location {folder}/
max_queued_messages 0
max_inflight_messages 0
log_type error
user root
"""
EACH_CHANGE = "autosave_on_changes true\nautosave_interval 1\n"
"""The most that mosquitto can be asked for: write everything after each change."""

AMQTT = """\
listeners:
  default:
    type: tcp
    bind: 127.0.0.1:{port}
plugins:
  amqtt.plugins.authentication.AnonymousAuthPlugin:
    allow_anonymous: true
  amqtt.contrib.persistence.SessionDBPlugin:
    connection: sqlite+aiosqlite:///{folder}/sessions.db
    clear_on_shutdown: false
"""


class Outcome(msgspec.Struct, frozen=True):
    """`lost` counts for each of the two subscribers what was acknowledged and never came."""

    server: str
    kills: int
    acknowledged: int
    lost: int
    lost_while_away: int
    twice: int
    sessions_lost: int
    unfinished: int


class Process:
    """A broker that is a command on one port, started again over what it kept."""

    def __init__(self, command: list[str], port: int) -> None:
        self.port = port
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until = time.monotonic() + START_S_MAX
        while True:
            with contextlib.suppress(OSError):
                socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
                return
            if self._process.poll() is not None or time.monotonic() > until:
                self.kill()
                raise RuntimeError(f"did not start: {' '.join(self._command)}")
            time.sleep(0.02)

    def kill(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait(10)


class Ringmain:
    """The platform with its open door."""

    def __init__(self, folder: Path) -> None:
        environment = {"RINGMAIN_MQTT__SESSION_QUEUE_MAX": "30000"}
        self._platform = PlatformProcess(folder / "data", environment=environment, open_mqtt=True)

    @property
    def port(self) -> int:
        return self._platform.ports.open_mqtt

    def start(self) -> None:
        self._platform.start()

    def kill(self) -> None:
        self._platform.kill()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def _mosquitto(folder: Path, more: str) -> Process:
    port = _free_port()
    (folder / "mosquitto.conf").write_text(MOSQUITTO.format(port=port, folder=folder) + more)
    return Process([str(peer.installed()), "-c", str(folder / "mosquitto.conf")], port)


def _amqtt(folder: Path, program: str) -> Process:
    port = _free_port()
    (folder / "amqtt.yaml").write_text(AMQTT.format(port=port, folder=folder))
    return Process([program, "-c", str(folder / "amqtt.yaml")], port)


def _servers(amqtt: str) -> dict[str, Callable[[Path], Process | Ringmain]]:
    found: dict[str, Callable[[Path], Process | Ringmain]] = {"ringmain": Ringmain}
    if peer.installed():
        version = peer.version().removeprefix("mosquitto version ")
        found[f"mosquitto {version}, persistence"] = lambda folder: _mosquitto(folder, "")
        found[f"mosquitto {version}, saving each change"] = lambda folder: _mosquitto(folder, EACH_CHANGE)
    if amqtt:
        said = subprocess.run([amqtt, "--version"], capture_output=True, text=True, check=True, timeout=30)
        found[f"amqtt {said.stdout.split()[-1]}, session database"] = lambda folder: _amqtt(folder, amqtt)
    return found


def _message(client: str) -> Callable[[int], Sent]:
    def made(n: int) -> Sent:
        key = f"{client}:{n}"
        return Sent(key, f"load/{client}", key.encode(), 1, False)

    return made


async def _run(name: str, server: Process | Ringmain, kills: int, seconds: float) -> Outcome:
    chance = random.Random(SEED)
    await asyncio.to_thread(server.start)
    names = [f"says-{n}" for n in range(PUBLISHERS)]
    says = [
        Publisher(lambda: server.port, each, _message(each), window=WINDOW, pause_s=PAUSE_S, level=LEVEL)
        for each in names
    ]
    there, away = (Subscriber(lambda: server.port, each, [("load/#", 1)], level=LEVEL) for each in ("there", "away"))
    try:
        for ear in (there, away):
            ear.start()
            await ear.ready()
        await away.leave()
        for each in says:
            each.start()
        for _ in range(kills):
            await asyncio.sleep(chance.uniform(0.5, 1.5) * seconds)
            await asyncio.to_thread(server.kill)
            await asyncio.to_thread(server.start)
            for each in (there, *says):
                await each.up()
        await asyncio.sleep(seconds / 2)
        for each in says:
            with contextlib.suppress(AssertionError):
                await each.drain(CAUGHT_UP_S_MAX)
        acked = {key.encode() for each in says for key in each.acked}
        away.start()
        for ear in (there, away):
            with contextlib.suppress(AssertionError):
                await ear.hears(lambda ear=ear: acked <= ear.heard.keys(), "", CAUGHT_UP_S_MAX)
        ears = there, away
        return Outcome(
            name,
            kills,
            len(acked),
            len(acked - there.heard.keys()),
            len(acked - away.heard.keys()),
            sum(ear.heard.total() - len(ear.heard) for ear in ears),
            sum(each.sessions_lost for each in (*ears, *says)),
            sum(each.unacknowledged for each in says),
        )
    finally:
        for each in (there, away, *says):
            await each.drop()
        await asyncio.to_thread(server.kill)


def main() -> int:
    """Run, show, write the report; 1 where Ringmain lost something."""
    parser = argparse.ArgumentParser(description="kill -9 under QoS 1: what was acknowledged, and what of it came.")
    parser.add_argument("--kills", type=int, default=5, help="of each server")
    parser.add_argument("--seconds", type=float, default=1.0, help="of load before each kill, half of it to half more")
    parser.add_argument("--amqtt", default="", help="the program of an amqtt that is installed somewhere")
    parser.add_argument("--report", type=Path, default=ROOT / "reports" / "mqtt_guarantees.json")
    options = parser.parse_args()
    console = Console()
    console.width = max(console.width, 120)
    outcomes = []
    for name, make in _servers(options.amqtt).items():
        with tempfile.TemporaryDirectory(prefix="guarantees-") as folder:
            server = make(Path(folder))
            outcomes.append(asyncio.run(_run(name, server, options.kills, options.seconds)))
        console.print(f"{name}: {outcomes[-1].acknowledged} acknowledged", highlight=False)
    columns = "server", "kills", "acknowledged", "lost, there", "lost, away", "twice", "sessions lost", "unfinished"
    table = Table(*columns)
    for outcome in outcomes:
        table.add_row(*(str(each) for each in msgspec.structs.astuple(outcome)))
    console.print(table)
    report = {"cores": os.cpu_count(), "load_average": os.getloadavg()[0], "outcomes": outcomes}
    options.report.parent.mkdir(parents=True, exist_ok=True)
    options.report.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
    ours = outcomes[0]
    return 1 if ours.lost or ours.lost_while_away or ours.sessions_lost or ours.unfinished else 0


if __name__ == "__main__":
    sys.exit(main())
