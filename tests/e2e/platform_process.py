"""A platform as a user would start it: `ringmain up`, a process of its own with its own directory, on free ports.

Tests reach it through its doors only. It must never outlive the test that started it: use it as a context manager.
"""

import http.client
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

READY_S_MAX = 30.0
"""A first start makes keys and databases and takes about two seconds; a long log to replay takes longer."""

STOP_S_MAX = 20.0
"""An orderly end finishes what was accepted; it promises ten seconds, a busy machine gets twice that."""

STORED_S_MAX = 10.0
"""From the acknowledgement to the store is well under a second; a busy machine gets more."""

POLL_S = 0.02


class NotReady(AssertionError):
    """The platform ended, or did not get ready in time; the end of its log is in the message."""


class Ports(msgspec.Struct, frozen=True):
    """`<storage.dir>/ports.json`."""

    mqtt: int
    mqtts: int
    http: int
    open_mqtt: int = 0


class Answer(msgspec.Struct, frozen=True):
    """What came back over HTTP."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body decoded; AssertionError with the body where it was an error."""
        assert self.status < 400, f"HTTP {self.status}: {self.body[:500].decode(errors='replace')}"
        return msgspec.json.decode(self.body)


def ringmain(*arguments: str) -> list[str]:
    """The command line of `ringmain` in the interpreter that runs the tests."""
    return [sys.executable, "-m", "ringmain.apps.cli.main", *arguments]


class PlatformProcess:
    """`ringmain up` over `directory`. Its log goes to `log`, by default beside the directory.

    A restart keeps the ports of the first start, so that clients find it again. `wrapper` is put before the command
    (strace); its last process must be the platform itself. `open_mqtt` opens the door without credentials too.
    """

    def __init__(
        self,
        directory: Path,
        *,
        log: Path | None = None,
        environment: Mapping[str, str] | None = None,
        wrapper: Sequence[str] = (),
        open_mqtt: bool = False,
    ) -> None:
        self.directory = directory
        self.log = log or directory.with_name(directory.name + ".log")
        self.ports = Ports(0, 0, 0)
        self._environment = dict(environment or {})
        self._wrapper = list(wrapper)
        self._open_mqtt = open_mqtt
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: http.client.HTTPConnection | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

    # -- life -----------------------------------------------------------------------------------------------

    @property
    def environment(self) -> dict[str, str]:
        """What every `ringmain` command of this platform is started with; nothing of the caller's own RINGMAIN_."""
        mine = {name: value for name, value in os.environ.items() if not name.startswith("RINGMAIN_")}
        return {
            **mine,
            "RINGMAIN_STORAGE__DIR": str(self.directory),
            "RINGMAIN_MQTT__PORT": str(self.ports.mqtt),
            "RINGMAIN_MQTT__TLS_PORT": str(self.ports.mqtts),
            "RINGMAIN_HTTP__PORT": str(self.ports.http),
            **({"RINGMAIN_MQTT__OPEN_PORT": str(self.ports.open_mqtt)} if self._open_mqtt else {}),
            **self._environment,
        }

    @property
    def pid(self) -> int:
        """The process id (of the wrapper, where there is one)."""
        assert self._process is not None, "not started"
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def start(self, ready_s_max: float = READY_S_MAX) -> float:
        """Start it and wait until it is ready; the seconds that took."""
        assert not self.alive, "already running"
        ports_path = self.directory / "ports.json"
        before = _identity(ports_path)
        began = time.monotonic()
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._wrapper, *ringmain("up")],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        until = began + ready_s_max
        while _identity(ports_path) in (None, before):
            self._wait(until)
        self.ports = msgspec.json.decode(ports_path.read_bytes(), type=Ports)
        while not self.ready():
            self._wait(until)
        return time.monotonic() - began

    def stop(self) -> int:
        """Ask it to end and wait; its exit code."""
        self._disconnect()
        assert self._process is not None, "not started"
        self._process.terminate()
        return self._process.wait(STOP_S_MAX)

    def kill(self) -> None:
        """SIGKILL; nothing where it does not run."""
        self._disconnect()
        if self._process is not None:
            self._process.kill()
            self._process.wait(STOP_S_MAX)

    def pause(self) -> None:
        """SIGSTOP: not one instruction more, until SIGKILL."""
        os.kill(self.pid, signal.SIGSTOP)

    def _wait(self, until: float) -> None:
        if not self.alive:
            raise NotReady(f"the platform ended before it was ready; its log ends:\n{self.log_tail()}")
        if time.monotonic() > until:
            raise NotReady(f"the platform was not ready in time; its log ends:\n{self.log_tail()}")
        time.sleep(POLL_S)

    def log_tail(self, octets: int = 4000) -> str:
        """The last of what it wrote."""
        return self.log.read_bytes()[-octets:].decode(errors="replace")

    # -- doors ----------------------------------------------------------------------------------------------

    @property
    def ca(self) -> Path:
        """The certificate that the TLS door's own is signed with."""
        return self.directory / "identity" / "ca.pem"

    @property
    def admin_token(self) -> str:
        """Who holds it may do everything."""
        return (self.directory / "identity" / "admin.token").read_text(encoding="ascii").strip()

    def ready(self) -> bool:
        """Whether `/readyz` says so."""
        try:
            return self.request("GET", "/readyz", token=None).status == http.client.OK
        except (OSError, http.client.HTTPException):
            return False

    def request(
        self, method: str, path: str, body: bytes | None = None, *, token: str | None = "", media: str = ""
    ) -> Answer:
        """One HTTP request; `token` is the administrator's unless another (or None) is given."""
        headers = {"authorization": f"Bearer {token or self.admin_token}"} if token is not None else {}
        if body is not None:
            headers["content-type"] = media or "application/json"
        answer = self._ask(method, path, body, headers) if self._connection is not None and method == "GET" else None
        if answer is None:  # a kept connection may have been closed meanwhile, and so nothing was asked
            self._disconnect()
            self._connection = http.client.HTTPConnection("127.0.0.1", self.ports.http, timeout=60)
            answer = self._ask(method, path, body, headers)
        if answer is None:
            raise ConnectionResetError(f"{method} {path}: no answer")
        return answer

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer | None:
        assert self._connection is not None
        try:
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            return Answer(response.status, {k.lower(): v for k, v in response.getheaders()}, response.read())
        except (ConnectionError, http.client.HTTPException):
            self._disconnect()
            return None
        except OSError:
            self._disconnect()
            raise

    def get(self, path: str) -> Any:
        """The decoded answer to an administrator's GET."""
        return self.request("GET", path).json()

    def post(self, path: str, body: object = None) -> Any:
        """The decoded answer to an administrator's POST of JSON."""
        return self.request("POST", path, b"" if body is None else msgspec.json.encode(body)).json()

    def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's series that carry these labels; 0 where there is none."""
        wanted = {f'{key}="{value}"' for key, value in labels.items()}
        total = 0.0
        for line in self.request("GET", "/metrics", token=None).body.decode().splitlines():
            series, _, value = line.rpartition(" ")
            found, _, inside = series.partition("{")
            if found == name and wanted <= set(inside.removesuffix("}").split(",")):
                total += float(value)
        return total

    def readings(self, device: str, at_least: int = 0) -> list[tuple[str, str, float]]:
        """(at, channel, value) of what is stored of a device, in the API's order; waits until there are so many."""
        until = time.monotonic() + STORED_S_MAX
        while True:
            found: list[tuple[str, str, float]] = []
            cursor: str | None = ""
            while cursor is not None:
                page = self.get(
                    f"/api/v1/devices/{device}/readings?limit=10000" + (f"&cursor={cursor}" if cursor else "")
                )
                found += [(item["at"], item["channel"], item["value"]) for item in page["items"]]
                cursor = page["next"]
            if len(found) >= at_least:
                return found
            assert time.monotonic() < until, f"{len(found)} readings of {device} stored, {at_least} expected"
            time.sleep(POLL_S)

    def outcomes(self, device: str) -> dict[str, int]:
        """What became of everything a device sent: `stored`, `rejected.foreign_device` and so on → count."""
        items = self.get(f"/api/v1/devices/{device}/tally")["items"]
        return {".".join(filter(None, (item["outcome"], item["reason"]))): item["count"] for item in items}

    def wait_for_outcome(self, device: str, outcome: str, count: int) -> None:
        """Wait until the books say so; what they count more is a fault."""
        until = time.monotonic() + STORED_S_MAX
        while (found := self.outcomes(device)).get(outcome, 0) < count:
            assert time.monotonic() < until, f"{device}: {found}, expected {outcome}={count}"
            time.sleep(POLL_S)
        assert found[outcome] == count, found

    def import_devices(self, rows: Iterable[tuple[str, str, str]]) -> None:
        """Make active devices of (id, profile, token) by `ringmain device import`."""
        text = "".join(f"{','.join(row)}\n" for row in (("id", "profile", "token"), *rows))
        done = subprocess.run(
            ringmain("device", "import", "-"),
            input=text.encode(),
            env=self.environment,
            capture_output=True,
            check=False,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr.decode(errors="replace")

    def _disconnect(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file lies there: an earlier process may have left its own."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
