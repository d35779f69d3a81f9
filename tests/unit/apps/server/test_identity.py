"""First start, every later one, each crash in between, and what must never be made anew."""

import stat
from pathlib import Path

import pytest
from cryptography import x509

from ringmain.apps.config import Config, Storage
from ringmain.apps.server import identity as room
from ringmain.apps.server.identity import DIRECTORY, load_or_create
from ringmain.model.errors import Failed
from ringmain.model.time import DAY_MS

NOW = 1_767_225_600_000  # 2026-01-01T00:00:00Z
FILES = {"pepper", "ca.key", "ca.pem", "server.key", "server.pem", "admin.token"}


def names_of(path: Path) -> set[str]:
    cert = x509.load_pem_x509_certificate(path.read_bytes())
    return {str(name.value) for name in cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value}


def contents(storage: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (storage / DIRECTORY).iterdir()}


def test_the_first_start_makes_everything_for_its_owner_alone(tmp_path: Path) -> None:
    made = load_or_create(tmp_path, NOW)
    assert made.created
    assert set(contents(tmp_path)) == FILES
    assert stat.S_IMODE((tmp_path / DIRECTORY).stat().st_mode) == 0o700
    assert {stat.S_IMODE((tmp_path / DIRECTORY / name).stat().st_mode) for name in FILES} == {0o600}
    assert len(made.pepper) == 32
    assert made.admin_token_path == Config(storage=Storage(dir=str(tmp_path))).admin_token_path
    assert made.admin_token_path.read_text() == made.admin_token + "\n"
    assert len(made.admin_token) > 40
    assert names_of(made.cert_path) == {"localhost", "127.0.0.1", "::1"}
    assert made.cert_expires_ms == NOW + 397 * DAY_MS


def test_later_starts_change_nothing(tmp_path: Path) -> None:
    first, before = load_or_create(tmp_path, NOW), contents(tmp_path)
    again = load_or_create(tmp_path, NOW + 300 * DAY_MS)
    assert not again.created
    assert (again.pepper, again.admin_token) == (first.pepper, first.admin_token)
    assert contents(tmp_path) == before


def test_a_wide_open_directory_is_closed(tmp_path: Path) -> None:
    (tmp_path / DIRECTORY).mkdir(mode=0o755)
    load_or_create(tmp_path, NOW)
    assert stat.S_IMODE((tmp_path / DIRECTORY).stat().st_mode) == 0o700


@pytest.mark.parametrize(("days", "renewed"), [(366, False), (367, True), (500, True), (-10, True)])
def test_the_certificate_is_renewed_a_month_before_its_end(tmp_path: Path, days: int, renewed: bool) -> None:
    load_or_create(tmp_path, NOW)
    before = contents(tmp_path)
    load_or_create(tmp_path, NOW + days * DAY_MS + (1 if renewed else -1))
    after = contents(tmp_path)
    changed = {name for name in FILES if after[name] != before[name]}
    assert changed == ({"server.key", "server.pem"} if renewed else set())


def test_a_new_name_makes_a_new_certificate(tmp_path: Path) -> None:
    load_or_create(tmp_path, NOW)
    named = load_or_create(tmp_path, NOW, ["meter.example", "192.0.2.1"])
    assert names_of(named.cert_path) == {"localhost", "127.0.0.1", "::1", "meter.example", "192.0.2.1"}
    before = contents(tmp_path)
    load_or_create(tmp_path, NOW, ["192.0.2.1"])
    assert contents(tmp_path) == before, "a name less is no reason"


@pytest.mark.parametrize("damage", ["ca", "server", "swapped", "garbage"])
def test_a_certificate_that_does_not_fit_is_replaced(tmp_path: Path, damage: str) -> None:
    load_or_create(tmp_path, NOW)
    load_or_create(tmp_path / "other", NOW)
    here, other = tmp_path / DIRECTORY, tmp_path / "other" / DIRECTORY
    if damage == "ca":  # signed by another CA
        for name in ("server.key", "server.pem"):
            (here / name).write_bytes((other / name).read_bytes())
    elif damage == "swapped":  # a crash between the two files of a renewal
        (here / "server.key").write_bytes((other / "server.key").read_bytes())
    elif damage == "garbage":
        (here / "server.pem").write_bytes(b"not PEM")
    else:
        (here / "server.key").unlink()
    before = contents(tmp_path)
    load_or_create(tmp_path, NOW)
    after = contents(tmp_path)
    assert after["server.pem"] != before["server.pem"]
    assert {name: after[name] for name in ("ca.pem", "pepper")} == {name: before[name] for name in ("ca.pem", "pepper")}


class PowerCut(BaseException):
    """The machine stops here."""


@pytest.mark.parametrize("writes", range(6))
@pytest.mark.parametrize("half_written", [False, True])
def test_a_crash_during_the_first_start_is_finished_by_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int, half_written: bool
) -> None:
    real, left = room._write, writes

    def write(path: Path, content: bytes) -> None:
        nonlocal left
        if left == 0:
            if half_written:
                path.with_name(path.name + ".unfinished").write_bytes(content[:5])
            raise PowerCut
        left -= 1
        real(path, content)

    monkeypatch.setattr(room, "_write", write)
    with pytest.raises(PowerCut):
        load_or_create(tmp_path, NOW)
    monkeypatch.undo()
    finished = load_or_create(tmp_path, NOW)
    assert set(contents(tmp_path)) == FILES
    assert load_or_create(tmp_path, NOW).pepper == finished.pepper


@pytest.mark.parametrize("lost", ["pepper", "ca.key"])
def test_what_others_depend_on_is_never_made_anew(tmp_path: Path, lost: str) -> None:
    load_or_create(tmp_path, NOW)
    (tmp_path / DIRECTORY / lost).unlink()
    before = contents(tmp_path)
    with pytest.raises(Failed, match=f"{lost} is missing") as caught:
        load_or_create(tmp_path, NOW)
    assert "backup" in caught.value.hint
    assert contents(tmp_path) == before


@pytest.mark.parametrize("content", [b"", b"00" * 31, b"zz" * 32, b"\xff"])
def test_a_damaged_pepper(tmp_path: Path, content: bytes) -> None:
    load_or_create(tmp_path, NOW)
    (tmp_path / DIRECTORY / "pepper").write_bytes(content)
    with pytest.raises(Failed, match="damaged"):
        load_or_create(tmp_path, NOW)


def test_a_ca_key_of_another_ca(tmp_path: Path) -> None:
    load_or_create(tmp_path, NOW)
    load_or_create(tmp_path / "other", NOW)
    (tmp_path / DIRECTORY / "ca.key").write_bytes((tmp_path / "other" / DIRECTORY / "ca.key").read_bytes())
    with pytest.raises(Failed, match=r"ca\.key is missing or damaged"):
        load_or_create(tmp_path, NOW)


def test_a_removed_admin_token_is_made_anew(tmp_path: Path) -> None:
    """The way to change it: remove the file and start again."""
    first = load_or_create(tmp_path, NOW)
    first.admin_token_path.unlink()
    assert load_or_create(tmp_path, NOW).admin_token != first.admin_token


def test_a_full_disk_is_told_as_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", fsync)
    with pytest.raises(Failed, match="No space left"):
        load_or_create(tmp_path, NOW)


def test_secrets_do_not_show(tmp_path: Path) -> None:
    made = load_or_create(tmp_path, NOW)
    for shown in (repr(made), str(made), f"{made}"):
        assert made.admin_token not in shown
        assert repr(made.pepper) not in shown


def test_every_file_is_synced_before_its_name_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    real_rename, real_fsync = Path.rename, room.os.fsync
    monkeypatch.setattr(Path, "rename", lambda self, to: (calls.append("rename"), real_rename(self, to))[1])
    monkeypatch.setattr("os.fsync", lambda descriptor: (calls.append("fsync"), real_fsync(descriptor))[1])
    load_or_create(tmp_path, NOW)
    assert calls == ["fsync", "rename", "fsync"] * len(FILES)
