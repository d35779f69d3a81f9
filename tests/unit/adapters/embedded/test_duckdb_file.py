"""The owner of a DuckDB file: every fault that such a file is known to have, provoked for real."""

import asyncio
import os
import shutil
import threading

import duckdb
import pytest
from tests.campaigns.small_disk import small_disk

from ringmain.adapters.embedded.duckdb_faults import failure_of
from ringmain.adapters.embedded.duckdb_file import READERS, DuckDbFile, transaction
from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.model.errors import Failed


class Numbers:
    """A table of numbers in a file; it remembers how often it was opened."""

    def __init__(self, path, memory_mib=64):
        self.opened = 0
        self.file = DuckDbFile(path, SimulatedClock(), self.prepare, memory_mib=memory_mib, threads=1)

    def prepare(self, connection):
        self.opened += 1
        connection.execute("CREATE TABLE IF NOT EXISTS numbers (n BIGINT, text VARCHAR)")
        if self.opened == 1 and not self.file.wal_bytes() > 1000:
            connection.execute("CHECKPOINT store")

    async def add(self, n, text=""):
        await self.file.write(
            lambda connection: transaction(
                connection, lambda c: c.execute("INSERT INTO numbers VALUES (?, ?)", [n, text])
            )
        )

    async def all(self):
        return await self.file.read(lambda c: [n for (n,) in c.execute("SELECT n FROM numbers ORDER BY n").fetchall()])


@pytest.fixture
def path(tmp_path):
    return tmp_path / "data" / "numbers.duckdb"


@pytest.fixture
async def numbers(path):
    numbers = Numbers(path)
    await numbers.file.open()
    yield numbers
    await numbers.file.close()


async def crashed(numbers, tmp_path):
    """A copy of the files as a process leaves them that is killed now."""
    shutil.copytree(numbers.file.path.parent, tmp_path / "crashed")
    return Numbers(tmp_path / "crashed" / "numbers.duckdb")


def test_nothing_is_touched_before_it_is_opened(path):
    before = threading.active_count()
    Numbers(path)
    assert not path.parent.exists()
    assert threading.active_count() == before


async def test_a_second_owner_is_refused_and_told_why(numbers, path):
    with pytest.raises(Failed) as refusal:
        await Numbers(path).file.open()
    assert refusal.value.code == "unavailable"
    assert "open in another process" in refusal.value.detail
    await numbers.add(1)
    assert await numbers.all() == [1]


async def test_the_writer_and_the_readers_are_threads_with_names(numbers):
    def name(_):
        return threading.current_thread().name

    assert await numbers.file.write(name) == "timeseries-writer"
    assert (await numbers.file.read(name)).startswith("timeseries-reader")


async def test_it_reads_no_other_file_and_loads_no_extension(numbers, tmp_path):
    other = tmp_path / "other.csv"
    other.write_text("secret\n1\n")
    with pytest.raises(Failed, match="Permission"):
        await numbers.file.read(lambda c: c.execute(f"SELECT * FROM read_csv('{other}')").fetchall())
    for setting, value in (
        ("enable_external_access", "false"),
        ("autoinstall_known_extensions", "false"),
        ("autoload_known_extensions", "false"),
        ("temp_directory", str(numbers.file.path.parent / "timeseries-temp")),
        ("memory_limit", "64.0 MiB"),
        ("threads", "1"),
    ):
        found = await numbers.file.read(lambda c, s=setting: c.execute(f"SELECT current_setting('{s}')").fetchall())
        assert str(found[0][0]).lower() == value.lower()


async def test_the_file_can_be_read_by_the_oldest_duckdb_that_is_supported(numbers):
    tags = await numbers.file.read(
        lambda c: c.execute("SELECT tags FROM duckdb_databases() WHERE database_name = 'store'").fetchall()
    )
    assert tags[0][0]["storage_version"].startswith("v1.4")


async def test_a_failed_transaction_leaves_nothing_and_the_file_goes_on(numbers):
    def fail(connection):
        connection.execute("INSERT INTO numbers VALUES (1, '')")
        raise ValueError("halfway")

    with pytest.raises(ValueError, match="halfway"):
        await numbers.file.write(lambda connection: transaction(connection, fail))
    assert numbers.opened == 2
    await numbers.add(2)
    assert await numbers.all() == [2]


async def test_a_query_that_needs_too_much_memory_fails_alone(numbers):
    query = "SELECT length(list(i)) FROM range(30000000) t(i)"
    with pytest.raises(Failed) as failure:
        await numbers.file.read(lambda c: c.execute(query).fetchall())
    assert failure.value.code in {"unavailable", "storage_full"}
    assert numbers.opened == 1
    await numbers.add(1)
    assert await numbers.all() == [1]


async def test_readers_do_not_wait_for_the_writer(numbers):
    await numbers.add(1)
    begun, go_on = threading.Event(), threading.Event()

    def slow(connection):
        connection.execute("INSERT INTO numbers VALUES (2, '')")
        begun.set()
        assert go_on.wait(20)

    writing = asyncio.create_task(numbers.file.write(lambda connection: transaction(connection, slow)))
    await asyncio.to_thread(begun.wait, 20)
    assert await numbers.all() == [1]
    go_on.set()
    await writing
    assert await numbers.all() == [1, 2]


async def test_readers_run_side_by_side(numbers):
    together = threading.Barrier(READERS, timeout=20)
    await asyncio.gather(*(numbers.file.read(lambda _: together.wait()) for _ in range(READERS)))


@pytest.mark.slow
async def test_reopening_interrupts_long_queries_instead_of_waiting_for_them(numbers):
    endless = "SELECT count(*) FROM range(10000000) a, range(10000000) b WHERE hash(a.range + b.range) = 1"
    running = threading.Event()

    def job(cursor):
        running.set()
        return cursor.execute(endless).fetchall()

    reading = asyncio.create_task(numbers.file.read(job))
    await asyncio.to_thread(running.wait, 20)
    await asyncio.sleep(0.2)
    await numbers.file.write(lambda _: numbers.file.reopen())
    with pytest.raises(Failed):
        await reading
    await numbers.add(1)
    assert await numbers.all() == [1]


async def test_a_checkpoint_folds_the_wal_in_beside_open_queries(numbers):
    await numbers.add(1)
    assert numbers.file.wal_bytes() > 0
    begun, go_on = threading.Event(), threading.Event()

    def slow(cursor):
        cursor.execute("BEGIN")
        cursor.execute("SELECT * FROM numbers").fetchall()
        begun.set()
        assert go_on.wait(20)
        cursor.execute("COMMIT")

    reading = asyncio.create_task(numbers.file.read(slow))
    await asyncio.to_thread(begun.wait, 20)
    done = await numbers.file.write(numbers.file.checkpoint)
    assert done is (numbers.file.wal_bytes() == 0)
    go_on.set()
    await reading
    assert await numbers.file.write(numbers.file.checkpoint) is True
    assert numbers.file.wal_bytes() == 0
    assert await numbers.all() == [1]


class Refusing:
    """A connection whose checkpoint fails."""

    def __init__(self, error):
        self.error = error

    def execute(self, statement):
        raise self.error


def test_a_checkpoint_that_others_forbid_is_put_off_and_one_that_breaks_the_file_is_not(path):
    file = Numbers(path).file
    assert file.checkpoint(Refusing(duckdb.TransactionException("there are other transactions"))) is False
    with pytest.raises(duckdb.TransactionException):
        file.checkpoint(Refusing(duckdb.TransactionException("database has been invalidated")))


async def test_closing_folds_the_wal_in_and_later_calls_are_refused(path):
    numbers = Numbers(path)
    await numbers.file.open()
    await numbers.add(1)
    await numbers.file.close()
    assert sorted(each.name for each in path.parent.iterdir()) == ["numbers.duckdb"]
    for late in (numbers.add(2), numbers.all()):
        with pytest.raises(Failed) as refusal:
            await late
        assert refusal.value.code == "shutting_down"
    await numbers.file.close()
    again = Numbers(path)
    await again.file.open()
    assert await again.all() == [1]
    await again.file.close()


@pytest.mark.slow
@pytest.mark.parametrize("cut", [1, 7, 60, 200])
async def test_a_torn_tail_of_the_wal_opens_with_whole_transactions(numbers, tmp_path, cut):
    for n in range(10):
        await numbers.add(n, "x" * 50)
    copy = await crashed(numbers, tmp_path)
    size = copy.file.wal_bytes()
    with copy.file.wal.open("r+b") as wal:
        wal.truncate(size - cut)
    await copy.file.open()
    found = await copy.all()
    assert found == list(range(len(found)))
    assert 0 < len(found) < 10
    await copy.add(99)
    await copy.file.close()


async def damage(numbers, tmp_path, place):
    """Ten transactions behind a checkpoint, and a bit of the WAL that holds them flipped."""
    await numbers.add(1)
    await numbers.file.write(numbers.file.checkpoint)
    for n in range(2, 12):
        await numbers.add(n, "x" * 50)
    copy = await crashed(numbers, tmp_path)
    damaged = bytearray(copy.file.wal.read_bytes())
    damaged[place(damaged)] ^= 0x10
    copy.file.wal.write_bytes(damaged)
    await copy.file.open()
    return copy, damaged


@pytest.mark.slow
async def test_a_flipped_bit_in_the_wal_sets_it_aside_and_opens_at_the_checkpoint(numbers, tmp_path, caplog):
    copy, damaged = await damage(numbers, tmp_path, lambda wal: wal.index(b"x" * 50, len(wal) // 2) + 25)
    assert await copy.all() == [1]
    (aside,) = copy.file.path.parent.glob("*.unreadable-*")
    assert aside.read_bytes() == damaged
    assert "could not be replayed" in caplog.text
    await copy.add(2)
    await copy.file.close()


@pytest.mark.slow
@pytest.mark.parametrize("place", [0, 9, 0.1, 0.33, 0.5, 0.77, 0.9])
async def test_wherever_a_bit_flips_whole_transactions_from_the_checkpoint_on_are_there(numbers, tmp_path, place):
    copy, _ = await damage(numbers, tmp_path, lambda wal: place if isinstance(place, int) else int(len(wal) * place))
    found = await copy.all()
    assert found == list(range(1, 1 + len(found)))
    assert found
    await copy.add(99)
    await copy.file.close()


async def test_a_ruined_file_keeps_its_wal_where_it_was(numbers, tmp_path):
    await numbers.add(1)
    copy = await crashed(numbers, tmp_path)
    wal = copy.file.wal.read_bytes()
    copy.file.path.write_bytes(b"not a database " * 1000)
    with pytest.raises(Failed) as failure:
        await copy.file.open()
    assert failure.value.code == "storage_failed"
    assert copy.file.wal.read_bytes() == wal
    assert not list(copy.file.path.parent.glob("*.unreadable-*"))


@pytest.mark.slow
async def test_memory_is_given_back_at_a_checkpoint(path):
    numbers = Numbers(path, memory_mib=256)
    await numbers.file.open()

    def used(connection):
        return connection.execute("SELECT sum(memory_usage_bytes) FROM duckdb_memory()").fetchall()[0][0]

    fill = "INSERT INTO numbers SELECT hash(i) % 1000000007, md5(i::VARCHAR) FROM range(1000000) t(i)"
    await numbers.file.write(lambda c: c.execute(fill) and None)
    assert await numbers.file.write(numbers.file.checkpoint)
    await numbers.file.read(lambda c: c.execute("SELECT count(*) FROM numbers WHERE text LIKE '%ff%'").fetchall())
    assert await numbers.file.read(used) > 20 << 20
    await numbers.add(1)
    assert await numbers.file.write(numbers.file.checkpoint)
    assert await numbers.file.read(used) < 18 << 20
    limit = await numbers.file.read(lambda c: c.execute("SELECT current_setting('memory_limit')").fetchall())
    assert limit == [("256.0 MiB",)]
    await numbers.file.close()


@pytest.fixture(name="small_disk")
def disk_that_is_soon_full(tmp_path):
    with small_disk(tmp_path / "small", "4m") as at:
        yield at


@pytest.mark.slow
@pytest.mark.needs("root")
async def test_a_full_disk_is_told_and_the_file_goes_on_by_itself_once_there_is_room(small_disk):
    ballast = small_disk / "somebody-elses"
    ballast.write_bytes(bytes(2 << 20))
    numbers = Numbers(small_disk / "numbers.duckdb")
    await numbers.file.open()
    kept = []
    with pytest.raises(Failed) as failure:
        for n in range(1000):
            await numbers.add(n, os.urandom(20_000).hex())
            kept.append(n)
    assert failure.value.code == "storage_full"
    assert kept
    ballast.unlink()
    await numbers.add(5000)
    assert [n for n in await numbers.all() if n in kept] == kept
    assert 5000 in await numbers.all()
    await numbers.file.close()


@pytest.mark.needs("root")
async def test_a_checkpoint_on_a_full_disk_loses_nothing(small_disk):
    ballast = small_disk / "somebody-elses"
    numbers = Numbers(small_disk / "numbers.duckdb")
    await numbers.file.open()
    for n in range(20):
        await numbers.add(n, os.urandom(20_000).hex())
    free = os.statvfs(small_disk)
    ballast.write_bytes(bytes(free.f_bavail * free.f_frsize - 8192))
    with pytest.raises(Failed) as failure:
        await numbers.file.write(numbers.file.checkpoint)
    assert failure.value.code == "storage_full"
    ballast.unlink()
    assert await numbers.all() == list(range(20))
    assert await numbers.file.write(numbers.file.checkpoint)
    await numbers.file.close()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (duckdb.IOException("Could not set lock on file"), "unavailable"),
        (duckdb.TransactionException("Failed to commit: No space left on device"), "storage_full"),
        (duckdb.OutOfMemoryException("failed to pin"), "unavailable"),
        (duckdb.FatalException("database has been invalidated"), "storage_failed"),
    ],
)
def test_faults_become_failures_that_say_what_to_do(tmp_path, error, code):
    failure = failure_of(error, tmp_path)
    assert failure.code == code
    assert failure.detail
    assert failure.hint
