"""`ringmain bill`: amounts come out as they stand on the bill."""

import json

import pytest

from ringmain.apps.cli.exits import Exit
from ringmain.apps.cli.main import run

BILL = {"number": 7, "account": "home", "sha256": "00", "total": "599.66"}


def test_ls(platform, capsys: pytest.CaptureFixture[str]) -> None:
    platform.answers["GET", "/api/v1/bills"] = (200, {"items": [BILL], "next": None})
    assert run(["bill", "ls", "--account", "home", "-o", "csv"]) == Exit.OK
    assert capsys.readouterr().out == "number,account,sha256,total\n7,home,00,599.66\n"
    assert "account=home" in platform.requests[0][1]


def test_show(platform, capsys: pytest.CaptureFixture[str]) -> None:
    platform.answers["GET", "/api/v1/bills/7"] = (200, BILL)
    assert run(["bill", "show", "7", "-o", "json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["total"] == "599.66"


def test_show_for_people(platform, capsys: pytest.CaptureFixture[str]) -> None:
    line = {"description": "All day", "quantity": "4214.648", "unit": "kWh", "price": "0.14228", "amount": "599.66"}
    platform.answers["GET", "/api/v1/bills/7"] = (200, {**BILL, "coverage": {"present": 1}, "lines": [line]})
    assert run(["bill", "show", "7"]) == Exit.OK
    shown = capsys.readouterr().out.splitlines()
    assert shown[:5] == ["number   7", "account  home", "sha256   00", "total    599.66", ""]
    assert shown[6].split() == ["All", "day", "4214.648", "kWh", "0.14228", "599.66"]
    assert len(shown) == 7


def test_no_such_bill(platform, capsys: pytest.CaptureFixture[str]) -> None:
    platform.answers["GET", "/api/v1/bills/8"] = (404, {"detail": "There is no bill 8.", "hint": "see bill ls"})
    assert run(["bill", "show", "8"]) == Exit.REFUSED
    assert capsys.readouterr().err == "ringmain: There is no bill 8.\n  next: see bill ls\n"


@pytest.mark.parametrize("number", ["0", "-1", "x"])
def test_what_is_no_number(number: str, platform) -> None:
    assert run(["bill", "show", "--", number]) == Exit.USAGE
    assert not platform.requests
