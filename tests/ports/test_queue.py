"""One suite over every home of the queue port."""

import asyncio
import shutil
import sqlite3

import pytest

from ringmain.adapters.embedded.queue import EmbeddedQueue
from ringmain.adapters.simulated.queue import SimulatedQueue
from ringmain.model.errors import Failed


@pytest.fixture(params=["embedded", "simulated"])
async def make(request, tmp_path):
    opened = []

    async def open_queue(limit_bytes=1 << 20):
        if request.param == "simulated":
            queue = SimulatedQueue(limit_bytes=limit_bytes)
        else:
            queue = await EmbeddedQueue.open(tmp_path / "log.sqlite", limit_bytes=limit_bytes)
        opened.append(queue)
        return queue

    yield open_queue
    for queue in opened:
        await queue.close()


async def test_an_empty_log_has_nothing_to_read(make):
    queue = await make()
    assert list(await queue.read(0, 1000)) == []
    status = await queue.status()
    assert (status.first, status.last, status.bytes) == (0, 0, 0)


async def test_entries_come_back_in_order_behind_an_offset(make):
    queue = await make()
    offsets = [await queue.append(bytes([n]) * 10) for n in range(20)]
    assert offsets == sorted(set(offsets))
    read = await queue.read(offsets[4], 1 << 20)
    assert [entry.offset for entry in read] == offsets[5:]
    assert [entry.body for entry in read] == [bytes([n]) * 10 for n in range(5, 20)]


async def test_a_read_stops_once_it_has_enough_but_gives_at_least_one(make):
    queue = await make()
    for _ in range(5):
        await queue.append(b"x" * 100)
    assert len(await queue.read(0, 1)) == 1
    assert len(await queue.read(0, 250)) == 3


async def test_concurrent_appends_all_become_durable_with_offsets_of_their_own(make):
    queue = await make()
    offsets = await asyncio.gather(*(queue.append(f"{n}".encode()) for n in range(500)))
    assert len(set(offsets)) == 500
    bodies = {entry.offset: entry.body for entry in await queue.read(0, 1 << 20)}
    assert [bodies[offset] for offset in offsets] == [f"{n}".encode() for n in range(500)]


async def test_at_the_limit_nothing_is_taken_and_after_a_cut_there_is_room(make):
    queue = await make(limit_bytes=1000)
    last = 0
    for _ in range(10):
        last = await queue.append(b"x" * 100)
    with pytest.raises(Failed) as refused:
        await queue.append(b"x")
    assert refused.value.code == "storage_full"
    assert len(await queue.read(0, 1 << 20)) == 10
    await queue.acknowledge("store", last)
    await queue.cut(last)
    assert (await queue.status()).bytes == 0
    assert await queue.append(b"y") == last + 1


async def test_a_cut_never_passes_the_slowest_group(make):
    queue = await make()
    for _ in range(10):
        await queue.append(b"x")
    await queue.acknowledge("fast", 10)
    await queue.acknowledge("slow", 3)
    await queue.cut(10)
    assert [entry.offset for entry in await queue.read(0, 1000)] == list(range(4, 11))


async def test_a_cursor_never_goes_back(make):
    queue = await make()
    await queue.append(b"x")
    await queue.acknowledge("store", 5)
    await queue.acknowledge("store", 2)
    assert (await queue.status()).groups == {"store": 5}


async def test_wait_returns_as_soon_as_there_is_more(make):
    queue = await make()
    waiting = asyncio.ensure_future(queue.wait(0))
    await asyncio.sleep(0.01)
    assert not waiting.done()
    await queue.append(b"x")
    await asyncio.wait_for(waiting, 1)
    await asyncio.wait_for(queue.wait(0), 1)


class TestEmbedded:
    async def test_everything_survives_a_restart(self, tmp_path):
        path = tmp_path / "log.sqlite"
        queue = await EmbeddedQueue.open(path, limit_bytes=1 << 20)
        for n in range(10):
            await queue.append(bytes([n]))
        await queue.acknowledge("store", 4)
        await queue.cut(4)
        await queue.close()
        again = await EmbeddedQueue.open(path, limit_bytes=1 << 20)
        assert [entry.body for entry in await again.read(0, 1000)] == [bytes([n]) for n in range(4, 10)]
        assert (await again.status()).groups == {"store": 4}
        assert await again.append(b"next") == 11
        await again.close()

    async def test_offsets_go_on_after_everything_was_cut(self, tmp_path):
        path = tmp_path / "log.sqlite"
        queue = await EmbeddedQueue.open(path, limit_bytes=1 << 20)
        await queue.append(b"x")
        await queue.cut(1)
        await queue.close()
        again = await EmbeddedQueue.open(path, limit_bytes=1 << 20)
        assert await again.append(b"y") == 2
        await again.close()

    async def test_what_a_killed_process_left_unsynced_is_synced_before_it_is_read(self, tmp_path):
        """Found by the simulation: killed before the sync, read and stored after the start, gone with the power."""
        queue = await EmbeddedQueue.open(tmp_path / "log.sqlite", limit_bytes=1 << 20)
        await queue.append(b"left behind")
        killed = tmp_path / "killed"
        killed.mkdir()
        for name in ("log.sqlite", "log.sqlite-wal"):
            shutil.copy(tmp_path / name, killed / name)
        await queue.close()
        assert (killed / "log.sqlite-wal").stat().st_size > 0
        again = await EmbeddedQueue.open(killed / "log.sqlite", limit_bytes=1 << 20)
        assert (killed / "log.sqlite-wal").stat().st_size == 0
        assert [entry.body for entry in await again.read(0, 1000)] == [b"left behind"]
        await again.close()

    async def test_older_entries_are_read_from_disk(self, tmp_path, monkeypatch):
        monkeypatch.setattr("ringmain.adapters.embedded.queue.RECENT_BYTES_MAX", 100)
        queue = await EmbeddedQueue.open(tmp_path / "log.sqlite", limit_bytes=1 << 20)
        for n in range(50):
            await queue.append(bytes([n]) * 10)
        assert len(await queue.read(0, 1 << 20)) == 50
        assert len(await queue.read(48, 1 << 20)) == 2
        await queue.close()

    async def test_a_flipped_bit_is_found(self, tmp_path):
        path = tmp_path / "log.sqlite"
        queue = await EmbeddedQueue.open(path, limit_bytes=1 << 20)
        await queue.append(b"precious")
        await queue.close()
        with sqlite3.connect(path) as connection:
            connection.execute("UPDATE entries SET body = x'00'")
        connection.close()
        again = await EmbeddedQueue.open(path, limit_bytes=1 << 20)
        with pytest.raises(Failed, match="checksum"):
            await again.read(0, 1000)
        await again.close()

    async def test_a_file_that_is_no_log_is_refused(self, tmp_path):
        path = tmp_path / "log.sqlite"
        path.write_bytes(b"certainly not a database" * 100)
        with pytest.raises(Failed, match="not a database"):
            await EmbeddedQueue.open(path, limit_bytes=1 << 20)

    async def test_an_io_error_breaks_the_log_for_good(self, tmp_path):
        queue = await EmbeddedQueue.open(tmp_path / "log.sqlite", limit_bytes=1 << 20)
        await queue.append(b"kept")

        class Broken:
            in_transaction = False

            def execute(self, *_):
                error = sqlite3.OperationalError("disk I/O error")
                error.sqlite_errorcode = sqlite3.SQLITE_IOERR
                raise error

        done = asyncio.get_running_loop().create_future()
        queue._commit(Broken(), [(b"lost", done)])
        with pytest.raises(Failed, match="disk I/O error"):
            await done
        with pytest.raises(Failed, match="broken"):
            await queue.append(b"more")
        await queue.close()
