"""`ringmain device`: against a platform that answers, and, for import and add, without one."""

import io
import json
import sqlite3
from pathlib import Path

import pytest

from ringmain.apps.cli.exits import Exit
from ringmain.apps.cli.main import run
from ringmain.apps.ownership import own

DEVICE = {"id": "m-1", "profile": "meter", "state": "active", "site": "main", "created_at": "c", "state_since": "s"}


@pytest.fixture
def alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, clean_environment: None) -> Path:
    """No platform runs here."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def typed(monkeypatch: pytest.MonkeyPatch, text: bytes) -> None:
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(text)))


def test_ls(platform, capsys: pytest.CaptureFixture[str]) -> None:
    platform.answers["GET", "/api/v1/devices"] = (200, {"items": [DEVICE], "next": None})
    assert run(["device", "ls", "--state", "active"]) == Exit.OK
    assert capsys.readouterr().out == "id   profile  state   site  state_since\nm-1  meter    active  main  s\n"
    assert "state=active" in platform.requests[0][1]


def test_show(platform, capsys: pytest.CaptureFixture[str]) -> None:
    platform.answers["GET", "/api/v1/devices/m-1"] = (200, DEVICE)
    platform.answers["GET", "/api/v1/devices/m-1/session"] = (200, {"state": "online"})
    platform.answers["GET", "/api/v1/devices/m-1/latest"] = (200, {"items": [{"value": 1}]})
    assert run(["device", "show", "m-1", "-o", "json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out) == {**DEVICE, "session": {"state": "online"}, "latest": [{"value": 1}]}


@pytest.mark.parametrize("verb", ["activate", "suspend", "decommission"])
def test_moves(verb: str, platform, capsys: pytest.CaptureFixture[str]) -> None:
    platform.answers["POST", f"/api/v1/devices/m-1/{verb}"] = (200, DEVICE)
    yes = ["--yes"] if verb == "decommission" else []
    assert run(["device", verb, "m-1", "-o", "csv", *yes]) == Exit.OK
    assert capsys.readouterr().out.splitlines()[1] == "m-1,meter,active,main,s"


def test_the_first_of_two_has_moved_when_the_second_is_refused(platform, capsys: pytest.CaptureFixture[str]) -> None:
    platform.answers["POST", "/api/v1/devices/m-1/suspend"] = (200, DEVICE)
    platform.answers["POST", "/api/v1/devices/m-2/suspend"] = (409, {"detail": "cannot", "hint": "activate it"})
    assert run(["device", "suspend", "m-1", "m-2", "-o", "jsonl"]) == Exit.REFUSED
    told = capsys.readouterr()
    assert json.loads(told.out) == DEVICE
    assert told.err == "ringmain: cannot\n  next: activate it\n"


@pytest.mark.parametrize(("answer", "code"), [(b"y\n", Exit.OK), (b"n\n", Exit.INTERRUPTED), (b"", Exit.INTERRUPTED)])
def test_decommission_asks(answer: bytes, code: Exit, platform, monkeypatch: pytest.MonkeyPatch) -> None:
    platform.answers["POST", "/api/v1/devices/m-1/decommission"] = (200, DEVICE)
    typed(monkeypatch, answer)
    assert run(["device", "decommission", "m-1"]) == code
    assert len(platform.requests) == (code is Exit.OK)


@pytest.mark.parametrize("verb", ["provision", "token"])
def test_tokens_are_printed_once(verb: str, platform, capsys: pytest.CaptureFixture[str]) -> None:
    platform.answers["POST", f"/api/v1/devices/m-1/{verb}"] = (200, {"device": DEVICE, "token": "T"})
    assert run(["device", verb, "m-1", "-o", "json"]) == Exit.OK
    assert json.loads(capsys.readouterr().out)["token"] == "T"


def test_import_goes_to_the_running_platform(platform, capsys: pytest.CaptureFixture[str]) -> None:
    result = {"created": 2, "unchanged": 1, "profiles_created": ["p"], "tokens": [{"id": "b", "token": "T"}]}
    platform.answers["POST", "/api/v1/devices/import"] = (200, result)
    Path("f.csv").write_text("id,profile\nb,p\n")
    assert run(["device", "import", "f.csv"]) == Exit.OK
    told = capsys.readouterr()
    assert told.out == "id,token\nb,T\n"
    assert "devices made: 2; there already, unchanged: 1" in told.err
    assert "profile p" in told.err
    assert platform.requests[0][3] == b"id,profile\nb,p\n"


def test_add_quotes_what_csv_must_quote(platform) -> None:
    platform.answers["POST", "/api/v1/devices/import"] = (422, {"detail": "no name"})
    assert run(["device", "add", 'a,"b', "--token", "x,y"]) == Exit.REFUSED
    assert platform.requests[0][3] == b'id,profile,token\n"a,""b",generic,"x,y"\n'


@pytest.mark.slow
def test_import_without_a_platform(
    alone: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typed(monkeypatch, b"id,profile,token\nm-1,meter,own-token\nm-2,meter,\n")
    assert run(["--set", "site.zone=Europe/London", "device", "import", "-"]) == Exit.OK
    told = capsys.readouterr()
    header, line = told.out.splitlines()
    assert header == "id,token"
    assert line.startswith("m-2,")
    assert "devices made: 2" in told.err
    assert "admin.token" in told.err, "the first start says where the identity is"
    with sqlite3.connect(alone / "ringmain-data" / "registry.sqlite") as database:
        assert database.execute("SELECT id, state FROM devices ORDER BY id").fetchall() == [
            ("m-1", "active"),
            ("m-2", "active"),
        ]
        assert database.execute("SELECT zone FROM sites").fetchall() == [("Europe/London",)]
    database.close()
    assert run(["device", "add", "m-1", "--profile", "meter", "--token", "own-token"]) == Exit.OK
    told = capsys.readouterr()
    assert told.out == ""
    assert "devices made: 0; there already, unchanged: 1" in told.err
    assert "admin.token" not in told.err


@pytest.mark.slow
def test_import_refuses_while_someone_owns_the_directory_and_does_not_answer(
    alone: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with own(alone / "ringmain-data", "ringmain up"):
        assert run(["device", "add", "m-1"]) == Exit.UNAVAILABLE
    assert "is in use by process" in capsys.readouterr().err


@pytest.mark.slow
def test_a_file_with_problems_imports_nothing(alone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("f.csv").write_text("id,profile\ngood,meter\nbad id,meter\n")
    assert run(["device", "import", "f.csv"]) == Exit.REFUSED
    assert "line 3, id" in capsys.readouterr().err


def test_a_file_that_is_not_utf8(alone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("f.csv").write_bytes(b"id,profile\nz\xe4hler,meter\n")
    assert run(["device", "import", "f.csv"]) == Exit.REFUSED
    assert "f.csv, line 2: not UTF-8" in capsys.readouterr().err
    assert not (alone / "ringmain-data").exists()


def test_a_file_that_is_not_there(alone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["device", "import", "none.csv"]) == Exit.USAGE
    assert "none.csv" in capsys.readouterr().err


@pytest.mark.parametrize("verb", [["ls"], ["show", "x"], ["suspend", "x"], ["activate", "x"], ["provision", "x"]])
def test_the_others_need_a_platform(verb: list[str], alone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["device", *verb]) == Exit.UNAVAILABLE
    assert "ringmain up" in capsys.readouterr().err
    assert not (alone / "ringmain-data").exists()


@pytest.mark.parametrize("tenant", ["../../etc", "", "a/b", "x" * 65])
def test_a_tenant_has_a_name(tenant: str, alone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--tenant", tenant, "device", "ls"]) == Exit.USAGE
    assert "--tenant" in capsys.readouterr().err


@pytest.mark.slow
def test_import_into_a_tenant_that_is_not_there(alone: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["--tenant", "lab", "device", "add", "m-1"]) == Exit.REFUSED
    assert "lab" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ([], {"activate": True}),
        (["--ttl-s", "3600"], {"activate": True, "ttl_s": 3600}),
        (["--no-activate"], {"activate": False}),
    ],
)
def test_claim(options: list[str], wanted: object, platform, capsys: pytest.CaptureFixture[str]) -> None:
    platform.answers["POST", "/api/v1/devices/m-1/claims"] = (201, {"claim": "rmc_x", "expires_at": "e"})
    assert run(["device", "claim", "m-1", "-o", "json", *options]) == Exit.OK
    assert json.loads(capsys.readouterr().out) == {"id": "m-1", "claim": "rmc_x", "expires_at": "e"}
    assert [json.loads(body) for *_, body in platform.requests] == [wanted]


def test_claim_of_a_device_that_is_registered_with_it(platform, capsys: pytest.CaptureFixture[str]) -> None:
    platform.answers["POST", "/api/v1/devices"] = (201, DEVICE)
    platform.answers["POST", "/api/v1/devices/m-1/claims"] = (201, {"claim": "rmc_x", "expires_at": "e"})
    assert run(["device", "claim", "m-1", "--profile", "meter", "-o", "csv"]) == Exit.OK
    assert capsys.readouterr().out.splitlines()[1] == "m-1,rmc_x,e"
    assert json.loads(platform.requests[0][3]) == {"id": "m-1", "profile": "meter"}
