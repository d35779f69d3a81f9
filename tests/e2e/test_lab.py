"""`ringmain lab` as a user runs it: real processes and sockets, exact figures, and no process left behind."""

import json
import os
import re
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.slow

LAB_S_MAX = 30
"""What the lab may take for a year. It takes seven seconds on two quiet cores."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("lab")


@pytest.fixture(scope="module")
def environment(place):
    """Nothing of the caller's configuration; temporary directories where the tests can count them."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("RINGMAIN_")}
    return {**inherited, "TMPDIR": str(place), "RINGMAIN_STORAGE__DIR": str(place / "kept")}


@pytest.fixture(scope="module")
def command(place, environment):
    """Run `ringmain lab ARGUMENTS`; the completed process."""

    def run(*arguments):
        argv = [sys.executable, "-m", "ringmain.apps.cli.main", "lab", *arguments]
        return subprocess.run(
            argv, cwd=place, env=environment, capture_output=True, text=True, timeout=110, check=False
        )

    return run


@pytest.fixture(scope="module")
def reported(place, command):
    """Run the lab with a report; (completed process, report)."""

    def run(*arguments):
        file = place / "report.json"
        file.unlink(missing_ok=True)
        done = command("--report", str(file), *arguments)
        assert done.returncode == 0, done.stderr
        return done, json.loads(file.read_bytes())

    return run


@pytest.fixture
def started(place, environment):
    """A lab that runs, once its platform is up: (process, the platform's id, what it said so far)."""
    labs = []

    def start(*arguments):
        argv = [sys.executable, "-m", "ringmain.apps.cli.main", "lab", *arguments]
        lab = subprocess.Popen(argv, cwd=place, env=environment, stdout=-1, stderr=-1, text=True)
        labs.append(lab)
        for line in lab.stderr:
            if found := re.search(r"platform is up: process (\d+)", line):
                return lab, int(found[1])
        pytest.fail(f"the platform never came up: {lab.communicate()}")

    yield start
    for lab in labs:
        if lab.poll() is None:
            lab.kill()
        lab.communicate()


def gone(pid, seconds=15.0):
    """Whether the process of that id ends soon; a zombie would be nobody's child here."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.05)
    return False


@pytest.fixture(scope="module")
def first(reported):
    return reported("--data", sample(), "--year", "2013", "--faults", "none", "--seed", "1")


@pytest.fixture(scope="module")
def second(reported):
    return reported("--year", "2013", "--seed", "5", "--keep")


def sample():
    from ringmain.metering.data import sample_household  # noqa: PLC0415 - a path for a command line

    return str(sample_household())


@pytest.mark.parametrize("run", ["first", "second"])
def test_any_seed_gives_the_exact_figures(run, request):
    done, report = request.getfixturevalue(run)
    figures = {
        "intervals": 17_520,
        "missing": 0,
        "energy_kwh": 4214.648,
        "amount": 599.66,
        "amount_tou": 672.34,
        "amount_exact": "599.66",
        "amount_tou_exact": "672.34",
        "currency": "GBP",
        "duplicates_dropped": 12,
        "conflicts": 0,
        "lost": 0,
        "resent": 0,
        "complaints": [],
        "faults": "none",
        "year": 2013,
    }
    assert {name: report[name] for name in figures} == figures
    assert report["seconds"] < LAB_S_MAX
    assert "17,520 of 2013 (complete)" in done.stdout


def test_seeds_differ_on_the_wire_and_not_on_the_bill(first, second):
    assert first[1]["seed"] != second[1]["seed"]
    assert first[1]["messages"] != second[1]["messages"]
    assert first[1]["bill_sha256"] == second[1]["bill_sha256"]
    assert re.fullmatch(r"[0-9a-f]{64}", first[1]["bill_sha256"])


def test_without_keep_nothing_is_left_and_with_it_nothing_is_deleted(first, second, place, reported):
    assert first[1]["storage_dir"] == ""
    assert second[1]["storage_dir"] == str(place / "kept")
    assert second[1]["tenant"] == "lab"
    _, third = reported("--year", "2012", "--keep")
    assert third["tenant"] == "lab-2"
    assert (third["intervals"], third["missing"]) == (3_836, 17_568 - 3_836)
    assert third["energy_kwh_exact"] == "977.832"
    assert list(place.glob("ringmain-lab-*")) == []


def test_faults_that_are_not_there_are_refused(command, place):
    done = command("--faults", "mild")
    assert done.returncode == 2
    assert "there is: none, harsh" in done.stderr
    assert list(place.glob("ringmain-lab-*")) == []


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        ("start,value\n2013-01-01 00:00:00,0.2\n2013-01-01 00:30:00,much\n", "line 3: value"),
        ("start,value\n2013-01-32 00:00:00,0.2\n", "line 2: start"),
        ("when,value\n2013-01-01 00:00:00,0.2\n", "line 1"),
        ("start,value\n2014-01-01 00:00:00,0.2\n", "no rows in 2013"),
    ],
)
def test_a_data_file_with_an_error_is_refused_and_nothing_is_started(command, place, text, detail):
    file = place / "bad.csv"
    file.write_text(text)
    done = command("--data", str(file))
    assert done.returncode == 5
    assert f"bad.csv: {detail}" in done.stderr
    assert list(place.glob("ringmain-lab-*")) == []


def test_a_report_that_cannot_be_written_is_refused_before_anything_is_started(command, place):
    done = command("--report", str(place / "nowhere" / "out.json"))
    assert done.returncode == 2
    assert "there is no directory" in done.stderr
    assert list(place.glob("ringmain-lab-*")) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_lab_ends_its_processes_and_keeps_their_logs(started, number):
    lab, platform = started("--seed", "2")
    lab.send_signal(number)
    _, said = lab.communicate(timeout=30)
    assert lab.returncode == 130
    assert gone(platform)
    logs = re.search(r"interrupted; all processes are ended, their logs are in (\S+)", said)
    assert os.path.exists(f"{logs[1]}/platform.log")  # noqa: PTH110 - a path that a person reads


def test_a_platform_that_dies_under_the_replay_fails_the_run_with_its_log(started, place):
    before = set(place.glob("ringmain-lab-*/meter.log"))
    lab, platform = started("--seed", "2")
    while not set(place.glob("ringmain-lab-*/meter.log")) - before:
        assert lab.poll() is None
        time.sleep(0.01)
    os.kill(platform, signal.SIGKILL)
    out, said = lab.communicate(timeout=30)
    assert lab.returncode == 4
    assert out == ""
    assert f"platform (pid {platform}) ended unasked with signal SIGKILL" in said
    logs = re.search(r"the logs of all processes are in (\S+)", said)
    assert os.path.exists(f"{logs[1]}/platform.log")  # noqa: PTH110


def test_a_directory_that_another_process_owns_is_left_alone(started, command):
    lab, platform = started("--seed", "2", "--keep")
    other = command("--keep")
    assert other.returncode == 4
    assert "platform" in other.stderr
    assert "did not start" in other.stderr
    assert str(platform) in other.stderr
    lab.send_signal(signal.SIGINT)
    lab.communicate(timeout=30)
    assert gone(platform)
