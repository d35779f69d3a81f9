"""`ringmain demo`: what is wrong is refused before anything starts, and what was set reaches the plan."""

import importlib.util
import os
import tempfile
import time
from pathlib import Path

import pytest

from ringmain.apps.cli import demo as command
from ringmain.apps.cli.exits import Exit
from ringmain.apps.cli.main import run
from ringmain.apps.demo import live, stage
from ringmain.apps.demo.report import report_of
from ringmain.apps.demo.situation import Situation
from ringmain.apps.demo.watch import Figures
from ringmain.apps.lab.api import ApiError
from ringmain.apps.lab.processes import StepFailed
from ringmain.model.errors import Failed


class Stages:
    """In place of processes: remembers with what a demo was played; `error` is what comes of it."""

    def __init__(self, monkeypatch):
        self.options = None
        self.shown = ""
        self.ended = 0
        self.error = None
        monkeypatch.setattr(stage, "set_up", self.set_up)
        monkeypatch.setattr(live, "headless_show", lambda *given: self.show("log", *given))
        monkeypatch.setattr(live, "live_show", lambda *given: self.show("view", *given))

    def set_up(self, options):
        self.options = options
        return self

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.ended += 1

    def show(self, how, options, kept, _, began_s):
        assert options is self.options
        self.shown, self.kept, self.began_s = how, kept, began_s
        if self.error:
            raise self.error
        now = Situation(options.homes, options.speed, 1.0, False, True, True, 0, 0)
        return report_of(Figures(), now, ended_in_s=0.5, resumed=False)


@pytest.fixture
def stages(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    for name in [name for name in os.environ if name.startswith("RINGMAIN_")]:
        monkeypatch.delenv(name)
    return Stages(monkeypatch)


@pytest.mark.parametrize(
    "arguments", [["--homes", "0"], ["--speed", "0"], ["--for", "0"], ["--for", "-1"], ["--seed", "-1"], ["--shiny"]]
)
def test_what_makes_no_sense_is_usage_and_nothing_starts(stages, arguments):
    assert run(["demo", *arguments]) == Exit.USAGE
    assert stages.options is None
    assert [path.name for path in Path().rglob("*")] == ["temporary"]


def test_a_report_that_can_not_be_written_is_told_before_anything_starts(stages, capsys):
    assert run(["demo", "--report", "nowhere/report.json"]) == Exit.USAGE
    assert "there is no directory" in capsys.readouterr().err
    assert stages.options is None


@pytest.mark.parametrize("missing", ["rich", "numpy", "duckdb"])
def test_what_is_not_installed_is_told_with_the_way_to_get_it(stages, monkeypatch, capsys, missing):
    found = importlib.util.find_spec
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == missing else found(name))
    assert run(["demo"]) == Exit.UNAVAILABLE
    assert f"{missing} is not installed" in (said := capsys.readouterr().err)
    assert "pip install 'ringmain[platform,demo]'" in said
    assert stages.options is None


def test_a_damaged_file_of_an_earlier_demo_starts_nothing(stages, capsys):
    Path("ringmain-data").mkdir()
    Path("ringmain-data/demo.json").write_text("{")
    assert run(["demo"]) != Exit.OK
    assert "nothing was changed" in capsys.readouterr().err
    assert stages.options is None
    assert list(Path("temporary").iterdir()) == []


def test_ctrl_c_while_it_starts_leaves_nothing(stages):
    stages.error = KeyboardInterrupt()
    assert run(["demo"]) == Exit.INTERRUPTED
    assert stages.ended == 1
    assert list(Path("temporary").iterdir()) == []


def test_without_settings_ports_are_chosen_and_directories_are_those_of_the_configuration(stages, tmp_path):
    assert run(["demo"]) == Exit.OK
    options = stages.options
    ports = (options.mqtt_port, options.mqtts_port, options.http_port, options.edge_port, options.edge_tls_port)
    assert ports == (0, 0, 0, 0, 0)
    assert (options.homes, options.speed, options.seconds) == (200, 3600.0, 0.0)
    assert (options.storage_dir, options.edge_dir) == (tmp_path / "ringmain-data", tmp_path / "ringmain-edge")
    assert options.storage_dir.stat().st_mode & 0o077 == 0
    assert stages.kept is None
    assert stages.ended == 1


def test_what_was_set_is_handed_on(stages):
    sets = ["--set", "mqtt.port=1999", "--set", "edge.port=1998", "--set", "storage.memory_mib=300"]
    assert run([*sets, "demo", "--homes", "7", "--speed", "60", "--seed", "3", "--for", "9"]) == Exit.OK
    options = stages.options
    assert (options.mqtt_port, options.edge_port, options.http_port) == (1999, 1998, 0)
    assert (options.homes, options.speed, options.seed, options.seconds) == (7, 60.0, 3, 9.0)
    assert options.config == tuple(sets)


def test_without_a_terminal_it_is_a_log(stages):
    assert run(["demo"]) == Exit.OK
    assert stages.shown == "log"


def test_its_clock_began_with_the_process(stages):
    began = time.monotonic()
    assert run(["demo"]) == Exit.OK
    assert stages.began_s < began


def test_the_report_is_written_and_the_logs_are_removed(stages):
    assert run(["demo", "--report", "report.json"]) == Exit.OK
    assert '"unaccounted": 0' in Path("report.json").read_text()
    assert not stages.options.work_dir.exists()


@pytest.mark.parametrize(
    "error",
    [
        StepFailed("platform (pid 7) ended unasked; its log ends:\nno room", "see platform.log"),
        ApiError(500, "it ended unasked"),
        Failed("unavailable", "the edge could not join: it ended unasked", "try again"),
    ],
)
def test_what_failed_is_told_with_the_place_of_the_logs(stages, capsys, error):
    stages.error = error
    assert run(["demo", "--report", "report.json"]) == Exit.UNAVAILABLE
    assert "ended unasked" in (said := capsys.readouterr().err)
    assert f"the logs of all processes are in {stages.options.work_dir}" in said
    assert stages.options.work_dir.is_dir()
    assert not Path("report.json").exists()
    assert stages.ended == 1
    stages.options.work_dir.rmdir()
