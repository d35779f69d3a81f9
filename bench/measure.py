"""What is measured of a running platform: a load until it is stored, a count of what can be queried, memory.

The judge of `stored` is the API: the books first, then the readings themselves.
"""

import os
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from bench import load
from tests.e2e.platform_process import PlatformProcess

CONNECTIONS = 100
WINDOW = 20
DAY_MS = 86_400_000
STORED_S_MAX = 60.0
POLL_S = 0.02
MEMORY_FIRST = 10_000
MEMORY_LAST = 50_000
"""Messages a connection: the first and the fifth million of one process life."""

MEMORY_GROWTH_MIB_MAX = 32


def _base(number: int, messages: int) -> int:
    """The first stamp of a run: midnight, so that every window is within one run."""
    days = -(-messages * load.STEP_MS // DAY_MS)
    return load.BASE_MS + number * days * DAY_MS


def publish(port: int, number: int, messages: int) -> load.Result:
    base_ms = _base(number, messages)
    with load.Load(port, connections=CONNECTIONS, window=WINDOW, messages=messages, base_ms=base_ms) as running:
        result = running.result(300)
    if not result.complete or result.acked != CONNECTIONS * messages:
        raise RuntimeError(f"the load did not finish: {result}")
    return result


def _stored(server: PlatformProcess) -> int:
    items = server.get("/api/v1/tally")["items"]
    return sum(item["count"] for item in items if item["outcome"] == "stored")


def wait_until_stored(server: PlatformProcess, expected: int) -> float:
    """The moment at which the store's own books hold all of it; they commit with the readings."""
    until = time.monotonic() + STORED_S_MAX
    while (stored := _stored(server)) < expected:
        if time.monotonic() > until:
            raise RuntimeError(f"{stored} of {expected} values stored after {STORED_S_MAX:g} s\n{server.log_tail()}")
        time.sleep(POLL_S)
    if stored > expected:
        raise RuntimeError(f"{stored} values stored, {expected} were sent")
    return time.monotonic()


def count(server: PlatformProcess, number: int, messages: int) -> None:
    """What the clock believed, asked of the readings themselves: every device, every channel, this run's span."""
    span = f"from={_rfc3339(_base(number, messages))}&to={_rfc3339(_base(number + 1, messages))}"
    for id, _, _ in load.devices(CONNECTIONS):
        for channel in load.CHANNELS:
            path = f"/api/v1/devices/{id}/windows?channel={channel}&size=15m&{span}&limit=1000"
            found = 0
            cursor: str | None = ""
            while cursor is not None:
                page = server.get(path + (f"&cursor={cursor}" if cursor else ""))
                found += sum(window["count"] for window in page["items"])
                cursor = page["next"]
            if found != messages:
                raise RuntimeError(f"run {number + 1}: {found} of {messages} values of {id} {channel} can be queried")


def _rfc3339(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Memory(msgspec.Struct, frozen=True):
    """Resident memory of one process life, in MiB."""

    start_mib: float
    first_million_mib: float
    fifth_million_mib: float
    growth_mib: float


def memory() -> Memory:
    """Send a million messages and look, then four more and look again."""
    with tempfile.TemporaryDirectory(prefix="bench-") as folder, PlatformProcess(Path(folder) / "ringmain") as server:
        server.import_devices(load.devices(CONNECTIONS))
        figures = [_rss_mib(server.pid)]
        sent = 0
        for total in (MEMORY_FIRST, MEMORY_LAST):
            options = {"messages": total - sent, "base_ms": load.BASE_MS + sent * load.STEP_MS}
            with load.Load(server.ports.mqtt, connections=CONNECTIONS, window=WINDOW, **options) as running:
                running.result(600)
            sent = total
            wait_until_stored(server, sent * CONNECTIONS * len(load.CHANNELS))
            figures.append(_rss_mib(server.pid))
    start, first, last = figures
    return Memory(start, first, last, last - first)


def _rss_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no resident size of process {pid}")


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
