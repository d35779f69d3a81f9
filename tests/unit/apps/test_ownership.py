"""One owner per directory, told by name; and listeners that can not be opened, told with the way out."""

import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ringmain.apps.ownership import LOCK_NAME, Owned, own, owner_of, port_error
from ringmain.model.errors import Failed


def test_the_second_is_told_who_the_first_is(tmp_path: Path) -> None:
    with own(tmp_path, "ringmain up"), pytest.raises(Owned) as caught:
        own(tmp_path)
    assert caught.value.owner is not None
    assert caught.value.owner.pid == os.getpid()
    assert f"process {os.getpid()} (ringmain up)" in caught.value.detail
    assert f"kill {os.getpid()}" in caught.value.hint
    assert "RINGMAIN_STORAGE__DIR" in caught.value.hint


def test_the_lock_ends_with_release(tmp_path: Path) -> None:
    first = own(tmp_path)
    first.release()
    first.release()
    own(tmp_path, "a longer command than the one before it").release()
    own(tmp_path, "short").release()
    assert (tmp_path / LOCK_NAME).read_text() == f"{os.getpid()} short\n"


@pytest.mark.slow
def test_the_lock_ends_with_a_killed_process_and_binds_others(tmp_path: Path) -> None:
    program = (
        "import sys, time; from pathlib import Path; from ringmain.apps.ownership import own;"
        "lock = own(Path(sys.argv[1]), 'other'); print('locked', flush=True); time.sleep(60)"
    )
    other = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE)
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"locked\n"
        with pytest.raises(Owned, match=f"process {other.pid} \\(other\\)"):
            own(tmp_path)
        other.kill()
        other.wait()
        own(tmp_path).release()


def test_a_child_does_not_inherit_the_lock(tmp_path: Path) -> None:
    first = own(tmp_path)
    with subprocess.Popen(["sleep", "60"], close_fds=False) as child:
        first.release()
        own(tmp_path).release()
        child.kill()


def test_the_directory_is_for_its_owner_alone(tmp_path: Path) -> None:
    own(tmp_path / "deep" / "data").release()
    assert stat.S_IMODE((tmp_path / "deep" / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "deep" / "data" / LOCK_NAME).stat().st_mode) == 0o600


def test_a_directory_that_can_not_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Failed, match="can not be used") as caught:
        own(tmp_path / "file")
    assert caught.value.code == "storage_failed"
    assert "storage.dir" in caught.value.hint


@pytest.mark.parametrize("content", ["", "not a pid\n", "-", "\xff"])
def test_a_lock_file_that_says_nothing(tmp_path: Path, content: str) -> None:
    (tmp_path / LOCK_NAME).write_text(content, encoding="latin-1")
    assert owner_of(tmp_path) is None


def test_no_lock_file(tmp_path: Path) -> None:
    assert owner_of(tmp_path) is None


def test_a_lock_of_someone_who_left_no_name(tmp_path: Path) -> None:
    with own(tmp_path):
        (tmp_path / LOCK_NAME).write_text("")
        with pytest.raises(Owned, match="in use by another process"):
            own(tmp_path)


def opening(host: str, port: int) -> OSError:
    with socket.socket() as listener, pytest.raises(OSError) as caught:
        listener.bind((host, port))
    return caught.value


def test_a_taken_port() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        error = port_error(opening("127.0.0.1", port), host="127.0.0.1", port=port, key="mqtt.tls_port")
    assert error.detail == f"port {port} on 127.0.0.1 is already taken"
    assert all(word in error.hint for word in ("mqtt.tls_port", "RINGMAIN_MQTT__TLS_PORT", f"sport = :{port}"))


def test_an_address_of_another_machine() -> None:
    error = port_error(opening("192.0.2.1", 0), host="192.0.2.1", port=0, key="http.port")
    assert "192.0.2.1 is no address of this machine" in error.detail
    assert "http.host" in error.hint


def test_a_port_for_root_alone() -> None:
    error = port_error(PermissionError(13, "Permission denied"), host="127.0.0.1", port=80, key="http.port")
    assert "may not open port 80" in error.detail
    assert "above 1023" in error.hint


def test_any_other_trouble() -> None:
    error = port_error(OSError(24, "Too many open files"), host="127.0.0.1", port=80, key="http.port")
    assert "Too many open files" in error.detail
