"""The buffer's file: what a restart finds, a row that is damaged, a disk that is full, a sync that fails."""

import asyncio
import sqlite3

import pytest

from ringmain.adapters.embedded import buffer_file, buffer_room
from ringmain.adapters.embedded.buffer import EmbeddedBuffer
from ringmain.model.batch import FORMAT, Batch, block_of, encode_batch
from ringmain.model.errors import Failed, Refused
from ringmain.model.ids import DeviceId, Offset
from ringmain.ports.buffer import Dropped, SealedRow

FAR = 1 << 30


def body(*stamps: int) -> bytes:
    return encode_batch(
        Batch(FORMAT, 0, (block_of(("a_wh",), [1] * len(stamps), stamps, [7] * len(stamps), exact=True),))
    )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "buffer.sqlite"


async def test_a_restart_finds_rows_and_books(path):
    buffer = await EmbeddedBuffer.open(path)
    first, second, _ = [await buffer.append(body(at, at + 1)) for at in range(3)]
    await buffer.settle([first])
    await buffer.replace([second], [SealedRow(1, 1, 1, b"chunk")], [Dropped(DeviceId("m"), "downsampled", 1)])
    before, rows = buffer.status(), await buffer.read(Offset(0), FAR)
    await buffer.close()
    again = await EmbeddedBuffer.open(path)
    after = again.status()
    assert [row.body for row in await again.read(Offset(0), FAR)] == [row.body for row in rows]
    for name in ("first", "last", "rows", "readings", "bytes", "sealed_rows", "taken", "settled", "dropped"):
        assert getattr(after, name) == getattr(before, name), name
    assert (after.taken, after.settled) == (6, 2)
    assert await again.append(body(9)) > after.last, "offsets are never given twice"
    await again.close()


async def test_what_was_settled_and_not_yet_deleted_comes_back_uncounted(path):
    """A crash in the second between: the row goes again, and the books stay right."""
    buffer = await EmbeddedBuffer.open(path)
    offset = await buffer.append(body(1, 2))
    await buffer.settle([offset])
    other = sqlite3.connect(path)
    assert other.execute("SELECT count(*) FROM rows").fetchone() == (1,)
    assert other.execute("SELECT name, value FROM totals").fetchall() == [("taken", 2)]
    other.close()
    await buffer.close()
    again = await EmbeddedBuffer.open(path)
    assert (again.status().rows, again.status().settled) == (0, 2)
    await again.close()


async def test_a_damaged_row_is_put_aside_and_blocks_nobody(path):
    buffer = await EmbeddedBuffer.open(path)
    offsets = [await buffer.append(body(at)) for at in range(3)]
    await buffer.close()
    with sqlite3.connect(path) as other:
        other.execute("UPDATE rows SET body = ? WHERE offset = ?", (b"x" * 20, offsets[1]))
    other.close()
    again = await EmbeddedBuffer.open(path)
    assert [row.offset for row in await again.read(Offset(0), FAR)] == [offsets[0], offsets[2]]
    status = again.status()
    assert status.rows == 2
    assert status.dropped == (Dropped(DeviceId(""), "damaged", 1),)
    assert status.taken == status.readings + 1
    await again.close()
    with sqlite3.connect(path) as other:
        assert other.execute("SELECT offset, body FROM damaged").fetchall() == [(offsets[1], b"x" * 20)]
    other.close()


async def test_a_place_that_can_not_be_used_is_said_in_words(path):
    path.mkdir()
    with pytest.raises(Failed) as failed:
        await EmbeddedBuffer.open(path)
    assert failed.value.code == "storage_failed"
    assert str(path) in failed.value.detail


class _Faulty:
    """A connection whose COMMIT fails as it is told."""

    def __init__(self, connection, faults):
        self._connection = connection
        self._faults = faults

    def execute(self, statement, *parameters):
        if statement == "COMMIT" and self._faults:
            error = sqlite3.OperationalError("fault")
            error.sqlite_errorcode = self._faults.pop(0)
            raise error
        return self._connection.execute(statement, *parameters)

    def __getattr__(self, name):
        return getattr(self._connection, name)


async def faulty(path, monkeypatch, faults):
    plain = buffer_file.BufferFile.connect
    monkeypatch.setattr(buffer_file.BufferFile, "connect", lambda self: _Faulty(plain(self), faults))
    return await EmbeddedBuffer.open(path)


async def test_a_full_disk_takes_nothing_gives_up_its_reserve_and_goes_on(path, monkeypatch):
    faults: list[int] = []
    buffer = await faulty(path, monkeypatch, faults)
    reserve = path.with_name("buffer.sqlite.reserve")
    assert reserve.stat().st_size == buffer_room.RESERVE_BYTES
    faults += [sqlite3.SQLITE_FULL]
    await buffer.append(body(1))
    assert buffer.status().rows == 1, "with the reserve it went"
    faults += [sqlite3.SQLITE_FULL] * 2
    with pytest.raises(Failed) as failed:
        await buffer.append(body(2))
    assert failed.value.code == "storage_full"
    assert buffer.status().taken == 1
    await buffer.append(body(3))
    assert [row.first_ms for row in await buffer.read(Offset(0), FAR)] == [1, 3]
    await buffer.close()


async def test_after_any_other_error_nothing_is_written_any_more(path, monkeypatch):
    faults: list[int] = []
    buffer = await faulty(path, monkeypatch, faults)
    await buffer.append(body(1))
    faults += [sqlite3.SQLITE_IOERR]
    for _ in range(2):
        with pytest.raises(Failed) as failed:
            await buffer.append(body(2))
        assert failed.value.code == "storage_failed"
    assert buffer.status().rows == 1
    await buffer.close()


@pytest.mark.slow
async def test_the_file_gives_its_pages_back(path):
    buffer = await EmbeddedBuffer.open(path)
    offsets = [await buffer.append(body(*range(at, at + 5000))) for at in range(200)]
    full = buffer.status()
    await buffer.settle(offsets)
    await buffer._settled.delete()
    for _ in range(20):
        await buffer.append(body(1))
    empty = buffer.status()
    assert empty.used_bytes < full.used_bytes / 5
    assert empty.file_bytes < full.file_bytes / 2
    await buffer.close()


@pytest.mark.slow
async def test_cost_of_an_append_is_not_that_of_what_is_held(path):
    """The statements that an append runs do not grow with the rows; the index's look-ups are bisections."""
    buffer = await EmbeddedBuffer.open(path)
    for at in range(300):
        offset = await buffer.append(body(at))
        await buffer.replace([offset], [SealedRow(1, at, at, b"c" * 50)], [])
    assert len(await buffer.read(Offset(0), 100, sealed=True)) == 2
    assert len(buffer._recent) == 0
    await buffer.close()


async def test_a_row_that_is_settled_while_it_is_replaced_counts_once(path):
    """The platform answers for a row at the moment in which it is sealed: it goes up again, sealed."""
    buffer = await EmbeddedBuffer.open(path)
    offset = await buffer.append(body(1, 2))
    replacing = asyncio.ensure_future(buffer.replace([offset], [SealedRow(2, 1, 2, b"chunk")], []))
    await asyncio.sleep(0)
    await buffer.settle([offset])
    with pytest.raises(Refused):
        await buffer.replace([offset], [], [Dropped(DeviceId("m"), "drop_oldest", 2)])
    (fresh,) = await replacing
    status = buffer.status()
    assert (status.rows, status.readings, status.settled, status.dropped) == (1, 2, 0, ())
    await buffer.settle([fresh])
    assert buffer.status().settled == 2
    await buffer.close()
    again = await EmbeddedBuffer.open(path)
    assert (again.status().rows, again.status().taken, again.status().settled) == (0, 2, 2)
    await again.close()


async def test_rows_that_the_file_does_not_have_replace_nothing(path):
    """The index says they are there, the file that they are not: the file is right, and nothing is changed."""
    buffer = await EmbeddedBuffer.open(path)
    first, second = [await buffer.append(body(at)) for at in range(2)]
    await buffer._file.run(lambda connection: connection.execute("DELETE FROM rows WHERE offset = ?", (first,)))
    with pytest.raises(Refused):
        await buffer.replace([first, second], [SealedRow(2, 1, 2, b"chunk")], [Dropped(DeviceId("m"), "x", 1)])
    assert [row.offset for row in await buffer.read(first, FAR)] == [second]
    assert buffer.status().dropped == ()
    await buffer.close()


async def test_what_nobody_waits_for_any_more_is_there_all_the_same(path):
    buffer = await EmbeddedBuffer.open(path)
    appending = asyncio.ensure_future(buffer.append(body(1)))
    await asyncio.sleep(0)
    appending.cancel()
    await buffer.append(body(2))
    assert [row.first_ms for row in await buffer.read(Offset(0), FAR)] == [1, 2]
    assert buffer.status().taken == 2
    await buffer.close()


async def test_a_damaged_row_blocks_nobody_on_a_full_disk_either(path, monkeypatch):
    buffer = await EmbeddedBuffer.open(path)
    offsets = [await buffer.append(body(at)) for at in range(3)]
    await buffer.close()
    with sqlite3.connect(path) as other:
        other.execute("UPDATE rows SET body = ? WHERE offset = ?", (b"x" * 20, offsets[1]))
    other.close()
    again = await EmbeddedBuffer.open(path)
    monkeypatch.setattr(buffer_room.Room, "allocate", lambda self, pages: False)
    for _ in range(2):
        assert [row.offset for row in await again.read(Offset(0), FAR)] == [offsets[0], offsets[2]]
    assert again.status().dropped == (Dropped(DeviceId(""), "damaged", 1),)
    await again.close()


async def test_room_in_the_file_is_used_below_the_watermark_of_the_disk(path):
    """What goes into free pages takes nothing of the disk, so it need not stay free for it."""
    buffer = await EmbeddedBuffer.open(path)
    offsets = [await buffer.append(body(*range(2000))) for _ in range(8)]
    await buffer.settle(offsets)
    await buffer._settled.delete()
    buffer.limit(0, 1 << 60)
    await buffer.append(body(1))
    with pytest.raises(Failed) as failed:
        await buffer.append(body(*range(60_000)))
    assert failed.value.code == "storage_full"
    await buffer.close()
