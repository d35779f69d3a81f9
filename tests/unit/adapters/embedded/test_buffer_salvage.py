"""A damaged buffer: whatever happened to its file, it opens, gives every whole row and takes new ones."""

import asyncio
import contextlib
import random
import sqlite3
from pathlib import Path

import pytest
from tests.campaigns.small_disk import small_disk

from ringmain.adapters.embedded import buffer_salvage
from ringmain.adapters.embedded.buffer import EmbeddedBuffer
from ringmain.adapters.embedded.buffer_index import Facts
from ringmain.adapters.embedded.buffer_room import PAGE_BYTES
from ringmain.adapters.embedded.buffer_rows import insert
from ringmain.adapters.embedded.buffer_salvage import mark, salvage, suspect
from ringmain.adapters.embedded.buffer_schema import SCHEMA, connected, is_full
from ringmain.model.batch import FORMAT, Batch, block_of, encode_batch
from ringmain.model.errors import Failed
from ringmain.model.ids import Offset
from ringmain.ports.buffer import DROPPED_LETTERS, Dropped, SealedRow

FAR = 1 << 30
ROWS = 60
STARTS_MAX = 2
"""A page that is found damaged only when it is needed costs one more start."""


def body(n: int, chance: random.Random) -> bytes:
    values = [chance.getrandbits(60) for _ in range(n)]
    return encode_batch(Batch(FORMAT, 0, (block_of(("a",), [1] * n, range(n), values, exact=True),)))


@pytest.fixture(scope="module")
def _made(tmp_path_factory) -> tuple[bytes, dict[int, bytes]]:
    path = tmp_path_factory.mktemp("whole") / "buffer.sqlite"
    known = asyncio.run(make(path))
    return path.read_bytes(), known


async def make(path: Path) -> dict[int, bytes]:
    """A file with raw rows, a sealed one over many pages, and settled ones; and what is in it."""
    chance = random.Random(1)
    buffer = await EmbeddedBuffer.open(path)
    for _ in range(ROWS):
        await buffer.append(body(chance.choice([1, 5, 40, 400]), chance))
    rows = await buffer.read(Offset(0), FAR)
    chunk = SealedRow(sum(row.readings for row in rows[:20]), 1, 2, chance.randbytes(30_000))
    await buffer.replace([row.offset for row in rows[:20]], [chunk], [])
    await buffer.settle([row.offset for row in rows[20:25]])
    await buffer._settled.delete()
    known = {row.offset: row.body for row in await buffer.read(Offset(0), FAR)}
    await buffer.close()
    return known


@pytest.fixture
def made(_made, tmp_path):
    """(path of a file that is not written yet, whole bytes, rows)."""
    return tmp_path / "buffer.sqlite", bytearray(_made[0]), dict(_made[1])


def damage(data: bytearray, kind: str, chance: random.Random) -> None:
    page = chance.randrange(len(data) // PAGE_BYTES) * PAGE_BYTES
    if kind == "bits":
        for _ in range(20):
            data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
    elif kind == "head of a page":
        data[page + chance.randrange(16)] = chance.randrange(256)
    elif kind == "noise":
        data[page : page + PAGE_BYTES] = chance.randbytes(PAGE_BYTES)
    elif kind == "zeros":
        data[page : page + PAGE_BYTES] = bytes(PAGE_BYTES)
    else:
        del data[chance.randrange(1, len(data)) :]


async def opened(path: Path, known: dict[int, bytes]) -> EmbeddedBuffer:
    """The buffer after as many starts as it takes: it reads what it has and takes something new."""
    for _ in range(STARTS_MAX):
        buffer = await EmbeddedBuffer.open(path)
        try:
            await buffer.read(Offset(0), FAR)
            new = body(1, random.Random(2))
            known[await buffer.append(new)] = new
        except Failed:
            assert buffer._file.broken, "nobody would start it anew"
            await buffer.close()
        else:
            return buffer
    raise AssertionError(f"not usable after {STARTS_MAX} starts")


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["bits", "head of a page", "noise", "zeros", "cut"])
@pytest.mark.parametrize("seed", range(6))
async def test_damage_blocks_nobody_and_no_row_is_wrong(made, kind, seed):
    path, data, known = made
    damage(data, kind, random.Random(f"{kind} {seed}"))
    path.write_bytes(data)
    buffer = await opened(path, known)
    rows = await buffer.read(Offset(0), FAR)
    assert all(known.get(row.offset) == row.body for row in rows)
    await buffer.settle([row.offset for row in rows])
    assert buffer.status().rows == 0
    await buffer.close()


async def test_rows_around_a_damaged_page_are_saved_and_the_others_counted(made):
    path, data, known = made
    path.write_bytes(data)
    with sqlite3.connect(path) as connection:
        leaf = connection.execute(
            "SELECT pageno FROM dbstat WHERE name = 'rows' AND pagetype = 'leaf' ORDER BY path LIMIT 1 OFFSET 3"
        ).fetchone()[0]
    connection.close()
    data[(leaf - 1) * PAGE_BYTES : leaf * PAGE_BYTES] = bytes([255]) * PAGE_BYTES
    path.write_bytes(data)
    buffer = await EmbeddedBuffer.open(path)
    status = buffer.status()
    assert len(known) - 10 < status.rows < len(known), "rows before and behind the page"
    assert status.taken == status.readings + status.settled + sum(each.count for each in status.dropped)
    assert {(each.device, each.reason) for each in status.dropped} == {("", "damaged")}
    assert await buffer.append(body(1, random.Random(3))) > max(known), "offsets are never given twice"
    await buffer.close()
    assert bytes([255]) * PAGE_BYTES in path.with_name("buffer.sqlite.damaged-0").read_bytes(), "kept as it was"
    assert not mark(path).exists()


@pytest.mark.slow
async def test_a_file_that_is_no_database_is_put_aside(tmp_path):
    path = tmp_path / "buffer.sqlite"
    path.write_bytes(b"not a database" * 1000)
    buffer = await EmbeddedBuffer.open(path)
    assert buffer.status().rows == 0
    await buffer.append(body(1, random.Random(1)))
    await buffer.close()
    assert path.with_name("buffer.sqlite.damaged-0").read_bytes() == b"not a database" * 1000
    again = await EmbeddedBuffer.open(path)
    assert again.status().rows == 1
    await again.close()


async def test_a_row_whose_words_were_changed_is_no_whole_row(made):
    path, data, known = made
    path.write_bytes(data)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE rows SET last_ms = last_ms + 1 WHERE offset = ?", (max(known),))
    connection.close()
    buffer = await EmbeddedBuffer.open(path)
    assert max(known) not in {row.offset for row in await buffer.read(Offset(0), FAR)}
    await buffer.close()


async def test_whole_files_are_left_alone(made):
    path, data, _ = made
    path.write_bytes(data)
    salvage(path)
    assert path.read_bytes() == data
    assert list(path.parent.iterdir()) == [path]


async def test_a_suspected_file_that_is_whole_loses_nothing(made):
    path, data, known = made
    path.write_bytes(data)
    suspect(path)
    buffer = await EmbeddedBuffer.open(path)
    assert {row.offset: row.body for row in await buffer.read(Offset(0), FAR)} == known
    assert buffer.status().dropped == ()
    await buffer.close()


async def test_dropped_letters_hide_no_reading_that_is_lost(made):
    path, data, known = made
    path.write_bytes(data)
    with sqlite3.connect(path) as connection:
        (lost,) = connection.execute("SELECT readings FROM rows WHERE offset = ?", (max(known),)).fetchone()
        connection.execute("DELETE FROM rows WHERE offset = ?", (max(known),))
        connection.execute("INSERT INTO dropped VALUES ('m1', ?, ?)", (DROPPED_LETTERS, lost))
    connection.close()
    suspect(path)
    buffer = await EmbeddedBuffer.open(path)
    assert set(buffer.status().dropped) == {Dropped("m1", DROPPED_LETTERS, lost), Dropped("", "damaged", lost)}
    await buffer.close()


async def test_a_crash_between_the_renames_is_finished_at_the_next_start(made, monkeypatch):
    path, data, known = made
    path.write_bytes(data)
    suspect(path)
    real = Path.rename

    def crash(self, target):
        if self.suffix == ".salvaged":
            raise OSError("power cut")
        return real(self, target)

    monkeypatch.setattr(Path, "rename", crash)
    with pytest.raises(OSError, match="power cut"):
        salvage(path)
    monkeypatch.undo()
    path.with_name("buffer.sqlite-wal").write_bytes(b"of the damaged one")
    buffer = await EmbeddedBuffer.open(path)
    assert {row.offset: row.body for row in await buffer.read(Offset(0), FAR)} == known
    await buffer.close()


async def test_the_copy_is_one_file_and_whole_before_the_damaged_one_is_moved(made, monkeypatch):
    path, data, known = made
    path.write_bytes(data)
    suspect(path)
    saved, seen = path.with_name("buffer.sqlite.salvaged"), []
    books = buffer_salvage._copy_books

    def copy_books(old, new, readings):
        seen.extend(saved.with_name(saved.name + part).exists() for part in ("-wal", "-shm"))
        return books(old, new, readings)

    monkeypatch.setattr(buffer_salvage, "_copy_books", copy_books)
    salvage(path)
    assert seen == [False, False], "rows in a log are not in the file that is renamed"
    with sqlite3.connect(path) as connection:
        assert {offset for (offset,) in connection.execute("SELECT offset FROM rows")} == set(known)
    connection.close()


async def test_a_disk_without_room_for_the_copy_leaves_the_damaged_file_where_it_is(made, monkeypatch):
    path, data, known = made
    path.write_bytes(data)
    suspect(path)

    def no_room(*_):
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    monkeypatch.setattr(buffer_salvage, "_copy_books", no_room)
    with pytest.raises(Failed) as failed:
        await EmbeddedBuffer.open(path)
    assert failed.value.code == "storage_full"
    assert path.read_bytes() == data
    assert not path.with_name("buffer.sqlite.salvaged").exists(), "half a copy takes what the disk has left"
    monkeypatch.undo()
    buffer = await EmbeddedBuffer.open(path)
    assert {row.offset: row.body for row in await buffer.read(Offset(0), FAR)} == known
    await buffer.close()


@pytest.mark.needs("root")
@pytest.mark.parametrize("share", [0.5, 0.9, 1.5, 2.5])
def test_whatever_room_the_disk_has_no_row_is_lost(tmp_path, share):
    """With that share of the file left: where the rows fit once they are there, else the old file is as it was."""
    mib = 8
    size = int(mib * (1 + share) * (1 << 20)) + (1 << 20)
    with small_disk(tmp_path / "disk", str(size)) as disk:
        path = disk / "buffer.sqlite"
        with contextlib.closing(connected(path, "full", "delete")) as new:
            for statement in SCHEMA:
                new.execute(statement)
            new.execute("BEGIN")
            rows = 0
            while path.stat().st_size < (mib - 1) << 20:
                noise = random.Random(rows).randbytes(200_000)
                insert(new, Facts(True, 1, 0, 0, len(noise)), noise)
                rows += 1
            new.execute("COMMIT")
        suspect(path)
        if share > 0.8:
            salvage(path)
        else:
            with pytest.raises(sqlite3.OperationalError) as full:
                salvage(path)
            assert is_full(full.value)
            assert mark(path).exists(), "tried again at the next start"
        for name in ("-wal", "-shm"):
            assert not path.with_name(path.name + name).exists()
        with contextlib.closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT count(*) FROM rows").fetchone() == (rows,)


@pytest.mark.slow
async def test_files_put_aside_do_not_pile_up(tmp_path, monkeypatch):
    monkeypatch.setattr(buffer_salvage, "ASIDE_MAX", 2)
    path = tmp_path / "buffer.sqlite"
    for _ in range(2):
        path.write_bytes(b"nothing" * 999)
        await (await EmbeddedBuffer.open(path)).close()
    path.write_bytes(b"nothing" * 999)
    with pytest.raises(Failed, match="replace the disk"):
        await EmbeddedBuffer.open(path)
    assert path.read_bytes() == b"nothing" * 999
