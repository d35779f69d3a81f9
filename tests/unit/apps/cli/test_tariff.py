"""`ringmain tariff`: a file with an error is refused with its line and field, and nothing is sent."""

import json
from pathlib import Path

import pytest

from ringmain.apps.cli.exits import Exit
from ringmain.apps.cli.main import run

GOOD = 'id = "flat"\nname = "Flat"\ncurrency = "GBP"\n\n[[versions]]\nvalid_from = 2012-01-01\nprice = "0.14228"\n'


def written(tmp_path: Path, text: str) -> str:
    path = tmp_path / "tariff.toml"
    path.write_text(text)
    return str(path)


@pytest.mark.parametrize("verb", ["check", "put"])
def test_an_error_is_named_by_line_and_field(verb: str, platform, tmp_path, capsys) -> None:
    bad = GOOD.replace('"0.14228"', '"cheap"')
    assert run(["tariff", verb, written(tmp_path, bad)]) == Exit.REFUSED
    said = capsys.readouterr().err
    assert "tariff.toml: line 7: $.versions[0].price" in said
    assert not platform.requests


def test_check_sends_nothing(platform, tmp_path, capsys) -> None:
    assert run(["tariff", "check", written(tmp_path, GOOD)]) == Exit.OK
    assert "tariff flat is in order" in capsys.readouterr().out
    assert not platform.requests


def test_put(platform, tmp_path, capsys) -> None:
    platform.answers["PUT", "/api/v1/tariffs/flat"] = (201, {"id": "flat"})
    assert run(["tariff", "put", written(tmp_path, GOOD)]) == Exit.OK
    assert capsys.readouterr().out == "tariff flat is on the platform\n"


def test_a_file_that_is_not_there(platform, tmp_path, capsys) -> None:
    assert run(["tariff", "put", str(tmp_path / "none.toml")]) == Exit.REFUSED
    assert "nothing was sent" in capsys.readouterr().err


def test_ls_and_show(platform, capsys) -> None:
    platform.answers["GET", "/api/v1/tariffs"] = (200, {"items": [{"id": "flat"}], "next": None})
    platform.answers["GET", "/api/v1/tariffs/flat"] = (200, {"id": "flat", "currency": "GBP"})
    assert run(["tariff", "ls", "-o", "json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)[0]["id"] == "flat"
    assert run(["tariff", "show", "flat", "-o", "json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["currency"] == "GBP"
