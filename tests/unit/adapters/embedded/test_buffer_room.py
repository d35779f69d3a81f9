"""Room on the disk: allocated before it is needed, and a disk that can not do that is used as it is."""

import errno
import os

import pytest

from ringmain.adapters.embedded import buffer_room
from ringmain.adapters.embedded.buffer_room import GROW_BYTES, LOG_BYTES, PAGE_BYTES, RESERVE_BYTES, Room, pages_of


@pytest.fixture
def room(tmp_path):
    path = tmp_path / "buffer.sqlite"
    path.write_bytes(bytes(PAGE_BYTES))
    opened = Room(path)
    opened.open()
    yield opened
    opened.close()


def refuse(monkeypatch, code: int, above: int = 0) -> list[int]:
    """`posix_fallocate` fails above a size; the sizes it was asked for."""
    asked = []

    def allocate(_descriptor, _offset, size):
        asked.append(size)
        if size > above:
            raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "posix_fallocate", allocate)
    return asked


def test_the_database_is_allocated_ahead_and_only_when_it_has_to_be(room, tmp_path, monkeypatch):
    assert room.allocate(10)
    size = (tmp_path / "buffer.sqlite").stat().st_size
    assert size >= 10 * PAGE_BYTES + GROW_BYTES
    asked = refuse(monkeypatch, errno.ENOSPC)
    assert room.allocate(size // PAGE_BYTES - buffer_room.SLACK_PAGES)
    assert asked == []


def test_near_the_end_of_the_disk_only_what_is_needed_is_asked_for(room, monkeypatch):
    needed = (10 + buffer_room.SLACK_PAGES) * PAGE_BYTES
    asked = refuse(monkeypatch, errno.ENOSPC, above=needed)
    assert room.allocate(10)
    assert asked == [needed + GROW_BYTES, needed]


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk(room, monkeypatch, code):
    refuse(monkeypatch, code)
    assert not room.allocate(10)


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EINVAL])
def test_a_disk_that_can_not_allocate_ahead(room, monkeypatch, code):
    refuse(monkeypatch, code)
    assert room.allocate(10)


def test_the_log_is_allocated_whole_and_keeps_what_is_in_it(room, tmp_path):
    log = tmp_path / "buffer.sqlite-wal"
    log.write_bytes(b"frames")
    room.allocate_log()
    assert log.read_bytes()[:6] == b"frames"
    assert log.stat().st_size == LOG_BYTES


def test_the_reserve_is_held_given_up_and_held_again(room, tmp_path, monkeypatch):
    reserve = tmp_path / "buffer.sqlite.reserve"
    assert reserve.stat().st_size == RESERVE_BYTES
    assert room.give_up_reserve()
    assert not room.give_up_reserve()
    room.keep_reserve()
    assert reserve.stat().st_size == RESERVE_BYTES
    room.give_up_reserve()
    monkeypatch.setattr(buffer_room, "RESERVE_BYTES", 1 << 60)
    room.keep_reserve()
    assert not reserve.exists(), "the last of a disk is not taken for a reserve"


def test_a_body_fits_the_pages_that_are_counted_for_it():
    for size in (0, 1, 4000, 4100, 1 << 20):
        assert pages_of(size) * (PAGE_BYTES - 4) >= size + PAGE_BYTES - 64
