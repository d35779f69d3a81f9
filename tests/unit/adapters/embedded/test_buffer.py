"""The buffer's file: what a restart finds, a row that is damaged, a disk that is full, a sync that fails."""

import sqlite3

import pytest

from ringmain.adapters.embedded import buffer_file
from ringmain.adapters.embedded.buffer import EmbeddedBuffer
from ringmain.model.batch import FORMAT, Batch, block_of, encode_batch
from ringmain.model.errors import Failed
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


async def test_a_file_that_is_no_database_is_said_in_words(path):
    path.write_bytes(b"not a database" * 100)
    with pytest.raises(Failed) as failed:
        await EmbeddedBuffer.open(path)
    assert failed.value.code == "storage_failed"
    assert path.read_bytes() == b"not a database" * 100


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
    assert reserve.stat().st_size == buffer_file.RESERVE_BYTES
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


async def test_the_file_gives_its_pages_back(path):
    buffer = await EmbeddedBuffer.open(path)
    offsets = [await buffer.append(body(*range(at, at + 5000))) for at in range(200)]
    full = buffer.status()
    await buffer.settle(offsets)
    await buffer._delete()
    for _ in range(20):
        await buffer.append(body(1))
    empty = buffer.status()
    assert empty.used_bytes < full.used_bytes / 5
    assert empty.file_bytes < full.file_bytes / 2
    await buffer.close()


async def test_cost_of_an_append_is_not_that_of_what_is_held(path):
    """The statements that an append runs do not grow with the rows; the index's look-ups are bisections."""
    buffer = await EmbeddedBuffer.open(path)
    for at in range(300):
        offset = await buffer.append(body(at))
        await buffer.replace([offset], [SealedRow(1, at, at, b"c" * 50)], [])
    assert len(await buffer.read(Offset(0), 100, sealed=True)) == 2
    assert len(buffer._recent) == 0
    await buffer.close()
