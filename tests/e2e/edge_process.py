"""The edge gateway as a process: joined to a platform, started, killed, started again by the same command."""

import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import msgspec
from tests.e2e.platform_process import PlatformProcess, ringmain

from ringmain.apps.cli.edge_status import ask
from ringmain.model.gateway import GatewayReport

READY_S_MAX = 30.0


class Edge:
    """`ringmain edge` on a directory; `start` again is the same command."""

    def __init__(self, platform: PlatformProcess, directory: Path) -> None:
        self.platform = platform
        self.directory = directory
        self.options = [
            part
            for key, value in (("dir", directory), ("port", 0), ("tls_port", 0))
            for part in ("--set", f"edge.{key}={value}")
        ]
        self._process: subprocess.Popen[bytes] | None = None

    def join(self, claim: str) -> None:
        where = f"127.0.0.1:{self.platform.ports.mqtts}"
        done = subprocess.run(
            ringmain(
                *self.options, "edge", "join", "--platform", where, "--ca", str(self.platform.ca), "--claim", claim
            ),
            capture_output=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr.decode()

    def start(self) -> None:
        (self.directory / "ports.json").unlink(missing_ok=True)
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(ringmain(*self.options, "edge"), stdout=log, stderr=log)
        wait_for((self.directory / "ports.json").exists, "the edge did not start")

    def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        assert self._process
        self._process.send_signal(number)
        return self._process.wait(15)

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    @property
    def ports(self) -> dict[str, int]:
        return msgspec.json.decode((self.directory / "ports.json").read_bytes(), type=dict[str, int])

    def report(self) -> GatewayReport:
        return msgspec.json.decode(ask(self.directory), type=GatewayReport)


def wait_for(look: Any, what: str, seconds: float = READY_S_MAX) -> Any:
    until = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < until, what
        time.sleep(0.02)
    return found
