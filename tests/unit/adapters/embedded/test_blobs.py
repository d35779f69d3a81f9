"""Documents on a disk: a failed write leaves the old one, names are no paths, nobody else may read them."""

import stat

import pytest

from ringmain.adapters.embedded import blobs
from ringmain.adapters.embedded.blobs import EmbeddedBlobs, write_durably
from ringmain.model.errors import Failed


@pytest.mark.parametrize("name", ["", "../x", "a/b", "A", "x" * 65, ".\n"])
async def test_a_name_is_no_path(tmp_path, name):
    with pytest.raises(ValueError, match="can not name"):
        await EmbeddedBlobs(tmp_path).get(name)


async def test_a_write_that_fails_leaves_the_old_one(tmp_path, monkeypatch):
    home = EmbeddedBlobs(tmp_path / "d")
    await home.put("a", b"old")

    def full(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(blobs.os, "fsync", full)
    with pytest.raises(Failed) as failed:
        await home.put("a", b"new")
    assert failed.value.code == "storage_full"
    assert await home.get("a") == b"old"
    monkeypatch.undo()
    await home.put("a", b"newer")
    assert await home.get("a") == b"newer"
    assert sorted(path.name for path in (tmp_path / "d").iterdir()) == ["a"]


def test_for_its_owner_alone_and_synced_before_it_is_renamed(tmp_path, monkeypatch):
    done = []
    fsync, rename = blobs.os.fsync, type(tmp_path).rename
    monkeypatch.setattr(blobs.os, "fsync", lambda fd: (done.append("sync"), fsync(fd))[1])
    monkeypatch.setattr(type(tmp_path), "rename", lambda self, to: (done.append("rename"), rename(self, to))[1])
    write_durably(tmp_path / "deep" / "er" / "a", b"secret")
    assert done == ["sync", "rename", "sync"]
    assert stat.S_IMODE((tmp_path / "deep" / "er" / "a").stat().st_mode) == 0o600


def test_a_directory_that_is_a_file_is_said_in_words(tmp_path):
    (tmp_path / "d").write_text("")
    with pytest.raises(Failed) as failed:
        write_durably(tmp_path / "d" / "a", b"")
    assert failed.value.code == "storage_failed"
