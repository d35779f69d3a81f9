"""Child processes: started, watched with a deadline, and ended by their own id, whatever happens to the lab.

Output goes to files in the lab's directory: a pipe that nobody reads would stop the child one day.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

POLL_S = 0.02
TERM_S = 10.0
"""How long a child has to end after SIGTERM: the platform folds its logs into the store. Then SIGKILL."""

TAIL_BYTES = 2_000
"""How much of a failed child's log an error shows: its last lines say why."""


class StepFailed(Exception):
    """A step of the lab did not come to its end. `hint` says what to do next."""

    def __init__(self, detail: str, hint: str = "") -> None:
        super().__init__(detail)
        self.detail = detail
        self.hint = hint


class Child:
    """One process of the lab: `python -m module arguments`, standard output and error in files of its own. One that is
    started again under the same name goes on in the same files.
    """

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        directory: Path,
        env: Mapping[str, str],
        *,
        hears: bool = False,
    ) -> None:
        self.name = name
        self.out_path = directory / f"{name}.out"
        self.log_path = directory / f"{name}.log"
        with self.out_path.open("ab") as out, self.log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", module, *arguments],
                stdin=subprocess.PIPE if hears else subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                env={**os.environ, **env},
            )

    @property
    def pid(self) -> int:
        """The process's id."""
        return self._process.pid

    def exit_code(self) -> int | None:
        """None while it runs."""
        return self._process.poll()

    def output(self) -> bytes:
        """What it wrote to standard output so far."""
        return self.out_path.read_bytes()

    def say(self, line: str) -> None:
        """A line for its standard input; it was started with `hears`. StepFailed where nobody listens any more."""
        if self._process.stdin is None:
            raise ValueError(f"{self.name} was started without an input")
        try:
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()
        except OSError as error:
            raise self.failed(f"does not listen ({error})") from error

    def signal(self, number: signal.Signals) -> None:
        """Send it a signal, if it still runs."""
        if self.exit_code() is None:
            self._process.send_signal(number)

    def kill(self) -> float:
        """SIGKILL; it is gone when this returns. The instant just before, by the monotonic clock. StepFailed where it
        had ended before.
        """
        self.check_alive()
        at_s = time.monotonic()
        self._process.kill()
        self._process.wait()
        return at_s

    def failed(self, what: str) -> StepFailed:
        """The error that names this child, what it did, and the end of its log."""
        log = self.log_path.read_bytes()[-TAIL_BYTES:].decode(errors="replace").strip()
        return StepFailed(
            f"{self.name} (pid {self.pid}) {what}; its log ends:\n{log or '(empty)'}", f"see {self.log_path}"
        )

    def wait(self, seconds_max: float, *, while_alive: Sequence["Child"] = ()) -> int:
        """Its exit code. StepFailed at the deadline, or as soon as one of the processes it depends on is gone."""
        until = time.monotonic() + seconds_max
        while (code := self.exit_code()) is None:
            for other in while_alive:
                other.check_alive()
            if time.monotonic() >= until:
                raise self.failed(f"was not done after {seconds_max:g} s")
            time.sleep(POLL_S)
        return code

    def check_alive(self) -> None:
        """StepFailed if it has ended."""
        code = self.exit_code()
        if code is not None:
            raise self.failed(f"ended unasked with {_reason(code)}")

    def stop(self) -> int:
        """End it: SIGTERM, then after `TERM_S` SIGKILL. Its exit code."""
        if self.exit_code() is None:
            self._process.terminate()
            try:
                self._process.wait(TERM_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        if self._process.stdin:
            with contextlib.suppress(OSError):  # what it did not hear is of no interest now
                self._process.stdin.close()
        return self._process.wait()


class Family:
    """The children of one run. Leaving the context ends those that still run, the youngest first."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._children: list[Child] = []

    def __enter__(self) -> "Family":
        return self

    def __exit__(self, *_: object) -> None:
        with _signals_held():
            for child in reversed(self._children):
                child.stop()

    def start(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        env: Mapping[str, str] | None = None,
        *,
        hears: bool = False,
    ) -> Child:
        """Start a child. `env` is added to the lab's own environment; with `hears` it has a standard input."""
        with _signals_held():
            child = Child(name, module, arguments, self._directory, env or {}, hears=hears)
            self._children.append(child)
        return child


def _reason(code: int) -> str:
    return f"signal {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


@contextlib.contextmanager
def _signals_held() -> Iterator[None]:
    """SIGINT and SIGTERM wait: between fork and bookkeeping, or while children are ended, they would leave orphans.
    By handlers, not by a signal mask: a child inherits a mask, and would never hear that it is to end.
    """
    came: list[int] = []
    before = {number: signal.signal(number, lambda n, _: came.append(n)) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        raise KeyboardInterrupt


@contextlib.contextmanager
def signals_interrupt() -> Iterator[None]:
    """SIGTERM ends it as Ctrl-C does, through every `finally`; and so does SIGINT behind a shell's `&`, where it
    is ignored.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
