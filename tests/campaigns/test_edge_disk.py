"""Power cuts and full disks under an edge gateway: nothing that it acknowledged is lost, and it goes on by itself.

The platform stands still meanwhile, so that everything acknowledged lies in the edge's buffer and nowhere else. Then it
goes on, everything goes up, and the judge of the platform's own campaigns compares.
"""

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from bench.load import Load, devices
from tests.campaigns.comparison import compare
from tests.campaigns.evidence import PROVE, record
from tests.campaigns.loop_image import WRITEBACK_S_MAX, copy_image, make_image, mounted, require_loop_devices
from tests.e2e.edge_process import Edge, wait_for
from tests.e2e.platform_process import PlatformProcess

CUTS = 10 if PROVE else 1
CONNECTIONS, WINDOW = 20, 10
SEED = 20_260_103
ROOM_MIB, SIZE_MIB = 1, 96
QUIET_S = 4.0
SETTINGS = {"commit_every_ms": 10, "send_every_ms": 50, "keep_alive_s": 5, "answer_s": 3, "free_bytes_min": 0}

pytestmark = [pytest.mark.slow, pytest.mark.campaign]


@contextmanager
def gateway(platform: PlatformProcess, directory: Path, name: str) -> Iterator[Edge]:
    """A gateway that has joined and speaks for all devices of the load; it runs until it is ended."""
    platform.post("/api/v1/devices", {"id": name, "profile": "gateway"})
    claim = platform.post(f"/api/v1/devices/{name}/claims", {})["claim"]
    rows = devices(CONNECTIONS)
    delegated = msgspec.json.encode({"devices": [row[0] for row in rows]})
    platform.request("PUT", f"/api/v1/gateways/{name}/delegations", delegated)
    platform.request("PUT", f"/api/v1/gateways/{name}/settings", msgspec.json.encode(SETTINGS))
    edge = Edge(platform, directory)
    edge.directory.mkdir(parents=True, exist_ok=True)
    edge.join(claim)
    edge.start()
    wait_for(lambda: edge.report().meters_known == CONNECTIONS, "no roster came down")
    wait_for(lambda: edge.report().settings_version == 1, "no settings came down")
    try:
        yield edge
    finally:
        edge.end(signal.SIGKILL)


def cut(place: Path, platform: PlatformProcess, name: str, load_s: float) -> dict[str, object]:
    place.mkdir()
    disk, copy, acked_path = place / "disk.img", place / "copy.img", place / "acked"
    make_image(disk)
    began = time.monotonic()
    with mounted(disk, place / "disk") as root, gateway(platform, root / "edge", name) as edge:
        os.sync()  # the way in is not what is tested; from here on only what is synced counts
        platform.pause()
        try:
            options = {"connections": CONNECTIONS, "window": WINDOW, "messages": 10**9, "limit": WRITEBACK_S_MAX}
            with Load(edge.ports["mqtt"], acked=str(acked_path), **options) as load:
                load.wait_for("up", 10)
                time.sleep(load_s)
                os.kill(edge.pid, signal.SIGSTOP)
                time.sleep(0.3)  # acknowledgements that left in time are still read and count
                load.stop()
                result = load.result(10)
            assert time.monotonic() - began < WRITEBACK_S_MAX, "too slow: the kernel has begun to write by itself"
            copy_image(disk, copy)
        finally:
            os.kill(platform.pid, signal.SIGCONT)
    disk.unlink()
    with mounted(copy, place / "copy") as root:
        again = Edge(platform, root / "edge")
        again.start()
        try:
            wait_for(lambda: not again.report().buffered_readings, "the backlog did not go up", 120)
            dropped = [row for row in again.report().books if row.outcome == "dropped"]
        finally:
            again.end()
    copy.unlink()
    values = compare(platform, acked_path)
    assert values.faults == 0, values
    assert dropped == []
    assert result.acked > 0
    return {"messages_acknowledged": result.acked, "unacknowledged": result.unacknowledged, "values": values}


@pytest.mark.needs("root", "gcc", "losetup", "mkfs.ext4")
@pytest.mark.timeout(240 * CUTS)
def test_power_cut_under_an_edge_loses_nothing_acknowledged(tmp_path: Path) -> None:
    require_loop_devices()
    chance = random.Random(SEED)
    cuts = []
    for number in range(CUTS):
        with PlatformProcess(tmp_path / f"platform-{number}") as platform:
            platform.import_devices(devices(CONNECTIONS))
            cuts.append(cut(tmp_path / f"cut-{number}", platform, "gw", chance.uniform(1.0, 3.0)))
    record("edge_power_cut", cuts=cuts)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    at = tmp_path / "disk"
    at.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m", "tmpfs", str(at)]
    if subprocess.run(command, check=False, capture_output=True).returncode:
        pytest.skip("needs root with the right to mount")
    try:
        yield at
    finally:
        subprocess.run(["umount", at], check=True, timeout=60)


@pytest.mark.needs("root", "gcc")
@pytest.mark.timeout(300)
def test_a_full_disk_under_an_edge_stops_acknowledgements_and_nothing_else(small_disk: Path, tmp_path: Path) -> None:
    acked_path, other = tmp_path / "acked", small_disk / "other"
    with PlatformProcess(tmp_path / "platform") as platform:
        platform.import_devices(devices(CONNECTIONS))
        with gateway(platform, small_disk / "edge", "gw") as edge:
            platform.pause()
            status = os.statvfs(small_disk)
            with other.open("wb") as handle:
                os.posix_fallocate(handle.fileno(), 0, status.f_bavail * status.f_frsize - (ROOM_MIB << 20))
            options = {"connections": CONNECTIONS, "window": WINDOW, "messages": 10**9, "limit": 200}
            with Load(edge.ports["mqtt"], reconnect=True, acked=str(acked_path), **options) as load:
                load.wait_for("up", 10)
                size = _quiet(acked_path)
                assert edge.report().buffered_readings > 0, "it runs, and tells how it is"
                other.unlink()
                began = time.monotonic()
                wait_for(lambda: acked_path.stat().st_size > size, "it did not go on by itself", 30)
                resumed_s = time.monotonic() - began
                load.drain()
                result = load.result(60)
            os.kill(platform.pid, signal.SIGCONT)
            wait_for(lambda: not edge.report().buffered_readings, "the backlog did not go up", 120)
        values = compare(platform, acked_path)
    record("edge_disk_full", resumed_after_seconds=round(resumed_s, 2), messages=result.acked, values=values)
    assert values.faults == 0, values


def _quiet(acked_path: Path) -> int:
    """The size of the file once there was no acknowledgement for `QUIET_S` although the load went on. The first silence
    is not the last: while raw rows are sealed into chunks of a tenth, there is room again, and it is used.
    """
    began = changed = time.monotonic()
    size = -1
    while (now := time.monotonic()) - changed < QUIET_S:
        assert now - began < 60, "the disk did not fill"
        if (found := acked_path.stat().st_size) != size:
            size, changed = found, now
        time.sleep(0.05)
    return size
