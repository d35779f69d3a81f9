"""A box of the lab that may be killed and started again: the same command, on the same directory and ports.

It must never help a box over its death: nothing is removed, repaired or waited for in its directory.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path

from ringmain.apps.lab.processes import POLL_S, Child, Family

READY_S_MAX = 30.0
"""A first start makes keys and databases and takes about two seconds; a long log to replay takes longer."""


class Box:
    """`ringmain …` with `arguments`. Ready is one that has written `ports_path` anew and `answers`."""

    def __init__(
        self,
        family: Family,
        name: str,
        module: str,
        arguments: Sequence[str],
        ports_path: Path,
        answers: Callable[[], bool],
    ) -> None:
        self._launch: Callable[[], Child] = lambda: family.start(name, module, arguments)
        self._ports_path = ports_path
        self._answers = answers
        self._before: tuple[int, int] | None = None
        self._until = 0.0
        self._child: Child | None = None

    @property
    def child(self) -> Child:
        """The process that was started last."""
        if self._child is None:
            raise ValueError("this box was never started")
        return self._child

    def start(self) -> None:
        """Start it, for the first time or again."""
        self._before = _identity(self._ports_path)
        self._until = time.monotonic() + READY_S_MAX
        self._child = self._launch()

    def is_ready(self) -> bool:
        """Whether it is; StepFailed where it has ended, or where it takes too long."""
        if _identity(self._ports_path) not in (None, self._before) and self._answers():
            return True
        code = self.child.exit_code()
        if code is not None:
            raise self.child.failed(f"did not start (exit code {code})")
        if time.monotonic() >= self._until:
            raise self.child.failed(f"was not ready after {READY_S_MAX:g} s")
        return False

    def wait(self) -> None:
        """Return when it is ready."""
        while not self.is_ready():
            time.sleep(POLL_S)

    def stop(self) -> None:
        """End it in order. StepFailed where it had ended before, or did not end well."""
        self.child.check_alive()
        code = self.child.stop()
        if code != 0:
            raise self.child.failed(f"was asked to end and did so with exit code {code}")


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file lies there: an earlier process may have left its own."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns
