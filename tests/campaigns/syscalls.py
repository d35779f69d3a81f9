"""What a process really asked of the kernel, in order: strace attached from outside, and its log read back."""

import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

CALLS = "read,readv,recvfrom,recvmsg,write,writev,sendto,sendmsg,pwrite64,fdatasync,fsync"

ATTACH_S_MAX = 10.0

_HEX = re.compile(r"\\x([0-9a-f]{2})")
_BEGUN = re.compile(r"(\d+) +(\w+)\(\d+<((?:\\x[0-9a-f]{2})*)>(.*)")
_RESUMED = re.compile(r"(\d+) +<\.\.\. (\w+) resumed>(.*)")
_TEXT = re.compile(r'"((?:\\x[0-9a-f]{2})*)"')


class Call(msgspec.Struct, frozen=True):
    """One system call on one file. `began` and `ended` are places in the log: one order for all threads."""

    name: str
    file: str
    data: bytes
    began: int
    ended: int


@contextmanager
def traced(pid: int, log: Path) -> Iterator[None]:
    """Trace a process and all its threads for as long as the block takes."""
    command = ["strace", "-f", "-y", "-xx", "-s", "262144", "-e", f"trace={CALLS}", "-o", str(log), "-p", str(pid)]
    with subprocess.Popen(command, stderr=subprocess.PIPE) as tracer:
        try:
            _wait_until_attached(pid, tracer)
            yield
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(30)


def _wait_until_attached(pid: int, tracer: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + ATTACH_S_MAX
    while True:
        if tracer.poll() is not None:
            assert tracer.stderr is not None
            pytest.skip(f"needs root with the right to trace: {tracer.stderr.read().decode(errors='replace').strip()}")
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        if all(_tracer_of(task) == tracer.pid for task in tasks):
            return
        assert time.monotonic() < until, "strace did not attach"
        time.sleep(0.02)


def _tracer_of(task: Path) -> int:
    for line in (task / "status").read_text().splitlines():
        if line.startswith("TracerPid:"):
            return int(line.split()[1])
    return 0


def read_calls(log: Path) -> list[Call]:
    """All calls, in the order in which they began."""
    calls: list[Call] = []
    open_calls: dict[tuple[str, str], tuple[int, str, str]] = {}
    with log.open() as lines:
        for place, line in enumerate(lines):
            if found := _BEGUN.match(line):
                thread, name, file, rest = found.groups()
                if "<unfinished" in rest:
                    open_calls[thread, name] = (place, file, rest)
                else:
                    calls.append(_call(name, file, rest, place, place))
            elif found := _RESUMED.match(line):
                thread, name, rest = found.groups()
                if (begun := open_calls.pop((thread, name), None)) is not None:
                    calls.append(_call(name, begun[1], begun[2] + rest, begun[0], place))
    calls.sort(key=lambda call: call.began)
    return calls


def _call(name: str, file: str, rest: str, began: int, ended: int) -> Call:
    data = b"".join(_octets(text) for text in _TEXT.findall(rest))
    return Call(name, _octets(file).decode(errors="replace"), data, began, ended)


def _octets(text: str) -> bytes:
    return bytes.fromhex("".join(_HEX.findall(text)))
