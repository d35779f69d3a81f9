"""A disk that is full, and one whose sync fails, under publishers and kept sessions of QoS 1 and 2: not one
acknowledgement without a commit, MQTT 5 hears 0x97 or loses its connection, and all goes on by itself with nothing
missing and nothing twice.
"""

import asyncio
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.campaigns.evidence import record
from tests.campaigns.mqtt_scene import ENVIRONMENT, Scene, devices
from tests.campaigns.small_disk import small_disk, take_all_but
from tests.e2e.platform_process import PlatformProcess

SIZE_MIB = 512
START_MIB = 48
ROOM_MIB = 6
"""What the other files leave: at the start, and under load, which is less than the log's WAL grows to."""

FULL_S_MAX = 60.0
QUIET_S = 1.5
RESUMED_S_MAX = 30.0
PAST_THE_FAULT = {0x88, 0x89, 0x8B}
"""What DISCONNECT may say on the way: not available, busy, shutting down."""

ATTACHED_S = 0.5

pytestmark = [pytest.mark.slow, pytest.mark.campaign, pytest.mark.needs("root")]


@pytest.fixture(name="small_disk")
def disk_that_is_soon_full(tmp_path: Path) -> Iterator[Path]:
    with small_disk(tmp_path / "disk", f"{SIZE_MIB}m") as at:
        yield at


def _acked(scene: Scene) -> int:
    return sum(len(each.acked) for each in scene.speaking)


async def _until_quiet(scene: Scene) -> float:
    began = changed = time.monotonic()
    count = -1
    while (now := time.monotonic()) - changed < QUIET_S:
        assert now - began < FULL_S_MAX, "the disk did not fill"
        if (found := _acked(scene)) != count:
            count, changed = found, now
        await asyncio.sleep(0.05)
    return changed - began


@pytest.mark.timeout(300)
async def test_on_a_full_disk_nothing_is_acknowledged_and_afterwards_everything_is(
    small_disk: Path, tmp_path: Path
) -> None:
    others = [small_disk / "other", small_disk / "another"]
    platform = PlatformProcess(
        small_disk / "data", log=tmp_path / "platform.log", environment=ENVIRONMENT, open_mqtt=True
    )
    with platform:
        platform.import_devices(devices())
        take_all_but(START_MIB << 20, small_disk, others[0])
        scene = Scene(platform)
        try:
            await scene.begin()
            pid = platform.pid
            await asyncio.to_thread(take_all_but, ROOM_MIB << 20, small_disk, others[1])
            full_after = await _until_quiet(scene)
            when_full = _acked(scene)
            await asyncio.sleep(QUIET_S)
            assert _acked(scene) == when_full, "acknowledged on a full disk"
            assert platform.alive
            assert not await asyncio.to_thread(platform.ready)

            for other in others:
                await asyncio.to_thread(other.unlink)
            began = time.monotonic()
            while _acked(scene) == when_full or not await asyncio.to_thread(platform.ready):
                assert time.monotonic() - began < RESUMED_S_MAX, f"did not go on by itself:\n{platform.log_tail()}"
                await asyncio.sleep(0.05)
            resumed_after = time.monotonic() - began
            await scene.up()
            await asyncio.sleep(0.5)
            await scene.end()
            verdict = await scene.verdict()
            refusals: Counter[int] = sum((each.refusals for each in scene.speaking), Counter())
            ends: Counter[int] = sum((each.ends for each in (*scene.speaking, *scene.awake)), Counter())
        finally:
            await scene.leave()
        assert platform.pid == pid
        assert platform.alive
    record(
        "mqtt_disk_full",
        full_after_seconds=round(full_after, 1),
        resumed_after_seconds=round(resumed_after, 2),
        refused_0x97=refusals[0x97],
        disconnects={f"0x{code:02X}": count for code, count in ends.items()},
        verdict=verdict,
    )
    assert refusals.keys() <= {0x97}, refusals
    assert ends.keys() <= PAST_THE_FAULT, ends
    assert refusals[0x97] + ends.total() > 0
    assert verdict.faults == 0, verdict


@contextmanager
def _failing_sync(pid: int, wal: Path, log: Path) -> Iterator[None]:
    """The next fdatasync of the log returns EIO, once: what the kernel says when pages could not be written."""
    command = ["strace", "-f", "-P", str(wal), "-e", "trace=fdatasync", "-e", "inject=fdatasync:error=EIO:when=1"]
    with subprocess.Popen([*command, "-o", str(log), "-p", str(pid)], stderr=subprocess.PIPE) as tracer:
        try:
            time.sleep(ATTACHED_S)
            if tracer.poll() is not None:
                assert tracer.stderr is not None
                pytest.skip(f"needs root with the right to trace: {tracer.stderr.read().decode(errors='replace')}")
            yield
        finally:
            tracer.send_signal(signal.SIGINT)
            tracer.wait(30)


def _happened(log: Path) -> bool:
    return log.exists() and "INJECTED" in log.read_text()


async def _inject(platform: PlatformProcess, log: Path) -> None:
    """Until it has happened, and not a sync longer: those of the next life have to succeed."""
    with _failing_sync(platform.pid, platform.directory / "log.sqlite-wal", log):
        until = time.monotonic() + 10
        while not _happened(log):
            assert time.monotonic() < until, "no sync failed"
            await asyncio.sleep(0.01)


@pytest.mark.needs("strace")
@pytest.mark.timeout(300)
async def test_after_a_sync_that_failed_nothing_is_acknowledged_until_it_has_started_anew(tmp_path: Path) -> None:
    with PlatformProcess(tmp_path / "data", environment=ENVIRONMENT, open_mqtt=True) as platform:
        platform.import_devices(devices())
        assert platform.stop() == 0
        platform.start()  # on the ports of the first start, which it keeps when it starts anew
        scene = Scene(platform)
        try:
            await scene.begin()
            await scene.add_wills(0)
            await asyncio.sleep(0.5)
            connections = [each.connections for each in scene.speaking]
            before = _acked(scene)
            await _inject(platform, tmp_path / "trace")
            began = time.monotonic()
            await scene.bury()
            while any(each.connections == n for each, n in zip(scene.speaking, connections, strict=True)):
                assert platform.alive, platform.log_tail()
                assert time.monotonic() - began < RESUMED_S_MAX, f"did not go on by itself:\n{platform.log_tail()}"
                await asyncio.sleep(0.02)
            resumed_after = time.monotonic() - began
            await scene.up()
            await asyncio.sleep(0.5)
            assert _acked(scene) > before
            await scene.end()
            verdict = await scene.verdict()
            ends: Counter[int] = sum((each.ends for each in scene.speaking), Counter())
            refusals: Counter[int] = sum((each.refusals for each in scene.speaking), Counter())
        finally:
            await scene.leave()
    record("mqtt_sync_failed", resumed_after_seconds=round(resumed_after, 2), verdict=verdict)
    assert not refusals, "what is not known can not be refused either"
    assert ends.keys() <= PAST_THE_FAULT, ends
    assert verdict.faults == 0, verdict
