"""The demo as somebody starts it: processes, signals, a terminal, and the line that one pastes."""

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.alone]

_NUMBER = r"[1-9][\d,]*"

HOMES = 20
WAIT_S = 60.0
"""For something that takes a second or two on a machine that does nothing else."""


def command(*options: str) -> list[str]:
    """On ports of its own: others may be after the usual ones just now."""
    held = [socket.socket() for _ in range(5)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    keys = ("mqtt.port", "mqtt.tls_port", "http.port", "edge.port", "edge.tls_port")
    sets = [f"{key}={each.getsockname()[1]}" for key, each in zip(keys, held, strict=True)]
    for each in held:
        each.close()
    sets += ["storage.dir=data/platform", "edge.dir=data/edge"]
    keys_set = [part for each in sets for part in ("--set", each)]
    return [sys.executable, "-m", "ringmain.apps.cli.main", *keys_set, "demo", "--homes", str(HOMES), *options]


def until(condition: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + WAIT_S
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.05)
    pytest.fail(f"{what}: not within {WAIT_S:g} s")


def read_report(folder: Path) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((folder / "report.json").read_text())
    assert report["unaccounted"] == 0, report
    assert report["conflicts"] == 0, report
    assert report["readings_stored"] > 0, report
    return report


def left_behind(children: list[psutil.Process]) -> list[psutil.Process]:
    return [child for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def run_headless(folder: Path, seconds: float) -> tuple[dict[str, Any], str]:
    done = subprocess.run(
        command("--headless", "--for", f"{seconds:g}", "--report", "report.json"),
        cwd=folder, capture_output=True, text=True, check=False, timeout=WAIT_S,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return read_report(folder), done.stdout


def test_headless_it_runs_reports_and_goes_on_at_the_next_start(tmp_path: Path) -> None:
    seconds = 7.0
    first, said = run_headless(tmp_path, seconds)
    while first["readings_stored"] < HOMES * 3:  # so busy a machine: give it more
        seconds *= 1.5
        first, said = run_headless(tmp_path, seconds)
    assert first["homes"] == HOMES
    assert first["first_reading_s"] is not None
    assert first["readings_received"] == first["readings_stored"] + first["duplicates"]
    assert "HTTP API     http://127.0.0.1:" in said
    assert "admin token  data/platform/identity/admin.token" in said
    assert str(tmp_path) not in said

    second, _ = run_headless(tmp_path, seconds)
    assert second["resumed"] is True
    assert second["readings_stored"] > first["readings_stored"]
    assert second["virtual"] > first["virtual"]
    assert second["duplicates"] <= second["readings_received"] - second["readings_stored"]


@pytest.mark.needs("mosquitto_pub")
def test_the_line_works_as_pasted_and_ctrl_c_ends_everything(tmp_path: Path) -> None:
    log = tmp_path / "log"
    with log.open("wb") as out:
        running = subprocess.Popen(
            command("--headless", "--report", "report.json"), cwd=tmp_path, stdout=out, stderr=out
        )
    try:
        line = until(lambda: re.search(r"mosquitto_pub .*?21\.5}'", log.read_text(), re.DOTALL), "the banner")[0]
        pasted = subprocess.run(["bash", "-c", line], capture_output=True, text=True, check=False, timeout=WAIT_S)
        assert pasted.returncode == 0, pasted.stderr
        until(lambda: "your own device was heard: temperature_cel 21.5" in log.read_text(), "the own device's value")
        until(lambda: re.search(rf"stored {_NUMBER} ", log.read_text()), "a reading of the street")
        children = psutil.Process(running.pid).children(recursive=True)
        assert len(children) >= 4
    finally:
        running.send_signal(signal.SIGINT)
        code = running.wait(WAIT_S)
    assert code == 0
    assert left_behind(children) == []
    assert read_report(tmp_path)["ended_in_s"] <= 5.0


class Terminal:
    """The demo in a pseudo terminal of 100 by 30."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seen = ""
        self._half = b""
        self.pid, self._descriptor = pty.fork()
        if self.pid == 0:
            os.chdir(folder)
            env = {**os.environ, "COLUMNS": "100", "LINES": "30", "TERM": "xterm", "NO_COLOR": "1"}
            os.execve(sys.executable, command("--report", "report.json"), env)

    def press(self, key: str) -> None:
        os.write(self._descriptor, key.encode())

    def sees(self, pattern: str) -> None:
        """Wait until it is on the screen, in what was drawn since the last time."""
        end = time.monotonic() + WAIT_S
        while not re.search(pattern, self.seen):
            if time.monotonic() > end:
                pytest.fail(f"{pattern} was not seen; the screen: {self.seen[-4000:]}")
            if not self.read():
                pytest.fail(f"{pattern} was not seen before the end: {self.seen[-4000:]}")
        self.seen = ""

    def read(self) -> bool:
        if not select.select([self._descriptor], [], [], 0.1)[0]:
            return True
        try:
            piece = os.read(self._descriptor, 1 << 16)
        except OSError:
            return False
        self._half += piece
        whole, mark, self._half = self._half.rpartition(b"\n")
        self.seen = (self.seen + re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", (whole + mark).decode()))[-200_000:]
        return bool(piece)

    def end(self) -> int:
        """Press q, and read until it is over; the exit code."""
        self.press("q")
        while self.read():
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self._descriptor)
        return os.waitstatus_to_exitcode(status)


def test_in_a_terminal_it_is_cut_and_killed_and_heals(tmp_path: Path) -> None:
    terminal = Terminal(tmp_path)
    terminal.sees(rf"stored +{_NUMBER} readings")
    children = psutil.Process(terminal.pid).children(recursive=True)
    terminal.press("c")
    terminal.sees(rf"✂ cut, keeping all[\s\S]*backlog +{_NUMBER} readings")
    terminal.press("e")
    terminal.sees("edge killed")
    terminal.sees(rf"edge is started again; its buffer on disk holds {_NUMBER} readings")
    terminal.sees(r"edge answers again after \d+\.\d s")
    terminal.press("c")
    terminal.sees(rf"uplink mended: the edge held {_NUMBER} readings")
    terminal.sees(r"backlog +none")
    terminal.press("p")
    terminal.sees("platform killed")
    terminal.sees(r"platform answers again after \d+\.\d s")
    terminal.sees(r"▲ up[\s\S]*backlog +none")
    terminal.press("a")
    terminal.sees(r"mosquitto_pub -h 127\.0\.0\.1")
    assert terminal.end() == 0
    report = read_report(tmp_path)
    assert (report["kills_edge"], report["kills_platform"]) == (1, 1)
    assert report["backlog_readings"] == 0
    assert left_behind(children) == []
