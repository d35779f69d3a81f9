"""Plain lines: the banner, a line of a log, and paths as short as they can be."""

import shlex
from pathlib import Path

import pytest
from tests.unit.apps.demo.played import full, situation

from ringmain.apps.demo import words
from ringmain.apps.demo.watch import Figures


def test_a_line_of_a_log_has_every_figure():
    assert words.log_line(full(), situation()) == (
        "   41.2 s  street 2026-10-26 07:05  stored 1,239,000 (+1,188/s)  online 129  backlog 8,790  bills 200"
    )


def test_a_line_of_a_log_without_any_figure():
    assert words.log_line(Figures(), situation(seconds=0.4)) == (
        "    0.4 s  street -  stored 0 (+0/s)  online 0  backlog -  bills 0"
    )


def test_the_line_to_paste_is_one_command_of_lines_that_fit():
    line = words.hello(41883, "x" * 43)
    assert max(map(len, line.splitlines())) <= 80
    assert shlex.split(line.replace("\\\n", "")) == [
        "mosquitto_pub", "-h", "127.0.0.1", "-p", "41883", "-u", "street/hello", "-P", "x" * 43, "-q", "1", "-t",
        "telemetry", "-m", '{"temperature_cel": 21.5}',
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "short"),
    [("/here/data/p", "data/p"), ("/here", "/here"), ("/hereafter/p", "/hereafter/p"), ("/", "/")],
)
def test_paths_below_are_relative(path, short):
    assert words.shown(Path(path), Path("/here")) == short


def test_the_last_line():
    assert words.farewell(1.26, 12_345) == "ended in 1.3 s; 12,345 readings are kept, the next start continues"
