"""A power cut under full load: nothing acknowledged is lost, nothing is stored twice.

And the test of the test: with the log's syncs switched off the same comparison has to fail.
"""

import random
import time
from pathlib import Path

import msgspec
import pytest
from bench.load import Load, Result, devices
from tests.campaigns.comparison import Comparison, compare
from tests.campaigns.evidence import PROVE, record
from tests.campaigns.loop_image import WRITEBACK_S_MAX, copy_image, make_image, mounted, require_loop_devices
from tests.e2e.platform_process import NotReady, PlatformProcess

CUTS = 10 if PROVE else 1
CONNECTIONS = 100
WINDOW = 20
LOAD_S = (2.0, 5.0) if PROVE else (2.0, 3.0)
WEAKENED_TRIES_MAX = 3
"""Without syncs a cut loses whatever had not reached the disk by chance; one try has always been enough so far."""

SEED = 20_260_102
WEAKENED = {"RINGMAIN_STORAGE__SYNCHRONOUS": "off", "RINGMAIN_UNSAFE_TEST": "1"}

pytestmark = [
    pytest.mark.slow,
    pytest.mark.campaign,
    pytest.mark.needs("root", "gcc", "losetup", "mkfs.ext4"),
]


class Cut(msgspec.Struct, frozen=True):
    """One power cut and what was found afterwards; no comparison where the platform did not come back."""

    messages_acknowledged: int
    unacknowledged: int
    recovery_seconds: float
    values: Comparison | None
    refusal: str = ""

    @property
    def survived(self) -> bool:
        """Nothing acknowledged is missing, and nothing is there that should not be."""
        return self.values is not None and self.values.faults == 0


@pytest.mark.timeout(180 * CUTS)
def test_power_cut_under_load_loses_nothing_acknowledged(tmp_path: Path) -> None:
    require_loop_devices()
    chance = random.Random(SEED)
    cuts = [_cut(tmp_path / f"cut-{n}", chance.uniform(*LOAD_S), {}) for n in range(CUTS)]
    record("power_cut", cuts=cuts)
    for cut in cuts:
        assert cut.survived, cut
        assert cut.values is not None
        assert cut.values.acked > 0
        assert cut.unacknowledged > 0, "a cut between two messages proves nothing"


@pytest.mark.timeout(180 * WEAKENED_TRIES_MAX)
def test_power_cut_is_noticed_when_the_log_does_not_sync(tmp_path: Path) -> None:
    require_loop_devices()
    tries: list[Cut] = []
    while len(tries) < WEAKENED_TRIES_MAX and all(cut.survived for cut in tries):
        tries.append(_cut(tmp_path / f"weakened-{len(tries)}", LOAD_S[1], WEAKENED))
    record("power_cut_without_sync", tries=tries)
    assert not tries[-1].survived, "acknowledged before a sync, and nobody noticed: this test proves nothing"


def _cut(place: Path, load_s: float, environment: dict[str, str]) -> Cut:
    place.mkdir()
    disk, copy, acked_path = place / "disk.img", place / "copy.img", place / "acked"
    make_image(disk)
    began = time.monotonic()
    with (
        mounted(disk, place / "disk") as root,
        PlatformProcess(root / "data", log=place / "before.log", environment=environment) as platform,
    ):
        platform.import_devices(devices(CONNECTIONS))
        result = _load_until_paused(platform, acked_path, load_s)
        assert time.monotonic() - began < WRITEBACK_S_MAX, "too slow: the kernel has begun to write by itself"
        copy_image(disk, copy)
    disk.unlink()
    with mounted(copy, place / "copy") as root:
        found = _look(root / "data", place / "after.log", acked_path, result)
    copy.unlink()
    return found


def _load_until_paused(platform: PlatformProcess, acked_path: Path, load_s: float) -> Result:
    options = {"connections": CONNECTIONS, "window": WINDOW, "messages": 10**9, "limit": WRITEBACK_S_MAX}
    with Load(platform.ports.mqtt, acked=str(acked_path), **options) as load:
        load.wait_for("up", 10)
        time.sleep(load_s)
        platform.pause()
        time.sleep(0.3)  # acknowledgements that left in time are still read and count
        load.stop()
        return load.result(10)


def _look(directory: Path, log: Path, acked_path: Path, result: Result) -> Cut:
    platform = PlatformProcess(directory, log=log)
    try:
        recovery = platform.start()
        values = compare(platform, acked_path)
    except NotReady as refusal:
        return Cut(result.acked, result.unacknowledged, 0.0, None, str(refusal)[-1000:])
    finally:
        platform.kill()
    return Cut(result.acked, result.unacknowledged, round(recovery, 3), values)
