"""SIGKILL under publishers and subscribers of QoS 1 and 2 with kept sessions: nothing that was acknowledged is missing
at whoever subscribed, there or away; QoS 2 comes once; sessions, retained messages and wills are still there.
"""

import asyncio
import random
from pathlib import Path

import pytest
from tests.campaigns.evidence import PROVE, record
from tests.campaigns.mqtt_scene import ENVIRONMENT, Scene, devices
from tests.e2e.platform_process import PlatformProcess

KILLS = 100 if PROVE else 3
LOAD_S = (0.3, 1.0)
SEED = 20_260_128

pytestmark = [pytest.mark.slow, pytest.mark.campaign]


@pytest.mark.timeout(120 + 20 * KILLS)
async def test_sigkill_loses_no_message_no_session_no_will_and_doubles_nothing(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    unacknowledged = []
    with PlatformProcess(tmp_path / "data", environment=ENVIRONMENT, open_mqtt=True) as platform:
        platform.import_devices(devices())
        scene = Scene(platform)
        try:
            await scene.begin()
            for number in range(KILLS):
                await scene.add_wills(number)
                await asyncio.sleep(chance.uniform(*LOAD_S))
                await asyncio.to_thread(platform.kill)
                unacknowledged.append(scene.unacknowledged)
                await scene.bury()
                await asyncio.to_thread(platform.start)
                await scene.up()
                await scene.wake_the_sleeper()
            await scene.end()
            verdict = await scene.verdict()
            scene.falsify()
            falsified = await scene.verdict()
        finally:
            await scene.leave()
        assert platform.stop() == 0
    record("mqtt_sigkill", kills=KILLS, unacknowledged_at_kill=unacknowledged, verdict=verdict)
    assert sum(count > 0 for count in unacknowledged) > KILLS / 2, "kills between two messages prove nothing"
    assert min(verdict.acknowledged, verdict.resent, verdict.readings) > 0
    assert verdict.faults == 0, verdict
    found = (falsified.missing, falsified.twice, falsified.strange, falsified.wills_missing, falsified.wills_twice)
    assert found == (1, 1, 1, 1, 1), f"the judge does not see what is wrong: {falsified}"
    assert (falsified.readings_missing, falsified.retained_wrong) == (1, 1), falsified
