"""SIGKILL of the platform under full load: nothing acknowledged is lost, nothing is stored twice, back in 5 seconds.

A kill says nothing about the disk: the kernel still writes what the process handed over. That is what
`test_power_cut.py` is for. Here it is the seams that are tried: between log and store, ledger of counts and readings,
sockets and session state.
"""

import random
import time
from pathlib import Path

import pytest
from bench.load import Load, devices
from bench.measure import cpu_s
from tests.campaigns.comparison import compare
from tests.campaigns.evidence import PROVE, record
from tests.e2e.platform_process import PlatformProcess

KILLS = 20 if PROVE else 3
RECOVERY_S_MAX = 5.0
CONNECTIONS = 100
WINDOW = 20
LOAD_S = (0.3, 1.5)
"""How long the load runs between two kills, drawn for each."""

SEED = 20_260_101
RUN_S_MAX = 30.0 * (KILLS + 2)


@pytest.mark.slow
@pytest.mark.campaign
@pytest.mark.needs("gcc")
@pytest.mark.timeout(RUN_S_MAX + 600)
def test_sigkill_under_load_loses_nothing_acknowledged_and_stores_nothing_twice(tmp_path: Path) -> None:
    chance = random.Random(SEED)
    acked_path = tmp_path / "acked"
    unacknowledged, recoveries, processor = [], [], []
    with PlatformProcess(tmp_path / "data") as platform:
        platform.import_devices(devices(CONNECTIONS))
        options = {"connections": CONNECTIONS, "window": WINDOW, "messages": 10**9, "limit": RUN_S_MAX}
        with Load(platform.ports.mqtt, reconnect=True, acked=str(acked_path), **options) as load:
            load.wait_for("up", 10)
            for _ in range(KILLS):
                time.sleep(chance.uniform(*LOAD_S))
                platform.kill()
                unacknowledged.append(load.wait_for("lost", 5)["unacknowledged"])
                recoveries.append(platform.start())
                processor.append(cpu_s(platform.pid))
                load.wait_for("back", 20)
            load.drain()
            result = load.result(30)
        outcome = compare(platform, acked_path)
        assert platform.stop() == 0

    record(
        "sigkill",
        kills=KILLS,
        unacknowledged_at_kill=unacknowledged,
        recovery_seconds=[round(seconds, 3) for seconds in recoveries],
        recovery_seconds_max=round(max(recoveries), 3),
        recovery_processor_seconds_max=max(processor),
        messages_acknowledged=result.acked,
        messages_resent=result.resent,
        values=outcome,
    )
    assert min(unacknowledged) > 0, "a kill between two messages proves nothing"
    assert result.acked > 0
    assert result.unacknowledged == 0
    assert outcome.faults == 0, outcome
    assert outcome.acked == 3 * result.acked
    assert max(recoveries) <= RECOVERY_S_MAX, (recoveries, processor)
