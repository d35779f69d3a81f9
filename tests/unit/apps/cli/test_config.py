"""`ringmain config`: values with their origins, in every form, and refusals with exit code 3."""

import csv
import io
import json
from pathlib import Path

import pytest

from ringmain.apps.cli.exits import Exit
from ringmain.apps.cli.main import run
from ringmain.apps.config_keys import keys

pytestmark = pytest.mark.usefixtures("clean_environment")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def shown(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> dict[str, tuple[object, str]]:
    assert run([*arguments[:-2], "config", "show", *arguments[-2:], "-o", "json"]) == Exit.OK
    rows = json.loads(capsys.readouterr().out)
    assert [row["key"] for row in rows] == list(keys())
    return {row["key"]: (row["value"], row["origin"]) for row in rows}


def test_every_origin(elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    (elsewhere / "other.toml").write_text("[mqtt]\nport = 1\n[http]\nport = 2\n")
    monkeypatch.setenv("RINGMAIN_HTTP__PORT", "3")
    found = shown(["--config", "other.toml", "--set", "edge.port=4", "--log-level", "debug"], capsys)
    assert found["mqtt.port"] == (1, "file:other.toml")
    assert found["http.port"] == (3, "env:RINGMAIN_HTTP__PORT")
    assert found["edge.port"] == (4, "flag:--set edge.port")
    assert found["log.level"] == ("debug", "flag:--log-level")
    assert found["mqtt.tls_port"] == (8883, "default")


def test_a_flag_of_the_command_wins_over_set(capsys: pytest.CaptureFixture[str]) -> None:
    found = shown(["--set", "mqtt.port=5", "--mqtt-port", "6"], capsys)
    assert found["mqtt.port"] == (6, "flag:--mqtt-port")


def test_the_file_of_the_environment(
    elsewhere: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (elsewhere / "named.toml").write_text("insecure = true\n")
    monkeypatch.setenv("RINGMAIN_CONFIG", "named.toml")
    assert run(["config", "check"]) == Exit.OK
    assert capsys.readouterr().out == (
        f"configuration is sound: 1 of {len(keys())} keys set, the others are defaults\nfile: named.toml\n"
    )


def test_table_and_csv(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "show"]) == Exit.OK
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["key", "value", "origin"]
    assert lines[1].split() == ["storage.dir", '"ringmain-data"', "default"]
    assert run(["config", "show", "-o", "csv"]) == Exit.OK
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert rows[1] == ["storage.dir", "ringmain-data", "default"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--set", "mqtt.port=x", "config", "check"], "Expected `int`, got `str` - at `$.mqtt.port` (from flag:--set"),
        (["--set", "mqtt.port", "config", "check"], "--set mqtt.port has no `=`"),
        (["--config", "none.toml", "config", "check"], "none.toml can not be read"),
        (["config", "check", "--http-port", "99999"], "at `$.http.port` (from flag:--http-port)"),
    ],
)
def test_refusals(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == Exit.CONFIG
    output = capsys.readouterr()
    assert told in output.err
    assert "\n  next: " in output.err
    assert not output.out
