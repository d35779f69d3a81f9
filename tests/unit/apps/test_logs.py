"""How log lines look, and that no secret is in one."""

import json
import logging
import sys

import pytest

from ringmain.apps.config import Log
from ringmain.apps.logs import Scrubber, configure_logging


@pytest.fixture
def restored_logging():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


@pytest.mark.usefixtures("restored_logging")
def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Log(format="json"), ["a-very-secret-token"])
    log = logging.getLogger("gateway")
    log.debug("below the level")
    log.warning("first\nsecond %s", "a-very-secret-token")
    try:
        raise ValueError("Bearer abcdef123")
    except ValueError:
        log.exception("it failed")
    first, second = (json.loads(line) for line in capsys.readouterr().err.splitlines())
    assert (first["level"], first["logger"], first["message"]) == ("warning", "gateway", "first\nsecond [secret]")
    assert first["time"].endswith("Z")
    assert "ValueError: Bearer [secret]" in second["exception"]


@pytest.mark.usefixtures("restored_logging")
def test_console_lines_and_level(capsys: pytest.CaptureFixture[str]) -> None:
    configure_logging(Log(level="debug"), ["a-very-secret-token"])
    logging.getLogger("gateway").debug("a-very-secret-token")
    line = capsys.readouterr().err
    assert line.endswith(" DEBUG   gateway: [secret]\n")


@pytest.mark.usefixtures("restored_logging")
def test_it_replaces_what_was_configured_before(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().addHandler(logging.StreamHandler(sys.stderr))
    configure_logging(Log())
    configure_logging(Log())
    logging.getLogger("x").info("once")
    assert capsys.readouterr().err.count("once") == 1


@pytest.mark.parametrize(
    ("text", "scrubbed"),
    [
        ("Authorization: Bearer abc.def-1", "Authorization: Bearer [secret]"),
        ("authorization: basic dXNlcjpwYXNz", "authorization: basic [secret]"),
        ("GET /x?token=abc&limit=5", "GET /x?token=[secret]&limit=5"),
        ('{"password": "hunter2", "id": 1}', '{"password": "[secret]", "id": 1}'),
        ("known-secret-one in the middle", "[secret] in the middle"),
        ("known-secret-one-longer", "[secret]"),
        ("the token of meter-1 was replaced", "the token of meter-1 was replaced"),
        ("bearer news", "bearer [secret]"),  # rather a word too many than a secret too few
        ("short", "short"),
    ],
)
def test_scrubber(text: str, scrubbed: str) -> None:
    assert Scrubber(["known-secret-one", "known-secret-one-longer", "short", ""])(text) == scrubbed
