"""The client over a real Unix socket: what it sends, pages, problems, and nobody there."""

import socket
import stat
from pathlib import Path

import pytest

from ringmain.apps.cli.client import Client, NotRunning, device_path
from ringmain.apps.cli.exits import CommandError, Exit
from ringmain.apps.config import Config, Storage
from ringmain.model.ids import TenantId


@pytest.fixture
def config() -> Config:
    return Config()


def test_it_sends_the_administrators_token(platform, config: Config) -> None:
    platform.answers["GET", "/api/v1/x"] = (200, {"a": 1})
    with Client(config) as client:
        assert client.get("/api/v1/x", {"n": 5, "none": None}) == {"a": 1}
    method, path, headers, body = platform.requests[0]
    assert (method, path, body) == ("GET", "/api/v1/x?n=5", b"")
    assert headers["authorization"] == "Bearer rma_the-token"


def test_posts(platform, config: Config) -> None:
    platform.answers["POST", "/x"] = (201, {})
    with Client(config) as client:
        client.post("/x", {"a": 1})
        client.post("/x")
        client.post_csv("/x", "id\nä\n")
    assert [(headers["content-type"], body) for _, _, headers, body in platform.requests] == [
        ("application/json", b'{"a":1}'),
        ("application/json", b""),
        ("text/csv", "id\nä\n".encode()),
    ]


def test_an_empty_answer(platform, config: Config) -> None:
    platform.answers["POST", "/x"] = (204, b"")
    with Client(config) as client:
        assert client.post("/x") is None


def three_pages(query: dict[str, str]) -> tuple[int, object]:
    start = int(query.get("cursor", 0))
    end = min(start + min(int(query["limit"]), 4), 10)
    return 200, {"items": [{"n": n} for n in range(start, end)], "next": str(end) if end < 10 else None}


@pytest.mark.parametrize(("count", "items"), [(None, 10), (1, 1), (4, 4), (5, 5), (10, 10), (99, 10)])
def test_pages(platform, config: Config, count: int | None, items: int) -> None:
    platform.answers["GET", "/x"] = three_pages
    with Client(config) as client:
        assert [row["n"] for row in client.pages("/x", {}, count)] == list(range(items))


def test_a_problem_is_told_with_its_hint_and_place(platform, config: Config) -> None:
    platform.answers["GET", "/x"] = (422, {"detail": "no such thing", "hint": "do that", "path": "$.a"})
    with Client(config) as client, pytest.raises(CommandError) as caught:
        client.get("/x")
    assert (caught.value.exit_code, caught.value.detail, caught.value.hint) == (
        Exit.REFUSED,
        "no such thing (at $.a)",
        "do that",
    )


@pytest.mark.parametrize(
    ("status", "body", "detail", "code"),
    [
        (503, {"title": "Shutting down"}, "Shutting down", Exit.UNAVAILABLE),
        (502, b"<html>", "<html>", Exit.UNAVAILABLE),
        (400, {}, "the platform answered 400", Exit.REFUSED),
        (400, b"[]", "[]", Exit.REFUSED),
    ],
)
def test_other_answers(platform, config: Config, status: int, body: object, detail: str, code: Exit) -> None:
    platform.answers["GET", "/x"] = (status, body)
    with Client(config) as client, pytest.raises(CommandError) as caught:
        client.get("/x")
    assert (caught.value.exit_code, caught.value.detail) == (code, detail)


@pytest.mark.parametrize("lost", ["directory", "socket", "listener", "token"])
def test_nobody_there(lost: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = Config(storage=Storage(dir="data"))
    with socket.socket(socket.AF_UNIX) as left_behind:
        if lost != "directory":
            Path("data").mkdir()
        if lost in {"listener", "token"}:
            left_behind.bind("data/ringmain.sock")
        if lost == "token":
            left_behind.listen()
        with pytest.raises(NotRunning, match="no platform answers in data") as caught, Client(config):
            raise AssertionError("connected to nobody")
    assert caught.value.exit_code is Exit.UNAVAILABLE
    assert "ringmain up" in caught.value.hint


def test_a_platform_that_hangs_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data/identity").mkdir(parents=True)
    Path("data/identity/admin.token").write_text("t")
    Path("data/ringmain.lock").write_text("4711 ringmain up\n")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("data/ringmain.sock")
        listener.listen()
        with Client(Config(storage=Storage(dir="data"))) as client:
            accepted, _ = listener.accept()
            accepted.close()
            with pytest.raises(CommandError, match="whether it was done is not known") as caught:
                client.post("/x")
    assert "4711" in caught.value.hint


def test_a_directory_with_a_name_too_long_for_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = tmp_path / ("d" * 120)
    (deep / "identity").mkdir(parents=True)
    (deep / "identity" / "admin.token").write_text("t")
    monkeypatch.chdir(deep)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("ringmain.sock")
        listener.listen()
        with Client(Config(storage=Storage(dir=str(deep)))):
            assert listener.accept()[0].close() is None


@pytest.mark.parametrize(("id", "path"), [("m-1", "/api/v1/devices/m-1"), ("a/b?c", "/api/v1/devices/a%2Fb%3Fc")])
def test_device_path(id: str, path: str) -> None:
    assert device_path(id) == path
    assert device_path(id, "suspend") == f"{path}/suspend"


def test_another_tenants_token_is_asked_for_once(platform, config: Config) -> None:
    platform.answers["POST", "/api/v1/tenants/lab/tokens"] = (201, {"tenant": "lab", "token": "lab-token"})
    platform.answers["GET", "/x"] = (200, {})
    for _ in range(2):
        with Client(config, TenantId("lab")) as client:
            client.get("/x")
    asked = [(method, path, headers["authorization"]) for method, path, headers, _ in platform.requests]
    assert asked == [
        ("POST", "/api/v1/tenants/lab/tokens", "Bearer rma_the-token"),
        ("GET", "/x", "Bearer lab-token"),
        ("GET", "/x", "Bearer lab-token"),
    ]
    kept = platform.directory / "identity" / "tenants" / "lab.token"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_tenant_that_is_not_there(platform, config: Config) -> None:
    platform.answers["POST", "/api/v1/tenants/lab/tokens"] = (404, {"detail": "There is no tenant lab."})
    with pytest.raises(CommandError, match="There is no tenant lab"), Client(config, TenantId("lab")):
        raise AssertionError("signed in as nobody")
    assert not (platform.directory / "identity" / "tenants").exists()
