"""`ringmain report`: one request, whole files, and plain words where there is nothing to draw."""

import re
from datetime import date

import msgspec
import pytest
from tests.unit.apps.report.curves import curve

from ringmain.apps.cli import report as command
from ringmain.apps.cli.exits import Exit
from ringmain.apps.cli.main import run

DEVICE, STREET = "/api/v1/devices/m/load", "/api/v1/street/load"


def answer(drawn, **changes):
    return 200, msgspec.json.encode(msgspec.structs.replace(drawn, **changes))


DAY = curve(date(2013, 3, 31), 1, lambda slot: 100 + slot)
NOTHING = curve(date(2013, 3, 31), 1, lambda _: None)


@pytest.mark.slow
def test_both_files_of_one_request(platform, tmp_path, capsys):
    platform.answers["GET", DEVICE] = answer(DAY)
    png, svg = tmp_path / "m.png", tmp_path / "m.svg"
    line = ["report", "m", "--png", str(png), "--svg", str(svg), "--from", "2013-03-31", "--to", "2013-04-01"]
    assert run([*line, "--interval-s", "1800", "--title", "My own", "--source", "Owed to nobody."]) == Exit.OK
    (asked,) = [target for _, target, *_ in platform.requests]
    assert asked == f"{DEVICE}?channel=energy_wh&from=2013-03-31&to=2013-04-01&interval_s=1800"
    assert capsys.readouterr().out == f"m, 31 Mar 2013: 5.635 kWh in 46 intervals of 30 min\n  {png}\n  {svg}\n"
    assert png.read_bytes().startswith(b"\x89PNG")
    assert svg.read_bytes().startswith(b"<?xml")


def test_a_street_is_asked_for_once_too(platform, tmp_path, capsys, monkeypatch):
    drawn = []
    monkeypatch.setattr("ringmain.apps.report.figure.draw", lambda _, words: drawn.append(words))
    monkeypatch.setattr("ringmain.apps.report.figure.save", lambda *_: None)
    platform.answers["GET", STREET] = answer(DAY, homes=1200)
    assert run(["report", "street", "--site", "main", "--svg", str(tmp_path / "s.svg")]) == Exit.OK
    assert [target for _, target, *_ in platform.requests] == [f"{STREET}?channel=energy_wh&site=main"]
    assert drawn[0].title == "Load of the street, 1,200 homes"
    assert drawn[0].source.endswith("channel energy_wh of 1,200 homes.")


@pytest.mark.parametrize(
    ("subject", "drawn", "told"),
    [
        ("m", {"readings_from": None, "readings_to": None}, "m has no reading of energy_wh from 2013-03-31 .* none at"),
        ("m", {}, "up to, not including, 2013-04-01, and what there is lies in 2013-03-31 to 2013-03-31"),
        ("street", {"homes": 0}, "there is no home on the street"),
    ],
)
def test_nothing_is_drawn_of_nothing(subject, drawn, told, platform, tmp_path, capsys):
    for path in (DEVICE, STREET):
        platform.answers["GET", path] = answer(NOTHING, **drawn)
    assert run(["report", subject, "--png", str(tmp_path / "x.png")]) == Exit.REFUSED
    err = capsys.readouterr().err
    assert re.search(told, err), err
    assert "nothing was drawn" in err
    assert not (tmp_path / "x.png").exists()


def test_what_the_platform_refuses_is_told(platform, tmp_path, capsys):
    platform.answers["GET", "/api/v1/devices/x/load"] = (404, {"detail": "there is no device x", "hint": "look"})
    assert run(["report", "x", "--png", str(tmp_path / "x.png")]) == Exit.REFUSED
    assert capsys.readouterr().err == "ringmain: there is no device x\n  next: look\n"


def test_without_the_library_it_says_what_to_install(platform, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(command, "find_spec", lambda name: None if name == "matplotlib" else 1)
    assert run(["report", "m", "--png", str(tmp_path / "x.png")]) == Exit.UNAVAILABLE
    assert "pip install 'ringmain[report]'" in capsys.readouterr().err
    assert not platform.requests


def test_a_folder_that_is_not_there_is_told_before_the_platform_is_asked(platform, tmp_path, capsys):
    assert run(["report", "m", "--png", str(tmp_path / "no" / "x.png")]) == Exit.REFUSED
    assert f"there is no folder {tmp_path / 'no'}" in capsys.readouterr().err
    assert not platform.requests


def test_a_disk_that_is_full_is_told(platform, tmp_path, capsys, monkeypatch):
    def fill(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("ringmain.apps.report.figure.draw", lambda *_: None)
    monkeypatch.setattr("ringmain.apps.report.figure.save", fill)
    platform.answers["GET", DEVICE] = answer(DAY)
    assert run(["report", "m", "--png", str(tmp_path / "x.png")]) == Exit.UNAVAILABLE
    assert "x.png could not be written: No space left on device" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["report", "m"],
        ["report", "--png", "x.png"],
        ["report", "m", "--site", "main", "--png", "x.png"],
        ["report", "m", "--png", "x.png", "--from", "yesterday"],
        ["report", "m", "--png", "x.png", "--interval-s", "0"],
        ["report", "m", "--png", "."],
    ],
)
def test_usage(arguments, platform):
    assert run(arguments) == Exit.USAGE
    assert not platform.requests
