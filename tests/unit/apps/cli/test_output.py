"""Rows in four forms."""

import json

import pytest

from ringmain.apps.cli.output import Format, show, show_one

ROWS = [{"id": "m-1", "n": 1, "note": None}, {"id": "meter, two", "n": 22, "more": [1, "x"]}]


def test_table(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, Format.TABLE)
    assert capsys.readouterr().out == ('id          n   note  more\nm-1         1\nmeter, two  22        [1,"x"]\n')


def test_columns_choose_and_order(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, Format.CSV, ("n", "id"))
    assert capsys.readouterr().out == 'n,id\n1,m-1\n22,"meter, two"\n'


def test_json_keeps_everything(capsys: pytest.CaptureFixture[str]) -> None:
    show(ROWS, Format.JSON, ("n",))
    assert json.loads(capsys.readouterr().out) == ROWS


def test_json_lines(capsys: pytest.CaptureFixture[str]) -> None:
    show(iter(ROWS), Format.JSONL)
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == ROWS


@pytest.mark.parametrize("form", list(Format))
def test_nothing_to_show(form: Format, capsys: pytest.CaptureFixture[str]) -> None:
    show([], form, ("id", "state"))
    expected = {Format.TABLE: "id  state\n", Format.CSV: "id,state\n", Format.JSON: "[]\n", Format.JSONL: ""}
    assert capsys.readouterr().out == expected[form]


def test_one_object(capsys: pytest.CaptureFixture[str]) -> None:
    show_one({"id": "m-1", "latest": []}, Format.TABLE)
    assert capsys.readouterr().out == "id      m-1\nlatest  []\n"
    show_one({"id": "m-1"}, Format.JSON)
    assert json.loads(capsys.readouterr().out) == {"id": "m-1"}
    show_one({"id": "m-1"}, Format.JSONL)
    assert capsys.readouterr().out == '{"id":"m-1"}\n'


@pytest.mark.parametrize(("no_color", "bold"), [("", True), ("1", False)])
def test_no_color(
    no_color: str, bold: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    show([{"id": "m"}], Format.TABLE)
    assert ("\x1b[1m" in capsys.readouterr().out) is bold
