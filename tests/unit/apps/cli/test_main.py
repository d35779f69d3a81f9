"""The command line as a whole: what it imports, what it prints where, and its exit codes."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from ringmain.apps.cli import main as entry
from ringmain.apps.cli.exits import CommandError, Exit
from ringmain.apps.cli.main import COMMANDS, ringmain, run
from ringmain.model.errors import Failed, Refused

pytestmark = pytest.mark.usefixtures("clean_environment")

HEAVY = (
    "duckdb",
    "numpy",
    "sqlalchemy",
    "alembic",
    "starlette",
    "uvicorn",
    "cryptography",
    "prometheus_client",
    "rich",
)


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["config", "show"], ["device", "--help"]])
def test_what_only_talks_loads_nothing_heavy(arguments: list[str], tmp_path: Path) -> None:
    program = (
        "import sys; from ringmain.apps.cli.main import run; code = run(sys.argv[1:]);"
        f"sys.exit(code or [name for name in {HEAVY!r} if name in sys.modules] or None)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.slow
def test_help_answers_at_once() -> None:
    """0.15 s. Processor time, and the best of ten: the machine that runs all tests is busy with other things."""
    taken = []
    for _ in range(10):
        before = os.times()
        subprocess.run([sys.executable, "-m", "ringmain.apps.cli.main", "--help"], capture_output=True, check=True)
        after = os.times()
        taken.append(after.children_user + after.children_system - before.children_user - before.children_system)
    assert min(taken) < 0.15


@pytest.mark.parametrize("name", list(COMMANDS))
def test_every_command_is_there_and_says_what_the_listing_says(name: str) -> None:
    module, _, attribute = COMMANDS[name].target.partition(":")
    command = getattr(importlib.import_module(module), attribute)
    assert isinstance(command, click.Command)
    assert command.name == name
    assert command.get_short_help_str(200) == COMMANDS[name].help


def test_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--help"]) == Exit.OK
    out = capsys.readouterr().out
    assert all(f"  {name} " in out for name in COMMANDS)


@pytest.mark.parametrize("arguments", [["nonsense"], ["--nonsense"], ["config", "nonsense"], [], ["device"]])
def test_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(arguments) == Exit.USAGE
    told = capsys.readouterr()
    assert "Usage: ringmain" in told.err
    assert not told.out


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Refused("not_found", "what", "next step"), Exit.REFUSED),
        (Failed("storage_full", "what", "next step"), Exit.UNAVAILABLE),
        (Failed("internal", "what", "next step"), Exit.FAULT),
        (CommandError(Exit.REFUSED, "what", "next step"), Exit.REFUSED),
        (KeyboardInterrupt(), Exit.INTERRUPTED),
        (click.Abort(), Exit.INTERRUPTED),
    ],
)
def test_errors_become_words_and_codes(
    error: BaseException, code: Exit, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def main(*_args: object, **_kwargs: object) -> None:
        raise error

    monkeypatch.setattr(ringmain, "main", main)
    assert run([]) == code
    told = capsys.readouterr()
    assert not told.out
    if code is not Exit.INTERRUPTED:
        assert told.err == "ringmain: what\n  next: next step\n"


def test_a_fault_of_ours_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def main(*_args: object, **_kwargs: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(ringmain, "main", main)
    with pytest.raises(ZeroDivisionError):
        run([])


def test_the_exit_code_of_a_command_is_the_processs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ringmain, "main", lambda *_args, **_kwargs: 4)
    monkeypatch.setattr(sys, "argv", ["ringmain"])
    with pytest.raises(SystemExit) as left:
        entry.main()
    assert left.value.code == 4


@pytest.mark.slow
def test_a_reader_that_has_seen_enough(tmp_path: Path) -> None:
    line = f"{sys.executable} -m ringmain.apps.cli.main config show -o jsonl | head -n 1"
    done = subprocess.run(["bash", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.startswith('{"key":"storage.dir"')
    assert done.stderr == ""


@pytest.mark.slow
def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["version"]) == Exit.OK
    assert capsys.readouterr().out == "ringmain 0.1.0\n"
    assert run(["version", "-v"]) == Exit.OK
    assert "duckdb" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["duckdb", "sqlalchemy.exc"])
def test_a_core_without_the_platform_says_what_to_install(name, monkeypatch, capsys):
    def missing(*_, **__):
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(ringmain, "main", missing)
    assert run(["up"]) == Exit.UNAVAILABLE
    told = capsys.readouterr().err
    assert f"{name.partition('.')[0]} is not installed" in told
    assert "ringmain[platform]" in told


def test_a_module_of_ours_that_is_missing_is_a_fault_and_no_hint(monkeypatch):
    def missing(*_, **__):
        raise ModuleNotFoundError("No module named 'ringmain.gone'", name="ringmain.gone")

    monkeypatch.setattr(ringmain, "main", missing)
    with pytest.raises(ModuleNotFoundError):
        run(["up"])
