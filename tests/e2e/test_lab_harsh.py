"""`ringmain lab --faults harsh` as a user runs it: exact figures through kills and a link that lies, any seed; and a
lab that is robbed of one row says so.
"""

import json
import os
import subprocess
import sys

import pytest
from tests.campaigns.evidence import PROVE, record

from ringmain.apps.cli.main import run as ringmain
from ringmain.apps.lab import check, harsh, run, steps
from ringmain.apps.lab.steps import write_series

SEEDS = (1, 2, 3, 5, 8, 13, 21, 1_000_003, 2**31, -7) if PROVE else (1,)

RUN_S_MAX = 180
"""What a run may take by its word. It takes about a minute and a half."""

BILL_SHA256 = "b180ad07e7bbd6adb18ad34586f545caf315d4535fc5aa76886c3c00426d8b95"
"""The flat bill of the sample household's 2013: a run without faults gives the same."""

FIGURES = {
    "faults": "harsh",
    "intervals": 17_520,
    "missing": 0,
    "energy_kwh": 4214.648,
    "amount": 599.66,
    "amount_tou": 672.34,
    "duplicates_dropped": 12,
    "conflicts": 0,
    "lost": 0,
    "bill_sha256": BILL_SHA256,
    "complaints": [],
    "kills_edge": 5,
    "kills_platform": 5,
    "cuts": 4,
    "black_holes": 2,
    "half_opens": 2,
}

pytestmark = [pytest.mark.slow, pytest.mark.campaign]


def harsh_run(place, seed):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RINGMAIN_")}
    argv = [sys.executable, "-m", "ringmain.apps.cli.main", "lab", "--faults", "harsh", "--seed", str(seed)]
    done = subprocess.run(
        [*argv, "--report", "out.json"],
        cwd=place,
        env={**inherited, "TMPDIR": str(place)},
        capture_output=True,
        text=True,
        timeout=RUN_S_MAX + 30,
        check=False,
    )
    assert done.returncode == 0, done.stderr + done.stdout
    return json.loads((place / "out.json").read_bytes())


@pytest.mark.timeout((RUN_S_MAX + 60) * len(SEEDS))
def test_every_seed_gives_the_exact_figures_through_the_storm(tmp_path):
    reports = []
    for seed in SEEDS:
        report = harsh_run(tmp_path, seed)
        assert {name: report[name] for name in FIGURES} == FIGURES
        assert [len(counts) for counts in report["unacknowledged_at_kill"].values()] == [5, 5]
        assert min(count for counts in report["unacknowledged_at_kill"].values() for count in counts) > 0
        assert report["resent"] > 0
        assert report["uplink_bytes_lost"] > 0
        assert report["seconds"] < RUN_S_MAX
        assert list(tmp_path.glob("ringmain-lab-*")) == [], "a good run leaves nothing"
        reports.append(report)
    told = (
        *("seed", "seconds", "storm_seconds", "liveness_seconds", "unacknowledged_at_kill", "kills_idle", "resent"),
        *("duplicates_resent", "edge_backlog_max", "uplink_connections", "messages", "bill_sha256", "lost"),
    )
    record(
        "lab_harsh",
        seeds=len(SEEDS),
        seconds_max=max(report["seconds"] for report in reports),
        liveness_seconds_max=max(report["liveness_seconds"] for report in reports),
        runs=[{name: report[name] for name in told} for report in reports],
    )


@pytest.mark.parametrize("faults", ["none", "harsh"] if PROVE else ["none"])
@pytest.mark.timeout(RUN_S_MAX + 60)
def test_a_meter_that_never_says_one_of_its_rows_fails_the_run(tmp_path, monkeypatch, faults):
    """The judge reads the file by itself: what the meter was never given is missed."""

    def robbed(path, rows):
        return write_series(path, [*rows[:9_000], *rows[9_001:]])

    monkeypatch.setattr(run, "write_series", robbed)
    monkeypatch.setattr(harsh, "write_series", robbed)
    monkeypatch.setattr(steps, "STORE_S_MAX", 1.0)  # the row will not come
    monkeypatch.setattr(check, "SETTLE_S", 3.0)  # nor later
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.chdir(tmp_path)
    assert ringmain(["lab", "--faults", faults, "--report", "out.json"]) == 1
    report = json.loads((tmp_path / "out.json").read_bytes())
    assert report["lost"] == 1
    assert report["intervals"] == 17_519
    assert report["bill_sha256"] != BILL_SHA256
    assert any("missing from the API" in complaint for complaint in report["complaints"])
