"""The stage: the processes of a demo, started in the order in which they need each other, and again when they end.

One that was killed is back after `AGAIN_S`, by the same command on the same directory and ports: what it kept is all
it needs. It must never leave one of them behind.
"""

import contextlib
import signal
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from ringmain.apps.demo import plan
from ringmain.apps.demo.edge_state import held_readings
from ringmain.apps.demo.plan import EARLY_WORD, TOKENS, Kept, Options, Ports
from ringmain.apps.edge.membership import files_in
from ringmain.apps.lab.api import Api, ApiError
from ringmain.apps.lab.platform import MODULE
from ringmain.apps.lab.processes import POLL_S, Child, Family, StepFailed, signals_interrupt
from ringmain.apps.lab.relay_child import RelayChild
from ringmain.apps.ownership import own
from ringmain.model.time import format_rfc3339

READY_S_MAX = 60.0
"""For a platform with a long log to read again, on a busy machine."""

AGAIN_S = 1.0
"""A killed process is started again after so long: long enough to see that it is gone."""

END_S = 3.5
"""For all of them together to end after SIGTERM; then SIGKILL, and nothing is lost by it."""

CRASHES_MAX = 5
"""Ends that nobody asked for, of one process, before the demo gives up: something is wrong that starting again does
not heal."""


RETRY_S_MAX = "1"
"""Meters call again within a second: they start before their edge does, and a killed one is back as soon."""

EARLY = "ringmain.apps.cli.early"


class Stage:
    """The children. `ports` never change in one run."""

    def __init__(self, family: Family, options: Options, ports: Ports) -> None:
        self.options = options
        self.ports = ports
        self.relay: RelayChild | None = None
        self.edge_joined = files_in(options.edge_dir).membership.exists()
        self._family = family
        self._commands: dict[str, Sequence[str]] = {}
        self._children: dict[str, Child] = {}
        self._gone: dict[str, float] = {}
        self._crashes: dict[str, int] = {}
        self.killed = {"edge": 0, "platform": 0}

    # -- starting -------------------------------------------------------------------------------------------

    def start_platform(self) -> None:
        """Start it; it is not ready yet."""
        ports, options = self.ports, self.options
        settings = [f"site.zone={plan.ZONE}", f"storage.dir={options.storage_dir}", "log.level=warning"]
        settings += [f"mqtt.port={ports.mqtt}", f"mqtt.tls_port={ports.mqtts}", f"http.port={ports.http}"]
        self._start("platform", [*options.config, *_sets(settings), "up"])

    def wait_for_platform(self) -> str:
        """Return its operator's token when it takes readings."""
        until = time.monotonic() + READY_S_MAX
        api = Api(self.ports.http, "")
        try:
            while not self.answers(api):
                self._children["platform"].check_alive()
                if time.monotonic() >= until:
                    raise self._children["platform"].failed(f"was not ready after {READY_S_MAX:g} s")
                time.sleep(POLL_S)
        finally:
            api.close()
        return (self.options.storage_dir / "identity" / "admin.token").read_text().strip()

    @staticmethod
    def answers(api: Api) -> bool:
        """Whether the platform is ready."""
        try:
            api.raw("GET", "/readyz")
        except ApiError:
            return False
        return True

    def start_relay(self) -> None:
        """The way between edge and platform, which can be cut."""
        self.relay = RelayChild(self._family, self.ports.mqtts, self.options.seed)
        self._children["relay"] = self.relay.child

    def join_edge(self, claim: str) -> None:
        """Bring the gateway in, once in the life of its directory."""
        from ringmain.apps.edge.join import join  # noqa: PLC0415 - by now the platform starts beside it

        ca = self.options.storage_dir / "identity" / "ca.pem"
        with own(self.options.edge_dir):
            join(self.options.edge_dir, "127.0.0.1", self.ports.mqtts, ca, claim)
        self.edge_joined = True

    def prepare_edge(self) -> None:
        """Start its process; it waits for `start_edge`."""
        settings = [f"edge.dir={self.options.edge_dir}", "log.level=warning"]
        settings += [f"edge.port={self.ports.edge}", f"edge.tls_port={self.ports.edge_tls}"]
        self._commands["edge"] = arguments = [*self.options.config, *_sets(settings), "edge"]
        self._children["edge"] = self._family.start("edge", EARLY, arguments, hears=True)

    def start_edge(self) -> None:
        """Let it begin. The relay has another port at each start, so the membership is told of it."""
        if self.relay is None:
            raise ValueError("the relay comes first")
        files = files_in(self.options.edge_dir)
        membership = msgspec.json.decode(files.membership.read_bytes())
        membership["port"] = self.relay.port
        files.membership.write_bytes(msgspec.json.encode(membership))
        self._children["edge"].say(EARLY_WORD)

    def start_homes(self, kept: Kept, resume_after: Path | None) -> None:
        """The street: accelerated until now, then in step with it."""
        began = format_rfc3339(kept.began_ms)
        arguments = ["simulate", "meters", "--tokens", str(self.options.storage_dir / TOKENS), "--seed", str(kept.seed)]
        arguments += ["--port", str(self.ports.edge), "--every-s", str(plan.INTERVAL_S), "--zone", plan.ZONE]
        arguments += ["--user", f"{plan.TENANT}/{{id}}", "--channels", "energy_wh,import_wh,power_w"]
        arguments += ["--start", began, "--registers-from", began, "--speed", str(self.options.speed)]
        arguments += ["--then-real-time", "--progress", str(self.progress_path), "--ramp", "400"]
        arguments += ["--retry-max-s", RETRY_S_MAX, "--reboot-every-h", "0"]
        if resume_after is not None:
            arguments += ["--resume-after", str(resume_after)]
        self._start("homes", arguments)

    @property
    def progress_path(self) -> Path:
        """Where the street says how far it is."""
        return self.options.work_dir / "homes.json"

    def _start(self, name: str, arguments: Sequence[str]) -> None:
        self._commands[name] = arguments
        self._children[name] = self._family.start(name, MODULE, arguments)

    # -- while it runs --------------------------------------------------------------------------------------

    def kill(self, name: str) -> bool:
        """SIGKILL, for the user to see that nothing is lost. False where it does not run just now."""
        if name in self._gone or self._children[name].exit_code() is not None:
            return False
        self._children[name].kill()
        self.killed[name] += 1
        self._gone[name] = time.monotonic()
        return True

    def cut(self, *, off: bool) -> None:
        """Black-hole the uplink, or let it pass again. What was open in a black hole stays dead, as with a modem."""
        if self.relay:
            self.relay.tell("black-hole" if off else "pass")

    def is_up(self, name: str) -> bool:
        """Whether that process runs."""
        child = self._children.get(name)
        return child is not None and child.exit_code() is None

    def supervise(self) -> list[str]:
        """Start again what is gone for long enough; what there is to tell. StepFailed for one that ends too often."""
        told = []
        for name, arguments in self._commands.items():
            child = self._children[name]
            if child.exit_code() is None:
                continue
            if name not in self._gone:
                self._crashes[name] = self._crashes.get(name, 0) + 1
                if self._crashes[name] > CRASHES_MAX:
                    raise child.failed(f"ended {CRASHES_MAX + 1} times by itself")
                self._gone[name] = time.monotonic()
                told.append(f"{name} ended by itself; starting it again")
            elif time.monotonic() - self._gone[name] >= AGAIN_S:
                del self._gone[name]
                held = held_readings(self.options.edge_dir) if name == "edge" else None
                kept = "" if held is None else f"; its buffer on disk holds {held:,} readings"
                self._children[name] = self._family.start(name, MODULE, arguments)
                told.append(f"{name} is started again{kept}")
        return told

    def end(self) -> None:
        """Ask all of them to end at once, and wait for all."""
        children = [child for child in self._children.values() if child.exit_code() is None]
        for child in children:
            child.signal(signal.SIGTERM)
        until = time.monotonic() + END_S
        for child in children:
            with contextlib.suppress(StepFailed):
                child.wait(max(0.0, until - time.monotonic()))
        for child in children:
            if child.exit_code() is None:
                child.signal(signal.SIGKILL)


@contextlib.contextmanager
def set_up(options: Options) -> Iterator[Stage]:
    """A stage on which platform and relay start at once, while the caller gets ready. At the end no process is left,
    whatever happens.
    """
    with signals_interrupt(), Family(options.work_dir) as family:
        stage = Stage(family, options, plan.free_ports(options))
        try:
            stage.start_platform()
            stage.start_relay()
            yield stage
        finally:
            stage.end()


def _sets(assignments: Sequence[str]) -> list[str]:
    return [part for assignment in assignments for part in ("--set", assignment)]
