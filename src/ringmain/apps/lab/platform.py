"""The platform under test: a process of its own on free ports, with its own directory, as a user would start it.

It must never be reached but through its doors; where those are, and who may enter, lies in its directory.
"""

import contextlib
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from ringmain.apps.lab.api import Api, ApiError
from ringmain.apps.lab.processes import POLL_S, Child, Family, StepFailed

MODULE = "ringmain.apps.cli.main"

READY_S_MAX = 30.0
"""A first start makes keys and databases and takes about two seconds; a long log to replay takes longer."""

BLAME_S = 0.5
"""How long after a failure the platform's own end is waited for."""

LOOPBACK = ("mqtt.host=127.0.0.1", "mqtt.tls_host=127.0.0.1", "http.host=127.0.0.1")
"""Whatever the configuration says: the lab's data is nobody's business on the network."""


class Ports(msgspec.Struct, frozen=True):
    """Where the doors are: `<storage.dir>/ports.json`, written when they are open."""

    mqtt: int
    mqtts: int
    http: int


class Platform(msgspec.Struct, frozen=True):
    """A platform that answers."""

    child: Child
    ports: Ports
    ca: Path
    operator_token: str


def start_platform(family: Family, directory: Path, zone: str, config: Sequence[str]) -> Platform:
    """Start it over `directory` and wait until it is ready. `config` are options of `ringmain` before the command."""
    ports_path = directory / "ports.json"
    before = _identity(ports_path)
    settings = [part for assignment in (*LOOPBACK, f"site.zone={zone}") for part in ("--set", assignment)]
    flags = ["--storage-dir", str(directory), "--mqtt-port", "0", "--mqtt-tls-port", "0", "--http-port", "0"]
    child = family.start("platform", MODULE, [*config, *settings, "up", *flags])
    until = time.monotonic() + READY_S_MAX
    while _identity(ports_path) in (None, before):
        _wait(child, until)
    ports = msgspec.json.decode(ports_path.read_bytes(), type=Ports)
    api = Api(ports.http, "")
    try:
        while not _ready(api):
            _wait(child, until)
    finally:
        api.close()
    token = (directory / "identity" / "admin.token").read_text().strip()
    return Platform(child, ports, directory / "identity" / "ca.pem", token)


def stop_platform(platform: Platform) -> None:
    """End it in order. StepFailed where it had ended before, or did not end well."""
    platform.child.check_alive()
    code = platform.child.stop()
    if code != 0:
        raise platform.child.failed(f"was asked to end and did so with exit code {code}")


@contextlib.contextmanager
def platform_blamed(platform: Platform) -> Iterator[None]:
    """Where something inside fails because the platform is gone, that is the error to tell, with its log."""
    try:
        yield
    except (ApiError, StepFailed) as error:
        with contextlib.suppress(StepFailed):  # its last answer may be a moment older than its end
            platform.child.wait(BLAME_S)
        try:
            platform.child.check_alive()
        except StepFailed as blamed:
            raise blamed from error
        raise


def _wait(child: Child, until: float) -> None:
    code = child.exit_code()
    if code is not None:
        raise child.failed(f"did not start (exit code {code})")
    if time.monotonic() >= until:
        raise child.failed(f"was not ready after {READY_S_MAX:g} s")
    time.sleep(POLL_S)


def _ready(api: Api) -> bool:
    try:
        api.raw("GET", "/readyz")
    except ApiError:
        return False
    return True


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file lies there: an earlier platform may have left its own."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
