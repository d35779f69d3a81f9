"""The judge of the crash campaigns: every acknowledged value against what the API answers, and no key twice.

It knows what was acknowledged from a file that lies outside the platform, what the value has to be from arithmetic,
and what is stored from the API alone. The platform's own counters are only compared, never believed.
"""

import time
from pathlib import Path
from urllib.parse import quote

import msgspec
import numpy as np
from bench.load import BASE_MS, CHANNELS, STEP_MS, USER, read_acked
from numpy.typing import NDArray
from tests.e2e.platform_process import PlatformProcess

PAGE = 10_000
"""The most readings the API gives at once."""

SETTLED_S_MAX = 120.0
"""Until all that is in the log is in the store: some seconds, unless the machine is very busy."""


class Comparison(msgspec.Struct, frozen=True):
    """In single values. All but the first two must be 0."""

    acked: int
    stored: int
    missing: int
    twice: int
    wrong: int
    uncounted: int

    @property
    def faults(self) -> int:
        """Everything that must not be."""
        return self.missing + self.twice + self.wrong + self.uncounted


class _Item(msgspec.Struct):
    channel: str
    at: str
    value: float


class _Page(msgspec.Struct):
    items: list[_Item]
    next: str | None


_decode = msgspec.json.Decoder(_Page).decode


def settle(platform: PlatformProcess) -> None:
    """Wait until the store has taken everything that the log holds."""
    until = time.monotonic() + SETTLED_S_MAX
    while platform.metric("ringmain_ingest_lag_entries") > 0:
        assert time.monotonic() < until, f"the store did not catch up:\n{platform.log_tail()}"
        time.sleep(0.05)


def compare(platform: PlatformProcess, acked_path: Path, base_ms: int = BASE_MS) -> Comparison:
    """Read every device of the load back and compare it whole."""
    settle(platform)
    acked = read_acked(acked_path)
    counts = [_compare_device(platform, connection, seqs, base_ms) for connection, seqs in acked.items()]
    acked_n, stored_n, missing, twice, wrong = (sum(column) for column in zip(*counts, strict=True))
    counted = next((item["count"] for item in platform.get("/api/v1/tally")["items"] if item["outcome"] == "stored"), 0)
    return Comparison(acked_n, stored_n, missing, twice, wrong, uncounted=abs(counted - stored_n))


def _compare_device(
    platform: PlatformProcess, connection: int, acked: NDArray[np.int64], base_ms: int
) -> tuple[int, int, int, int, int]:
    missing = twice = wrong = stored = 0
    read = read_device(platform, USER % connection)
    for channel, expected in CHANNELS.items():
        stamps, values = read.pop(channel, (np.empty(0, np.int64), np.empty(0)))
        seqs, off = np.divmod(stamps - base_ms, STEP_MS)
        unique = np.unique(seqs)
        stored += len(seqs)
        twice += len(seqs) - len(unique)
        missing += len(np.setdiff1d(acked, unique, assume_unique=True))
        wrong += int(np.count_nonzero((off != 0) | (seqs < 0) | (values != expected(connection, seqs))))
    strange = sum(len(stamps) for stamps, _ in read.values())
    return len(acked) * len(CHANNELS), stored + strange, missing, twice, wrong + strange


def read_device(platform: PlatformProcess, device: str) -> dict[str, tuple[NDArray[np.int64], NDArray[np.float64]]]:
    """Channel → (stamps in ms, values) of everything that is stored of a device, page by page."""
    path = f"/api/v1/devices/{quote(device)}/readings?limit={PAGE}"
    columns: dict[str, tuple[list[str], list[float]]] = {}
    cursor: str | None = ""
    while cursor is not None:
        answer = platform.request("GET", path + (f"&cursor={quote(cursor)}" if cursor else ""))
        assert answer.status == 200, answer.body[:500]
        page = _decode(answer.body)
        for item in page.items:
            stamps, values = columns.setdefault(item.channel, ([], []))
            stamps.append(item.at[:-1])
            values.append(item.value)
        cursor = page.next
    return {
        channel: (np.array(stamps, dtype="datetime64[ms]").astype(np.int64), np.array(values))
        for channel, (stamps, values) in columns.items()
    }
