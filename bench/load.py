"""The load generator `mqload.c` as Python sees it: built when it is older than its source, started, listened to.

What it sends is a pure function of connection and sequence number, told here a second time for those who check what
was stored. It must never outlive its user: every `Load` is a context manager.
"""

import queue
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

SOURCE = Path(__file__).with_name("mqload.c")
BINARY = Path(__file__).with_name("build") / "mqload"

BASE_MS = 1_767_225_600_000
"""2026-01-01T00:00:00Z: a stamp in the past of whoever runs this."""

STEP_MS = 1000

USER = "load-%06d"
PASSWORD = "load-generator-token-of-device-%06d"  # of devices that exist for one run
"""Formats that take the number of the connection: every device has a credential of its own."""

CHANNELS: Mapping[str, Callable[[int, NDArray[np.int64]], NDArray[np.float64]]] = {
    "i": lambda connection, seq: ((connection + seq) % 1000) / 100,
    "kwh": lambda _, seq: seq / 1000,
    "v": lambda _, seq: (2300 + seq % 100) / 10,
}
"""Channel → what it holds in message `seq` of `connection`: the division of two integers rounds as reading the
decimal does, so the comparison is exact.
"""


class Result(msgspec.Struct, frozen=True):
    """The last line of a run. `started` and `finished` are CLOCK_MONOTONIC, the clock of `time.monotonic`."""

    complete: bool
    sent: int
    acked: int
    resent: int
    reconnects: int
    unacknowledged: int
    started: float
    finished: float
    seconds: float
    rate: float
    ack_ms_p50: float
    ack_ms_p99: float


class LoadFailed(AssertionError):
    """The generator ended without a result, or was refused."""


def devices(count: int) -> list[tuple[str, str, str]]:
    """(id, profile, token) of the devices that `count` connections speak for."""
    return [(USER % number, "generic", PASSWORD % number) for number in range(count)]


def build() -> Path:
    """The compiled generator. RuntimeError where there is no compiler."""
    if not BINARY.exists() or BINARY.stat().st_mtime < SOURCE.stat().st_mtime:
        compiler = shutil.which("gcc") or shutil.which("cc")
        if compiler is None:
            raise RuntimeError("no C compiler: the load generator bench/mqload.c cannot be built; install gcc")
        BINARY.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([compiler, "-O2", "-Wall", "-Wextra", "-o", BINARY, SOURCE], check=True, timeout=60)
    return BINARY


class Load:
    """A running generator; `options` are those of `mqload` with `_` for `-`, True for one without a value."""

    def __init__(self, port: int, **options: str | float | bool) -> None:
        self._options = {"port": port, "user": USER, "password": PASSWORD, "base_ms": BASE_MS, **options}
        self._events: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def __enter__(self) -> Self:
        arguments: list[str] = [str(build())]
        for name, value in self._options.items():
            arguments += (
                [f"--{name.replace('_', '-')}"] if value is True else [f"--{name.replace('_', '-')}", str(value)]
            )
        self._process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._listener = threading.Thread(target=self._listen, name="load-listener", daemon=True)
        self._listener.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait(10)
        self._listener.join(10)
        for pipe in (self._process.stdout, self._process.stderr):
            if pipe is not None:
                pipe.close()

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._events.put(msgspec.json.decode(line))
        self._events.put({"event": "end"})

    def wait_for(self, event: str, seconds: float) -> dict[str, Any]:
        """The next event of that name (`up`, `lost`, `back`, `result`); others before it are passed over."""
        until = time.monotonic() + seconds
        while True:
            try:
                found = self._events.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise LoadFailed(f"the load generator did not report {event!r} within {seconds:g} s") from None
            if found["event"] == event:
                return found
            if found["event"] in ("end", "refused"):
                raise LoadFailed(f"the load generator ended before {event!r}: {found}; {self._complaint()}")

    def result(self, seconds: float) -> Result:
        """The result line, waited for."""
        return msgspec.convert(self.wait_for("result", seconds), Result)

    @property
    def alive(self) -> bool:
        """Whether the generator runs."""
        return self._process.poll() is None

    def drain(self) -> None:
        """Send nothing new; what is unacknowledged is still waited for."""
        self._process.send_signal(signal.SIGUSR1)

    def stop(self) -> None:
        """End at once; the result says what was left unacknowledged."""
        self._process.terminate()

    def _complaint(self) -> str:
        self._process.wait(10)
        assert self._process.stderr is not None
        return self._process.stderr.read().decode(errors="replace").strip()


def read_acked(path: Path) -> dict[int, NDArray[np.int64]]:
    """Connection → its acknowledged sequence numbers, ascending, from a file that `--acked` wrote."""
    records = np.fromfile(path, dtype="<u4").reshape(-1, 2)
    order = np.lexsort((records[:, 1], records[:, 0]))
    connections, seqs = records[order, 0], records[order, 1].astype(np.int64)
    ids, starts = np.unique(connections, return_index=True)
    return {int(id): part for id, part in zip(ids, np.split(seqs, starts[1:]), strict=True)}
