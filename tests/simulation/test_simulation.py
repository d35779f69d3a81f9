"""Deterministic simulation: platform, edge and meters in one process under virtual time, faults drawn from a seed.

Whatever happens, every acknowledged reading is stored once and billed once; and once the faults end, everything is
delivered. A seed that fails is printed with the command that tells its history again.
"""

import os
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest
from tests.campaigns.evidence import PROVE, record
from tests.simulation.world import Outcome, live

pytestmark = [pytest.mark.slow, pytest.mark.campaign]

SEEDS = 2_000 if PROVE else 25
PROCESSES = 2 if PROVE else 1
FAULT_KINDS = 13
RUN_S_MAX = SEEDS * 3.0 + 120
ROOT = Path(__file__).resolve().parents[2]


def told(outcome: Outcome) -> str:
    """What went wrong, and how to see it."""
    return f"seed {outcome.seed}: {outcome.violation}\n  python -m tests.simulation.run --seed {outcome.seed} --trace"


def lived(seeds: range) -> list[Outcome]:
    """The outcomes of these seeds."""
    if PROCESSES == 1:
        return [live(seed) for seed in seeds]
    with ProcessPoolExecutor(PROCESSES, mp_context=get_context("spawn")) as processes:
        return list(processes.map(live, seeds, chunksize=20))


@pytest.mark.timeout(RUN_S_MAX)
def test_every_acknowledged_reading_is_stored_once_and_billed_once() -> None:
    began = time.monotonic()
    outcomes = lived(range(SEEDS))
    seconds = time.monotonic() - began
    failed = [it for it in outcomes if it.violation]
    faults = Counter[str]()
    for it in outcomes:
        faults.update(it.faults)
    record(
        "simulation",
        seeds=SEEDS,
        violations=len(failed),
        readings=sum(it.readings for it in outcomes),
        acknowledgements=sum(it.acknowledgements for it in outcomes),
        acknowledged_again=sum(it.again for it in outcomes),
        duplicates_recognised=sum(it.duplicates for it in outcomes),
        crashes=sum(it.crashes for it in outcomes),
        torn_files=sum(it.torn for it in outcomes),
        seeds_with_an_edge=sum(it.has_edge for it in outcomes),
        faults=dict(sorted(faults.items())),
        virtual_hours=round(sum(it.virtual_s for it in outcomes) / 3600, 1),
        processes=PROCESSES,
        seconds_a_seed=round(seconds * PROCESSES / SEEDS, 3),
    )
    assert not failed, "\n".join(
        f"seed {it.seed}: {it.violation}\n  python -m tests.simulation.run --seed {it.seed} --trace"
        for it in failed[:5]
    )
    assert all(it.readings == it.acknowledgements - it.again > 0 for it in outcomes)
    assert sum(it.crashes for it in outcomes) > 2 * SEEDS, "a world without crashes proves nothing"
    assert sum(it.torn for it in outcomes) > SEEDS / 5
    assert sum(it.duplicates for it in outcomes) > SEEDS
    assert len(faults) == FAULT_KINDS


def test_a_seed_is_one_history() -> None:
    """The same trace again, and in another process whose strings hash otherwise."""
    seeds = range(3, 8)
    here = [live(seed).trace for seed in seeds]
    assert [live(seed).trace for seed in seeds] == here
    assert len(set(here)) == len(here)
    program = f"from tests.simulation.world import live\nfor n in {list(seeds)}: print(live(n).trace)"
    for hash_seed in ("1", "4242"):
        there = subprocess.run(
            [sys.executable, "-c", program],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": hash_seed},
            capture_output=True,
            text=True,
            check=True,
            timeout=100,
        ).stdout.split()
        assert there == here, f"PYTHONHASHSEED={hash_seed}"
