"""Processor time and memory of a gateway with all its descendants, from /proc.

Processor time counts children that have ended and were waited for, too. PSS is sampled: it divides shared pages among
their users, and is what the process costs the machine.
"""

import os
import statistics
import threading
from collections.abc import Mapping
from pathlib import Path

import msgspec

SAMPLE_S = 5.0
"""Between two samples of memory: `smaps_rollup` walks all mappings, and may not become a load of its own."""

MIB = 1 << 20
_TICK = os.sysconf("SC_CLK_TCK")


class Usage(msgspec.Struct, frozen=True):
    """Of one gateway over the run. `cpu_percent` is of one core. RSS and PSS in MiB; `rss_peak` is the kernel's own
    high-water mark since the process began, the others are of samples during the run.
    """

    cpu_percent: float
    cpu_percent_settled: float
    cpu_s: float
    rss_mib_peak: float
    rss_mib_median: float
    pss_mib_max: float
    pss_mib_median: float
    processes_max: int


def tree(root: int) -> list[int]:
    """The process and its living descendants."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and (fields := _stat(int(entry.name))):
            parents[int(entry.name)] = int(fields[1])
    found = [root]
    for pid in found:
        found += [child for child, parent in parents.items() if parent == pid]
    return found


def cpu_s(root: int) -> float:
    """User and system time of the tree so far, with what its ended children used."""
    ticks = 0
    for pid in tree(root):
        if fields := _stat(pid):
            ticks += sum(int(value) for value in fields[11:15])
    return ticks / _TICK


def _stat(pid: int) -> list[str]:
    """The fields behind the name in /proc/PID/stat (`man 5 proc`): state, parent, ... Nothing for a process gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


def _kib(pid: int, file: str, *names: str) -> list[int]:
    try:
        lines = Path(f"/proc/{pid}/{file}").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return [0 for _ in names]
    found = {line.partition(":")[0]: line.split()[1] for line in lines if line.endswith("kB")}
    return [int(found.get(name, 0)) for name in names]


class Meter:
    """Samples the trees of several processes until `stop`."""

    def __init__(self, roots: Mapping[str, int]) -> None:
        self._roots = dict(roots)
        self._rss: dict[str, list[float]] = {name: [] for name in roots}
        self._pss: dict[str, list[float]] = {name: [] for name in roots}
        self._processes = dict.fromkeys(roots, 1)
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="memory-meter", daemon=True)
        self._thread.start()

    def cpu_s(self) -> dict[str, float]:
        """Processor time of each so far."""
        return {name: cpu_s(root) for name, root in self._roots.items()}

    def _run(self) -> None:
        while True:
            for name, root in self._roots.items():
                pids = tree(root)
                memory = [_kib(pid, "smaps_rollup", "Rss", "Pss") for pid in pids]
                self._rss[name].append(sum(rss for rss, _ in memory) / 1024)
                self._pss[name].append(sum(pss for _, pss in memory) / 1024)
                self._processes[name] = max(self._processes[name], len(pids))
            if self._stopped.wait(SAMPLE_S):
                return

    def stop(self, marks: Mapping[str, tuple[float, Mapping[str, float]]]) -> dict[str, Usage]:
        """What was used. `marks` are (seconds, processor times) at `start`, `settled` and `end`."""
        peaks = {name: _kib(root, "status", "VmHWM")[0] / 1024 for name, root in self._roots.items()}
        self._stopped.set()
        self._thread.join()
        (began_s, began), (settled_s, settled), (ended_s, ended) = (marks[name] for name in ("start", "settled", "end"))
        return {
            name: Usage(
                cpu_percent=100 * (ended[name] - began[name]) / (ended_s - began_s),
                cpu_percent_settled=100 * (settled[name] - began[name]) / (settled_s - began_s),
                cpu_s=ended[name] - began[name],
                rss_mib_peak=max(peaks[name], *self._rss[name]),
                rss_mib_median=statistics.median(self._rss[name]),
                pss_mib_max=max(self._pss[name]),
                pss_mib_median=statistics.median(self._pss[name]),
                processes_max=self._processes[name],
            )
            for name in self._roots
        }
