"""Children of the bench that are spoken to in lines: a command goes in, one line of JSON comes out.

The relay, the stub of ThingsBoard's platform and the sensors are such. Each is ended by its own id, by the end of its
standard input first.
"""

import os
import select
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec

STOP_S_MAX = 10.0
ANSWER_S_MAX = 90.0
"""The slowest answers are those of sensors that sign in or wait for their last acknowledgements."""


class Child:
    """One process. `arguments` follow the interpreter's name; its log is `<name>.log` in `directory`."""

    def __init__(self, name: str, arguments: Sequence[str], directory: Path) -> None:
        self.name = name
        self._arguments = [sys.executable, *arguments]
        self._log = directory / f"{name}.log"
        self._held = b""

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                self._arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, bufsize=0
            )
        return self

    @property
    def pid(self) -> int:
        return self._process.pid

    def ask(self, line: str, seconds_max: float = ANSWER_S_MAX) -> Any:
        """Say a line, return the answer."""
        self.say(line)
        return self.hear(seconds_max)

    def say(self, line: str) -> None:
        """One line in."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    def hear(self, seconds_max: float = ANSWER_S_MAX) -> Any:
        """One line out. RuntimeError, with the end of the log, where there is none in time."""
        assert self._process.stdout is not None
        until = time.monotonic() + seconds_max
        while b"\n" not in self._held:
            ready, _, _ = select.select([self._process.stdout], [], [], max(0.0, until - time.monotonic()))
            data = os.read(self._process.stdout.fileno(), 1 << 20) if ready else b""
            if not data:
                said = self._log.read_bytes()[-2000:].decode(errors="replace")
                raise RuntimeError(f"{self.name} did not answer within {seconds_max:g} s, or ended; its log: {said}")
            self._held += data
        line, _, self._held = self._held.partition(b"\n")
        return msgspec.json.decode(line)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        try:
            self._process.wait(STOP_S_MAX)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(STOP_S_MAX)
