"""A full disk under load: no acknowledgement without a commit, the service stays up, and goes on when there is room.

The storage lies on a small tmpfs, most of it taken by a file that stands for somebody else's data.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from bench.load import Load, devices
from tests.campaigns.comparison import compare
from tests.campaigns.evidence import record
from tests.campaigns.small_disk import small_disk, take_all_but
from tests.e2e.platform_process import PlatformProcess

SIZE_MIB = 512
ROOM_MIB = 16
"""What the other file leaves: a second or two of load."""

CONNECTIONS = 20
WINDOW = 20
FULL_S_MAX = 60.0
QUIET_S = 1.5
"""So long without one acknowledgement: the disk is full and the platform knows."""

RESUMED_S_MAX = 30.0

pytestmark = [pytest.mark.slow, pytest.mark.campaign, pytest.mark.needs("root", "gcc")]


@pytest.fixture(name="small_disk")
def disk_that_is_soon_full(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", f"{SIZE_MIB}m") as at:
        yield at


@pytest.mark.timeout(300)
def test_full_disk_stops_the_acknowledgements_and_nothing_else(small_disk: Path, tmp_path: Path) -> None:
    acked_path, other = tmp_path / "acked", small_disk / "other"
    with PlatformProcess(small_disk / "data", log=tmp_path / "platform.log") as platform:
        platform.import_devices(devices(CONNECTIONS))
        pid = platform.pid
        take_all_but(ROOM_MIB << 20, small_disk, other)
        options = {"connections": CONNECTIONS, "window": WINDOW, "messages": 10**9, "limit": 240}
        with Load(platform.ports.mqtt, reconnect=True, acked=str(acked_path), **options) as load:
            load.wait_for("up", 10)
            full_after = _wait_until_quiet(acked_path)
            acked_when_full = acked_path.stat().st_size
            _wait_until_unready(platform)
            reading = platform.request("GET", "/api/v1/devices").status
            time.sleep(QUIET_S)
            assert acked_path.stat().st_size == acked_when_full, "acknowledged on a full disk"
            assert platform.alive
            assert load.alive

            other.unlink()
            began = time.monotonic()
            while acked_path.stat().st_size == acked_when_full or not platform.ready():
                assert platform.alive, platform.log_tail()
                assert load.alive
                assert time.monotonic() - began < RESUMED_S_MAX, f"did not go on by itself:\n{platform.log_tail()}"
                time.sleep(0.05)
            resumed_after = time.monotonic() - began
            time.sleep(0.5)
            load.drain()
            result = load.result(60)
        outcome = compare(platform, acked_path)
        assert platform.pid == pid
    record(
        "disk_full",
        full_after_seconds=round(full_after, 1),
        resumed_after_seconds=round(resumed_after, 2),
        messages_acknowledged=result.acked,
        values=outcome,
    )
    assert reading == 200, "what is stored can be read on a full disk too"
    assert outcome.faults == 0, outcome


def _wait_until_quiet(acked_path: Path) -> float:
    began = changed = time.monotonic()
    size = -1
    while (now := time.monotonic()) - changed < QUIET_S:
        assert now - began < FULL_S_MAX, "the disk did not fill"
        if (found := acked_path.stat().st_size) != size:
            size, changed = found, now
        time.sleep(0.05)
    return changed - began


def _wait_until_unready(platform: PlatformProcess) -> None:
    until = time.monotonic() + 10
    while platform.ready():
        assert time.monotonic() < until, "still ready on a full disk"
        time.sleep(0.1)
