"""A power cut under publishers and subscribers of QoS 1 and 2 with kept sessions: what `test_mqtt_sigkill.py` asks, of
the disk as the cut left it. And the test of the test: with the log's syncs switched off the judge has to find faults.
"""

import asyncio
import random
import time
from pathlib import Path

import msgspec
import pytest
from tests.campaigns.evidence import PROVE, record
from tests.campaigns.loop_image import WRITEBACK_S_MAX, copy_image, make_image, mounted, require_loop_devices
from tests.campaigns.mqtt_scene import ENVIRONMENT, Scene, Verdict, devices
from tests.e2e.platform_process import NotReady, PlatformProcess

CUTS = 10 if PROVE else 1
LOAD_S = (1.0, 3.0)
WEAKENED = {"RINGMAIN_STORAGE__SYNCHRONOUS": "off", "RINGMAIN_UNSAFE_TEST": "1"}
WEAKENED_TRIES_MAX = 3
SEED = 20_260_129

pytestmark = [pytest.mark.slow, pytest.mark.campaign, pytest.mark.needs("root", "losetup", "mkfs.ext4")]


class Cut(msgspec.Struct, frozen=True):
    """No verdict where the platform did not come back, or where the clients did not get over it."""

    unacknowledged: int
    verdict: Verdict | None
    refusal: str = ""

    @property
    def survived(self) -> bool:
        return self.verdict is not None and self.verdict.faults == 0


@pytest.mark.timeout(240 * CUTS)
async def test_power_cut_loses_no_message_no_session_no_will_and_doubles_nothing(tmp_path: Path) -> None:
    require_loop_devices()
    chance = random.Random(SEED)
    cuts = [await _cut(tmp_path / f"cut-{n}", chance.uniform(*LOAD_S), {}) for n in range(CUTS)]
    record("mqtt_power_cut", cuts=cuts)
    for cut in cuts:
        assert cut.survived, cut
        assert cut.verdict is not None
        assert min(cut.verdict.acknowledged, cut.verdict.readings) > 0
    assert any(cut.unacknowledged for cut in cuts), "cuts between two messages prove nothing"


@pytest.mark.timeout(240 * WEAKENED_TRIES_MAX)
async def test_power_cut_is_noticed_when_the_log_does_not_sync(tmp_path: Path) -> None:
    require_loop_devices()
    tries: list[Cut] = []
    while len(tries) < WEAKENED_TRIES_MAX and all(cut.survived for cut in tries):
        tries.append(await _cut(tmp_path / f"weakened-{len(tries)}", LOAD_S[1], WEAKENED))
    record("mqtt_power_cut_without_sync", tries=tries)
    assert not tries[-1].survived, "acknowledged before a sync, and nobody noticed: this test proves nothing"


async def _cut(place: Path, load_s: float, environment: dict[str, str]) -> Cut:
    disk, copy = await asyncio.to_thread(_disk, place)
    began = time.monotonic()
    environment = {**ENVIRONMENT, **environment}
    with mounted(disk, place / "disk") as root:
        before = PlatformProcess(root / "data", log=place / "before.log", environment=environment, open_mqtt=True)
        with before:
            before.import_devices(devices())
            scene = Scene(before)
            try:
                await scene.begin()
                await scene.add_wills(0)
                await asyncio.sleep(load_s)
                before.pause()
                await asyncio.sleep(0.3)  # acknowledgements that left in time are still read and count
                unacknowledged = scene.unacknowledged
                assert time.monotonic() - began < WRITEBACK_S_MAX, "too slow: the kernel has begun to write by itself"
                await asyncio.to_thread(copy_image, disk, copy)
            except BaseException:
                await scene.leave()
                raise
    await asyncio.to_thread(disk.unlink)
    try:
        with mounted(copy, place / "copy") as root:
            return await _look(root / "data", place / "after.log", scene, unacknowledged)
    finally:
        await scene.leave()
        await asyncio.to_thread(copy.unlink)


def _disk(place: Path) -> tuple[Path, Path]:
    """An empty disk, and where its copy will lie."""
    place.mkdir()
    make_image(place / "disk.img")
    return place / "disk.img", place / "copy.img"


async def _look(directory: Path, log: Path, scene: Scene, unacknowledged: int) -> Cut:
    await scene.bury()
    scene.platform = PlatformProcess(directory, log=log, environment=ENVIRONMENT, open_mqtt=True)
    try:
        await asyncio.to_thread(scene.platform.start)
        await scene.up()
        await scene.end()
        return Cut(unacknowledged, await scene.verdict())
    except (NotReady, AssertionError, TimeoutError) as refusal:
        return Cut(unacknowledged, None, repr(refusal)[-1000:])
    finally:
        await scene.leave()
        scene.platform.kill()
