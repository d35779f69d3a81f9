"""The local socket is its owner's alone."""

import stat

import pytest

from ringmain.apps.sockets import unix_socket


@pytest.mark.parametrize("depth", [1, 20])
def test_the_local_socket_is_for_its_owner_and_replaces_an_old_one(tmp_path, depth):
    folder = tmp_path.joinpath(*["a-folder"] * depth)
    folder.mkdir(parents=True)
    path = folder / "api.sock"
    unix_socket(path).close()
    assert path.exists()
    with unix_socket(path) as opened:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert stat.S_ISSOCK(path.stat().st_mode)
        assert opened.getblocking() is False
