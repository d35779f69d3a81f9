"""The buffer's file and its thread: what is committed is answered so, and nobody waits for ever."""

import asyncio
import contextlib
import os
import sqlite3
import threading

import pytest

from ringmain.adapters.embedded.buffer_file import BufferFile
from ringmain.adapters.embedded.buffer_room import PAGE_BYTES, Room
from ringmain.model.errors import Failed, Refused

INSERT = "INSERT INTO damaged (readings, body) VALUES (?, ?)"


@pytest.fixture
async def file(tmp_path):
    opened = BufferFile(tmp_path / "buffer.sqlite")
    opened.start()
    yield opened
    opened.close()
    opened.release()


def put(number: int, size: int = 1):
    return lambda connection: connection.execute(INSERT, (number, bytes(size))).lastrowid


async def until(condition) -> None:
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.005)


def count(connection: sqlite3.Connection) -> int:
    return connection.execute("SELECT count(*) FROM damaged").fetchone()[0]


async def test_a_refusal_takes_nothing_of_the_others_with_it(file):
    def refuse(connection):
        put(0)(connection)
        raise Refused("not_found", "gone")

    results = await asyncio.gather(file.run(put(1)), file.run(refuse), file.run(put(2)), return_exceptions=True)
    assert [type(result) for result in results] == [int, Refused, int]
    assert await file.run(count) == 2


@pytest.mark.parametrize(("code", "broken"), [(sqlite3.SQLITE_FULL, False), (sqlite3.SQLITE_IOERR, True)])
async def test_what_follows_a_commit_changes_no_answer(file, monkeypatch, code, broken):
    """Pages can not be given back on a full disk: that is no reason to say that nothing was taken."""
    tried = threading.Event()

    def fail(_):
        tried.set()
        error = sqlite3.OperationalError("fault")
        error.sqlite_errorcode = code
        raise error

    monkeypatch.setattr(BufferFile, "_next", lambda self, _: self._work.get())
    await file.run(put(1))
    monkeypatch.setattr(BufferFile, "_vacuum_wanted", fail)
    assert await file.run(put(2)) == 2
    await asyncio.to_thread(tried.wait, 5)
    if broken:
        await until(lambda: file.broken)
    else:
        assert await file.run(put(3)) == 3
        assert not file.broken


@pytest.mark.parametrize("error", [ZeroDivisionError, OverflowError])
async def test_a_fault_of_ours_breaks_the_file_and_leaves_nobody_waiting(file, error):
    def fault(_):
        raise error

    for _ in range(2):
        with pytest.raises(Failed) as failed:
            await asyncio.wait_for(file.run(fault), 5)
        assert failed.value.code == "storage_failed"
    assert file.broken


async def test_without_room_what_grows_is_refused_and_the_rest_goes_on(file, monkeypatch):
    monkeypatch.setattr(Room, "allocate", lambda self, pages: False)
    results = await asyncio.gather(
        file.run(put(1), grows=1), file.run(count), file.run(put(2), grows=9), return_exceptions=True
    )
    assert [getattr(result, "code", result) for result in results] == ["storage_full", 0, "storage_full"]
    assert not file.broken


async def test_what_follows_is_done_also_where_nobody_waits(file):
    followed = []
    waiting = asyncio.ensure_future(file.run(put(1), then=followed.append))
    await asyncio.sleep(0)
    waiting.cancel()
    await file.run(count)
    assert followed == [1]


async def test_freed_pages_are_not_written_again(file):
    """Deleting a row of a megabyte writes a few pages to the log, not two hundred and fifty."""
    offset = await file.run(put(1, 1 << 20), grows=1 << 20)
    with contextlib.closing(file.connect()) as other:
        other.execute("PRAGMA wal_checkpoint").fetchone()
        await file.run(lambda connection: connection.execute("DELETE FROM damaged WHERE offset = ?", (offset,)))
        _, pages, _ = other.execute("PRAGMA wal_checkpoint").fetchone()
    assert 0 < pages < 20


async def test_the_disk_has_the_pages_before_they_are_written(file):
    """Folding the log into the file can not fail for want of room then."""
    for _ in range(30):
        await file.run(put(1, 100_000), grows=100_000)
        assert os.fstat(file._room._descriptor).st_size >= file._pages * PAGE_BYTES
