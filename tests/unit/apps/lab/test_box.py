"""A box that is killed and started again: a stand-in that counts its lives in its directory."""

import signal

import pytest

from ringmain.apps.lab import box
from ringmain.apps.lab.box import Box
from ringmain.apps.lab.processes import Family, StepFailed

pytestmark = pytest.mark.slow

STAND_IN = """
import os, pathlib, signal, sys, time
directory, mode = pathlib.Path(sys.argv[1]), sys.argv[2]
lives = directory / "lives"
lives.write_text(lives.read_text() + "x" if lives.exists() else "x")
if mode == "hangs":
    time.sleep(60)
if mode == "dies the second time" and len(lives.read_text()) == 2:
    sys.exit("no more")
signal.signal(signal.SIGTERM, lambda *_: os._exit(5 if mode == "ends badly" else 0))
beside = directory / "ports.new"
beside.write_text("{}")
beside.replace(directory / "ports.json")
time.sleep(60)
"""


@pytest.fixture
def boxes(tmp_path, monkeypatch):
    (tmp_path / "lab_box_stand_in.py").write_text(STAND_IN)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Family(tmp_path) as family:

        def make(mode="well", answers=lambda: True):
            return Box(family, "box", "lab_box_stand_in", [str(tmp_path), mode], tmp_path / "ports.json", answers)

        yield make


def up(made):
    made.start()
    made.wait()
    return made


def test_one_that_was_never_started_has_no_process(boxes):
    with pytest.raises(ValueError, match="never started"):
        _ = boxes().child


def test_it_comes_back_on_the_same_directory_and_the_ports_of_its_last_life_are_not_believed(boxes, tmp_path):
    made = up(boxes())
    first = made.child.pid
    made.child.kill()
    assert made.child.exit_code() == -signal.SIGKILL
    made.start()
    assert not made.is_ready()
    made.wait()
    assert made.child.pid != first
    assert (tmp_path / "lives").read_text() == "xx"
    made.stop()


def test_its_doors_being_open_is_not_enough_where_it_does_not_answer(boxes, monkeypatch):
    monkeypatch.setattr(box, "READY_S_MAX", 0.5)
    with pytest.raises(StepFailed, match=r"was not ready after 0\.5 s"):
        up(boxes(answers=lambda: False))


def test_one_that_does_not_come_back_is_an_error_with_its_words(boxes):
    made = up(boxes("dies the second time"))
    made.child.kill()
    with pytest.raises(StepFailed, match=r"(?s)did not start \(exit code 1\).*no more"):
        up(made)


def test_one_that_is_gone_can_not_be_killed(boxes):
    made = up(boxes())
    made.child.kill()
    with pytest.raises(StepFailed, match="ended unasked with signal SIGKILL"):
        made.child.kill()
    with pytest.raises(StepFailed, match="ended unasked"):
        made.stop()


def test_one_that_ends_badly_is_an_error(boxes):
    made = up(boxes("ends badly"))
    with pytest.raises(StepFailed, match="exit code 5"):
        made.stop()
