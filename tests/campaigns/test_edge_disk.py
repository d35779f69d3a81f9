"""Power cuts and full disks under an edge gateway: nothing that it acknowledged is lost, and it goes on by itself.

The platform stands still meanwhile, so that everything acknowledged lies in the edge's buffer and nowhere else. Then it
goes on, everything goes up, and the judge of the platform's own campaigns compares.
"""

import asyncio
import os
import random
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np
import pytest
from bench.load import BASE_MS, STEP_MS, USER, Load, devices
from tests.campaigns.comparison import compare
from tests.campaigns.evidence import PROVE, record
from tests.campaigns.loop_image import WRITEBACK_S_MAX, copy_image, make_image, mounted, require_loop_devices
from tests.campaigns.small_disk import small_disk, take_all_but
from tests.e2e.edge_process import Edge, wait_for
from tests.e2e.platform_process import PlatformProcess

from ringmain.adapters.embedded.buffer import EmbeddedBuffer
from ringmain.model.batch import decode_batch
from ringmain.model.bulk.codec import decode_chunk
from ringmain.model.bulk.gather import chunk_of
from ringmain.model.ids import DeviceId, DeviceKey, Offset

CUTS = 10 if PROVE else 1
CONNECTIONS, WINDOW = 20, 10
SEED = 20_260_103
ROOM_MIB, SIZE_MIB = 1, 96
FULL_S_MAX = 120.0
"""Until the little room that is left is used up, or twice as much is used after that; seconds on a quick machine."""

LOOKS = 3
ACKED_BYTES, MESSAGES_AFTER = 8, 50_000
"""Of a line in the file of what was acknowledged; and messages that take 2 MiB in the buffer before they are sealed."""

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


@pytest.fixture(name="small_disk")
def disk_that_is_soon_full(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", f"{SIZE_MIB}m") as at:
        yield at


@pytest.mark.needs("root", "gcc")
@pytest.mark.timeout(600)
def test_a_full_disk_under_an_edge_stops_acknowledgements_and_nothing_else(small_disk: Path, tmp_path: Path) -> None:
    """The meters speak MQTT 3.1.1: who is refused for want of room loses the connection. Now and then there is room
    again, because raw rows are sealed into chunks of a tenth of the size, and then acknowledgements go on rightly. So
    it is not asked whether they stop, but whether each of them is true at a moment at which the disk is full.
    """
    acked_path, other = tmp_path / "acked", small_disk / "other"
    with PlatformProcess(tmp_path / "platform") as platform:
        platform.import_devices(devices(CONNECTIONS))
        with gateway(platform, small_disk / "edge", "gw") as edge:
            platform.pause()
            take_all_but(ROOM_MIB << 20, small_disk, other)
            options = {"connections": CONNECTIONS, "window": WINDOW, "messages": 10**9, "limit": 500}
            with Load(edge.ports["mqtt"], reconnect=True, acked=str(acked_path), **options) as load:
                load.wait_for("up", 10)
                looked = []
                for number in range(LOOKS):
                    load.wait_for("lost", FULL_S_MAX)
                    looked.append(_acknowledged_and_on_disk(edge, acked_path, tmp_path / f"look-{number}"))
                    assert edge.report().buffered_readings > 0, "it runs, and tells how it is"
                full = acked_path.stat().st_size
                other.unlink()
                began = time.monotonic()
                wait_for(lambda: acked_path.stat().st_size > full, "it did not go on by itself", 30)
                resumed_s = time.monotonic() - began
                grown = full + ACKED_BYTES * MESSAGES_AFTER
                wait_for(lambda: acked_path.stat().st_size > grown, "it did not go on for long", FULL_S_MAX)
                load.drain()
                result = load.result(60)
            os.kill(platform.pid, signal.SIGCONT)
            wait_for(lambda: not edge.report().buffered_readings, "the backlog did not go up", 120)
            assert not [row for row in edge.report().books if row.outcome == "dropped"]
        values = compare(platform, acked_path)
    record(
        "edge_disk_full",
        messages_acknowledged_and_on_disk_when_it_was_full=looked,
        resumed_after_seconds=round(resumed_s, 2),
        messages=result.acked,
        values=values,
    )
    assert result.reconnects > 0
    assert values.faults == 0, values


def _acknowledged_and_on_disk(edge: Edge, acked_path: Path, copy: Path) -> int:
    """How many messages were acknowledged up to a moment, all of which are in what lies on the disk at that moment."""
    os.kill(edge.pid, signal.SIGSTOP)
    try:
        size = -1
        while (found := acked_path.stat().st_size) != size:  # what had left is still read
            size = found
            time.sleep(0.3)
        copy.mkdir()
        for name in ("buffer.sqlite", "buffer.sqlite-wal", "documents/names.json"):
            shutil.copy(edge.directory / name, copy)
    finally:
        os.kill(edge.pid, signal.SIGCONT)
    held = asyncio.run(_held(copy))
    records = np.fromfile(acked_path, dtype="<u4", count=size // 4).reshape(-1, 2)
    missing = {(USER % connection, seq) for connection, seq in records.tolist()} - held
    assert not missing, f"{len(missing)} of {len(records)} acknowledged messages are not on the full disk"
    shutil.rmtree(copy)
    return len(records)


async def _held(copy: Path) -> set[tuple[str, int]]:
    """(device, number of the message) of every row in a buffer's file, as a start after a crash finds it."""
    names = msgspec.json.decode((copy / "names.json").read_bytes(), type=dict[str, dict[DeviceKey, DeviceId]])["ids"]
    buffer = await EmbeddedBuffer.open(copy / "buffer.sqlite")
    held: set[tuple[str, int]] = set()
    for row in await buffer.read(Offset(0), 1 << 40):
        chunk = (
            decode_chunk(row.body, readings_max=1 << 30) if row.sealed else chunk_of([decode_batch(row.body)], names)
        )
        for block in chunk.blocks:
            stamps = (np.frombuffer(block.stamps, np.int64) - BASE_MS) // STEP_MS
            held.update(zip((chunk.names[at] for at in block.devices.cast("q")), stamps.tolist(), strict=True))
    await buffer.close()
    return held
