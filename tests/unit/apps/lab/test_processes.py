"""Children of the lab: whatever happens, none is left behind and each failure says where its log is."""

import os
import signal
import threading
import time

import pytest

from ringmain.apps.lab.processes import Family, StepFailed, signals_interrupt

pytestmark = pytest.mark.slow

MODULES = {
    "done": "print('hello')",
    "wrong": "import sys; sys.stderr.write('the reason'); sys.exit(3)",
    "stays": "import time; print('up', flush=True); time.sleep(60)",
    "stubborn": "import signal, time; signal.signal(15, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
    "echoes": "import sys\nfor line in sys.stdin: print('heard', line, end='', flush=True)",
    "hurries": "import signal, sys, time; signal.signal(signal.SIGUSR1, lambda *_: sys.exit(7)); print('up', flush=True); time.sleep(60)",  # noqa: E501
    "env": "import os; print(os.environ['GIVEN'])",
}


@pytest.fixture
def family(tmp_path, monkeypatch):
    for name, source in MODULES.items():
        (tmp_path / f"lab_child_{name}.py").write_text(source)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with Family(tmp_path) as family:
        yield family


def started(family, name, **settings):
    return family.start(name, f"lab_child_{name}", [], **settings)


def until_up(child):
    until = time.monotonic() + 10
    while b"up" not in child.output():
        assert time.monotonic() < until
        time.sleep(0.01)


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


def test_a_child_that_is_done_gives_its_output_and_code(family):
    child = started(family, "done")
    assert child.wait(10) == 0
    assert child.output() == b"hello\n"


def test_the_environment_is_added_to_ours(family):
    child = started(family, "env", env={"GIVEN": "42"})
    assert child.wait(10) == 0
    assert child.output() == b"42\n"


def test_a_deadline_names_the_child_and_its_log(family):
    child = started(family, "stays")
    with pytest.raises(StepFailed, match=r"stays \(pid \d+\) was not done after 0\.1 s") as caught:
        child.wait(0.1)
    assert str(child.log_path) in caught.value.hint


def test_waiting_ends_when_the_process_it_depends_on_is_gone(family):
    other, child = started(family, "wrong"), started(family, "stays")
    with pytest.raises(StepFailed, match=r"(?s)wrong .* ended unasked with exit code 3.*the reason"):
        child.wait(30, while_alive=[other])


def test_a_killed_child_is_named_with_its_signal(family):
    child = started(family, "stays")
    os.kill(child.pid, signal.SIGKILL)
    child.wait(10)
    with pytest.raises(StepFailed, match="signal SIGKILL"):
        child.check_alive()


def test_an_error_inside_ends_all_children(tmp_path, family):
    children = []
    with pytest.raises(ZeroDivisionError), Family(tmp_path) as inner:
        children = [inner.start(f"n{n}", "lab_child_stays", []) for n in range(2)]
        _ = 1 / 0
    assert all(gone(child.pid) for child in children)


def test_a_child_that_ignores_sigterm_is_killed(tmp_path, family, monkeypatch):
    monkeypatch.setattr("ringmain.apps.lab.processes.TERM_S", 0.2)
    with Family(tmp_path) as inner:
        child = inner.start("stubborn", "lab_child_stubborn", [])
        until_up(child)
    assert child.exit_code() == -signal.SIGKILL


def test_a_child_that_obeys_is_ended_by_sigterm(tmp_path, family):
    with Family(tmp_path) as inner:
        child = inner.start("stays", "lab_child_stays", [])
        until_up(child)
    assert child.exit_code() == -signal.SIGTERM


@pytest.fixture
def heard():
    """SIGINT as at a terminal: a shell that starts the tests in the background lets them ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_lab_ends_all_children(tmp_path, family, number):
    timer = threading.Timer(0.3, os.kill, (os.getpid(), number))
    with pytest.raises(KeyboardInterrupt), signals_interrupt(), Family(tmp_path) as inner:
        child = inner.start("stays", "lab_child_stays", [])
        timer.start()
        child.wait(30)
    assert gone(child.pid)


def test_a_child_hears_lines_and_ends_with_its_input(family):
    child = started(family, "echoes", hears=True)
    child.say("up and down")
    until_up(child)
    assert child.output() == b"heard up and down\n"
    assert child.stop() in (0, -signal.SIGTERM)


def test_a_child_without_an_input_is_not_spoken_to(family):
    with pytest.raises(ValueError, match="done was started without an input"):
        started(family, "done").say("hello")


def test_a_signal_reaches_a_child_and_means_nothing_to_one_that_is_gone(family):
    child = started(family, "hurries")
    until_up(child)
    child.signal(signal.SIGUSR1)
    assert child.wait(10) == 7
    child.signal(signal.SIGUSR1)


def test_a_kill_says_when_and_the_next_life_goes_on_in_the_same_files(family):
    child = started(family, "stays")
    until_up(child)
    before = time.monotonic()
    assert before <= child.kill() <= time.monotonic()
    assert child.exit_code() == -signal.SIGKILL
    until_up(again := started(family, "stays"))
    until = time.monotonic() + 10
    while again.output() != b"up\nup\n":
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_was_ignored_interrupts_too(number):
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with pytest.raises(KeyboardInterrupt), signals_interrupt():
            signal.raise_signal(number)
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)
