"""The platform under test: a process of its own on free ports, with its own directory, as a user would start it.

It must never be reached but through its doors; where those are, and who may enter, lies in its directory.
"""

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from ringmain.apps.lab.api import Api, ApiError
from ringmain.apps.lab.box import Box
from ringmain.apps.lab.processes import Child, Family, StepFailed

MODULE = "ringmain.apps.cli.main"

BLAME_S = 0.5
"""How long after a failure the platform's own end is waited for."""

LOOPBACK = ("mqtt.host=127.0.0.1", "mqtt.tls_host=127.0.0.1", "http.host=127.0.0.1")
"""Whatever the configuration says: the lab's data is nobody's business on the network."""


class Ports(msgspec.Struct, frozen=True):
    """Where the doors are: `<storage.dir>/ports.json`, written when they are open."""

    mqtt: int
    mqtts: int
    http: int


ANY_PORTS = Ports(0, 0, 0)
"""Any free ones."""


class Platform(msgspec.Struct, frozen=True):
    """A platform that answered."""

    box: Box
    ports: Ports
    ca: Path
    operator_token: str

    @property
    def child(self) -> Child:
        """Its process."""
        return self.box.child


def start_platform(
    family: Family, directory: Path, zone: str, config: Sequence[str], ports: Ports = ANY_PORTS
) -> Platform:
    """Start it over `directory` and wait until it is ready. `config` are options of `ringmain` before the command."""
    ports_path = directory / "ports.json"
    settings = [part for assignment in (*LOOPBACK, f"site.zone={zone}") for part in ("--set", assignment)]
    flags = ["--storage-dir", str(directory), "--mqtt-port", str(ports.mqtt)]
    flags += ["--mqtt-tls-port", str(ports.mqtts), "--http-port", str(ports.http)]
    box = Box(family, "platform", MODULE, [*config, *settings, "up", *flags], ports_path, lambda: _ready(ports_path))
    box.start()
    box.wait()
    token = (directory / "identity" / "admin.token").read_text().strip()
    return Platform(box, _ports(ports_path), directory / "identity" / "ca.pem", token)


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


def _ports(path: Path) -> Ports:
    return msgspec.json.decode(path.read_bytes(), type=Ports)


def _ready(ports_path: Path) -> bool:
    api = Api(_ports(ports_path).http, "")
    try:
        api.raw("GET", "/readyz")
    except ApiError:
        return False
    finally:
        api.close()
    return True
