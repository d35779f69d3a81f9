"""`ringmain edge size`: the arithmetic as people and programs read it."""

import json

import pytest
from click.testing import CliRunner

from ringmain.apps.cli.edge_size import size


def run(*arguments: str):
    return CliRunner().invoke(size, arguments)


def test_for_people():
    text = run("--meters", "200").output
    assert "34,560,000 in 48 h (200.0/s)" in text
    assert "fits" in text
    assert "DOES NOT FIT" in run("--meters", "20000", "--disk", "0.01").output


def test_for_programs():
    answer = json.loads(run("--meters", "200", "--hours", "1", "-o", "json").output)
    assert answer["readings"] == 720_000
    assert answer["fits"] is True
    assert answer["bytes_per_reading"] == pytest.approx(answer["file_bytes"] / 720_000, abs=0.01)
    assert json.loads(run("--meters", "200", "--uplink-kbit-s", "1", "-o", "json").output)["drain_s"] is None


@pytest.mark.parametrize("arguments", [(), ("--meters", "0"), ("--meters", "1", "--registers", "0"), ("--meters", "x")])
def test_what_it_can_not_tell(arguments):
    assert run(*arguments).exit_code == 2
