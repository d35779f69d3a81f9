"""One suite over every home of the queue port."""

import asyncio
import shutil
import sqlite3

import pytest

from ringmain.adapters.embedded.queue import EmbeddedQueue
from ringmain.adapters.simulated.queue import SimulatedQueue
from ringmain.model.errors import Failed
from ringmain.ports.queue import NO_RECORDS


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


async def test_records_are_what_was_put_last_and_come_in_the_order_of_their_keys(make):
    queue = await make()
    assert await queue.append(b"", {b"s\2": b"two", b"s\1": b"one", b"q\1": b"other"}) == 0
    offset = await queue.append(b"x", {b"s\2": b"TWO", b"s\3": None})
    await queue.append(b"", {b"q\1": None})
    assert list(await queue.records(b"s")) == [(b"s\1", b"one"), (b"s\2", b"TWO")]
    assert list(await queue.records(b"q")) == []
    assert [entry.offset for entry in await queue.read(0, 1000)] == [offset]


async def test_a_prefix_finds_every_key_that_begins_with_it_and_no_other(make):
    queue = await make()
    keys = [b"r", b"r\0", b"r\xff\xff\xff\xff\xff\xff\xff", b"r\xff\xff\xff\xff\xff\xff\xff\xffz", b"q\xff", b"s"]
    await queue.append(b"", dict.fromkeys(keys, b"v"))
    assert [key for key, _ in await queue.records(b"r")] == sorted(key for key in keys if key.startswith(b"r"))
    assert len(await queue.records(b"")) == len(keys)


async def test_records_of_concurrent_appends_end_as_the_last_one_says(make):
    queue = await make()
    await asyncio.gather(*(queue.append(b"", {b"k": b"%d" % n}) for n in range(300)))
    assert list(await queue.records(b"k")) == [(b"k", b"299")]


async def test_records_alone_are_taken_at_the_limit_and_with_an_entry_they_are_not(make):
    queue = await make(limit_bytes=10)
    await queue.append(b"x" * 10)
    with pytest.raises(Failed) as refused:
        await queue.append(b"y", {b"k": b"with it"})
    assert refused.value.code == "storage_full"
    assert list(await queue.records(b"")) == []
    await queue.append(b"", {b"k": b"alone"})
    assert list(await queue.records(b"")) == [(b"k", b"alone")]


async def test_a_cut_leaves_records_alone(make):
    queue = await make()
    last = await queue.append(b"x", {b"k": b"v"})
    await queue.cut(last)
    assert list(await queue.records(b"k")) == [(b"k", b"v")]


class TestEmbedded:
    async def test_records_survive_a_restart(self, tmp_path):
        path = tmp_path / "log.sqlite"
        queue = await EmbeddedQueue.open(path, limit_bytes=1 << 20)
        await queue.append(b"x", {b"a": b"1", b"b": b"2"})
        await queue.append(b"", {b"a": None})
        await queue.close()
        again = await EmbeddedQueue.open(path, limit_bytes=1 << 20)
        assert list(await again.records(b"")) == [(b"b", b"2")]
        await again.close()

    @pytest.mark.parametrize("change", ["value = x'00'", "key = x'6262'"])
    async def test_a_flipped_bit_of_a_record_is_found(self, tmp_path, change):
        path = tmp_path / "log.sqlite"
        queue = await EmbeddedQueue.open(path, limit_bytes=1 << 20)
        await queue.append(b"", {b"b": b"precious"})
        await queue.close()
        with sqlite3.connect(path) as connection:
            connection.execute(f"UPDATE records SET {change}")
        connection.close()
        again = await EmbeddedQueue.open(path, limit_bytes=1 << 20)
        with pytest.raises(Failed, match="checksum"):
            await again.records(b"b")
        await again.close()

    async def test_an_entry_and_its_records_are_one_transaction(self, tmp_path):
        """What a process that is killed has left behind holds both or neither."""
        queue = await EmbeddedQueue.open(tmp_path / "log.sqlite", limit_bytes=1 << 20)
        statements = []

        class Connection:
            in_transaction = False

            def execute(self, statement, *_):
                statements.append(statement.split()[0])
                return self

            executemany = execute
            lastrowid = 7

        done = asyncio.get_running_loop().create_future()
        queue._commit(Connection(), [(b"body", {b"a": b"1", b"b": None}, done)])
        assert await done == 7
        assert statements == ["BEGIN", "DELETE", "INSERT", "INSERT", "COMMIT"]
        await queue.close()

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
        queue._commit(Broken(), [(b"lost", NO_RECORDS, done)])
        with pytest.raises(Failed, match="disk I/O error"):
            await done
        with pytest.raises(Failed, match="broken"):
            await queue.append(b"more")
        await queue.close()
