"""`ringmain lab` around a run that is played: what it hands over, what it keeps, and how it ends."""

import json

import pytest

from ringmain.apps.cli.main import run as ringmain
from ringmain.apps.lab.api import ApiError
from ringmain.apps.lab.processes import StepFailed
from ringmain.apps.lab.report import Report
from ringmain.metering.data import sample_household


@pytest.fixture
def played(monkeypatch, tmp_path):
    """Plays `run`: `played.answer(options)` gives the report; `played.options` is what it was called with."""
    played = type("Played", (), {"options": None, "answer": staticmethod(report)})()

    def run(options, rows, say):
        played.options, played.rows = options, rows
        say("a step")
        return played.answer(options)

    monkeypatch.setattr("ringmain.apps.lab.run.run", run)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.chdir(tmp_path)
    return played


def report(options, **changes):
    figures = dict.fromkeys(Report.__struct_fields__, 0)
    texts = dict.fromkeys(
        ("energy_kwh_exact", "amount_exact", "amount_tou_exact", "currency", "bill_sha256", "storage_dir"), ""
    )
    return Report(**{**figures, **texts, "year": options.year, "seed": options.seed, "complaints": (), **changes})


@pytest.mark.slow
def test_a_good_run_leaves_its_report_and_nothing_else(played, tmp_path, capsys):
    assert ringmain(["lab", "--report", "out.json", "--seed", "9"]) == 0
    assert [path.name for path in tmp_path.iterdir()] == ["out.json"]
    assert json.loads((tmp_path / "out.json").read_bytes())["seed"] == 9
    out, err = capsys.readouterr()
    assert "agree on every stamp" in out
    assert "a step" in err
    assert "a step" not in out
    assert len(played.rows) == 17_532


@pytest.mark.slow
@pytest.mark.parametrize("faults", ["none", "harsh"])
def test_the_faults_are_handed_on(played, faults):
    assert ringmain(["lab", "--faults", faults]) == 0
    assert played.options.faults == faults


@pytest.mark.slow
def test_the_sample_household_is_the_default(played):
    ringmain(["lab"])
    assert played.options.data.name == sample_household().name
    assert not played.options.kept
    assert played.options.storage_dir == played.options.work_dir / "data"


@pytest.mark.slow
def test_keep_takes_the_configured_directory_and_hands_the_configuration_on(played, tmp_path):
    (tmp_path / "my.toml").write_text('[storage]\ndir = "mine"\n')
    assert ringmain(["--config", "my.toml", "--set", "log.level=debug", "lab", "--keep"]) == 0
    assert played.options.storage_dir == tmp_path / "mine"
    assert played.options.kept
    assert played.options.config == ("--config", "my.toml", "--set", "log.level=debug")


@pytest.mark.slow
def test_a_difference_is_exit_code_1_with_the_report_and_the_logs_kept(played, tmp_path, capsys):
    played.answer = lambda options: report(options, complaints=("3 readings missing",), lost=3)
    assert ringmain(["lab", "--report", "out.json"]) == 1
    assert json.loads((tmp_path / "out.json").read_bytes())["lost"] == 3
    out, err = capsys.readouterr()
    assert "  - 3 readings missing" in out
    assert str(played.options.work_dir) in err
    assert played.options.work_dir.is_dir()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "text"),
    [
        (StepFailed("meter failed", "see its log"), "meter failed\n  next: see its log; the logs of all"),
        (ApiError(409, "bill 1 is there", ""), "bill 1 is there\n  next: the logs of all processes are in"),
    ],
)
def test_a_step_that_fails_is_exit_code_4_with_the_logs_kept(played, capsys, error, text):
    def fail(_):
        raise error

    played.answer = fail
    assert ringmain(["lab"]) == 4
    out, err = capsys.readouterr()
    assert out == ""
    assert text in err
    assert str(played.options.work_dir) in err
    assert played.options.work_dir.is_dir()


@pytest.mark.slow
def test_an_interrupt_is_exit_code_130_and_says_where_the_logs_are(played, capsys):
    def interrupt(_):
        raise KeyboardInterrupt

    played.answer = interrupt
    assert ringmain(["lab"]) == 130
    assert str(played.options.work_dir) in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--faults", "mild"], ["--year", "1900"], ["--report", "no/where.json"]])
def test_what_cannot_be_done_is_refused_before_anything_is_made(played, tmp_path, arguments):
    assert ringmain(["lab", *arguments]) == 2
    assert played.options is None
    assert list(tmp_path.iterdir()) == []


def test_a_missing_file_is_refused(played, tmp_path):
    assert ringmain(["lab", "--data", "nowhere.csv"]) == 5
    assert list(tmp_path.iterdir()) == []
