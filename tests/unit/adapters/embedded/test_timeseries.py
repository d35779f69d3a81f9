"""The embedded time-series store where it is more than its port: crashes, checkpoints, bounded costs."""

import ast
import logging
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

import ringmain.adapters.embedded.timeseries as module
from ringmain.adapters.embedded import timeseries_aggregate
from ringmain.adapters.embedded.timeseries import FILE_NAME, EmbeddedTimeSeries, open_timeseries
from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.model.batch import FORMAT, Batch, block_of, encode_batch
from ringmain.model.errors import Failed
from ringmain.model.time import DAY_MS, HOUR_MS, INSTANT_MAX, Interval
from ringmain.ports.queue import Entry

T0 = 1_700_000_000_000 - 1_700_000_000_000 % DAY_MS
EVER = Interval(0, INSTANT_MAX)


class Hours:
    """Hours in UTC; it fails when it is told to."""

    def __init__(self):
        self.fail = False

    def windows(self, device, at_ms):
        if self.fail:
            raise ValueError("no plan today")
        start = at_ms - at_ms % HOUR_MS
        return (("1h", start, start + HOUR_MS),)


async def open_at(directory, plan=None):
    return await open_timeseries(directory, plan or Hours(), SimulatedClock(), memory_mib=128, threads=1)


@pytest.fixture
async def store(tmp_path):
    store = await open_at(tmp_path / "data")
    yield store
    await store.close()


def entry(offset, rows, channels=("energy_wh",), *, exact=True, quarantined=False):
    values = [value for row in rows for value in row[2:]]
    devices, stamps = [row[0] for row in rows], [row[1] for row in rows]
    block = block_of(channels, devices, stamps, values, exact=exact, quarantined=quarantined)
    return Entry(offset, encode_batch(Batch(FORMAT, T0, (block,))))


async def killed(store, tmp_path):
    """The directory as it is left by a process that is killed now."""
    shutil.copytree(tmp_path / "data", tmp_path / "killed")
    return tmp_path / "killed"


async def values(store, device=7):
    return [each.value for each in await store.readings(device, None, EVER, after=None, limit=100_000)]


async def rows_in(store, table):
    found = await store._file.read(lambda cursor: cursor.execute(f"SELECT count(*) FROM {table}").fetchall())
    return found[0][0]


async def test_the_constructor_touches_nothing_and_an_unopened_store_says_so(tmp_path):
    store = EmbeddedTimeSeries(tmp_path / "x" / FILE_NAME, Hours(), SimulatedClock(), memory_mib=64, threads=1)
    assert not (tmp_path / "x").exists()
    with pytest.raises(Failed) as refusal:
        await store.offset()
    assert refusal.value.code == "unavailable"
    await store.close()


@pytest.mark.slow
async def test_a_store_of_a_newer_schema_is_refused_and_left_alone(tmp_path):
    await (await open_at(tmp_path)).close()
    with duckdb.connect(str(tmp_path / FILE_NAME)) as connection:
        connection.execute("UPDATE schema_version SET version = 99")
    before = (tmp_path / FILE_NAME).read_bytes()
    with pytest.raises(Failed, match="schema 99"):
        await open_at(tmp_path)
    assert (tmp_path / FILE_NAME).read_bytes() == before


@pytest.mark.slow
async def test_what_was_appended_survives_a_kill_with_everything_that_belongs_to_it(store, tmp_path):
    await store.append([entry(1, [(7, T0, 1), (7, T0 + 1, 2)])])
    await store.append([entry(2, [(7, T0, 9), (7, T0, 1)]), entry(3, [(8, T0, 1)], quarantined=True)])
    again = await open_at(await killed(store, tmp_path))
    assert await again.offset() == 3
    for ask in (
        values,
        lambda s: s.latest(7),
        lambda s: s.outcomes.tally(None),
        lambda s: s.outcomes.conflicts(None, after=0, limit=9),
        lambda s: s.windows.pending(),
        lambda s: s.windows.watermarks(),
    ):
        assert await ask(again) == await ask(store)
    assert (await again.append([entry(4, [(7, T0, 8)])])).conflicts == 1
    assert [c.id for c in await again.outcomes.conflicts(None, after=0, limit=9)] == [1, 2]
    assert await again.release(8) == 1
    await again.close()


async def test_the_checkpointed_offset_is_what_lies_in_the_file_without_its_wal(store, tmp_path):
    await store.append([entry(5, [(7, T0, 1)])])
    assert await store.checkpoint() == 5
    await store.append([entry(6, [(7, T0 + 1, 2)])])
    directory = await killed(store, tmp_path)
    (directory / f"{FILE_NAME}.wal").unlink()
    again = await open_at(directory)
    assert await again.offset() == 5
    assert await again.checkpoint() == 5
    await again.close()


async def test_after_a_start_from_the_wal_no_offset_counts_as_checkpointed(store, tmp_path, monkeypatch):
    await store.append([entry(5, [(7, T0, 1)])])
    again = await open_at(await killed(store, tmp_path))
    monkeypatch.setattr(again._file, "checkpoint", lambda _: False)
    assert await again.offset() == 5
    assert await again.checkpoint() == 0
    monkeypatch.undo()
    assert await again.checkpoint() == 5
    await again.close()


@pytest.mark.parametrize("damage", ["flip", "cut", "garbage"])
@pytest.mark.slow
async def test_a_ruined_wal_and_a_replay_of_the_log_give_the_same_store(store, tmp_path, damage):
    log = [entry(n, [(7, T0 + n // 2, n // 2), (8, T0 + n, n % 3), (7, T0 + n, 5)]) for n in range(1, 30)]
    for each in log[:9]:
        await store.append([each])
    assert await store.checkpoint() == 9
    for each in log[9:]:
        await store.append([each])
    directory = await killed(store, tmp_path)
    wal = directory / f"{FILE_NAME}.wal"
    body = bytearray(wal.read_bytes())
    if damage == "flip":
        body[len(body) // 2] ^= 1
    wal.write_bytes({"flip": body, "cut": body[: len(body) // 2], "garbage": os.urandom(len(body))}[damage])
    again = await open_at(directory)
    assert 9 <= await again.offset() < 29
    await again.append(log)
    assert await values(again) == await values(store)
    assert await again.outcomes.tally(None) == await store.outcomes.tally(None)
    found, expected = [
        [(c.at_ms, c.stored, c.received) for c in await each.outcomes.conflicts(None, after=0, limit=99)]
        for each in (again, store)
    ]
    assert found == expected
    assert sorted(await again.windows.pending()) == sorted(await store.windows.pending())
    await again.close()


@pytest.mark.slow
async def test_an_append_that_fails_halfway_leaves_nothing_and_can_be_repeated(tmp_path):
    plan = Hours()
    store = await open_at(tmp_path, plan)
    await store.append([entry(1, [(7, T0, 1)])])
    plan.fail = True
    with pytest.raises(ValueError, match="no plan today"):
        await store.append([entry(2, [(7, T0 + HOUR_MS, 2)], ("new_wh",))])
    assert await store.offset() == 1
    assert await values(store) == [1]
    plan.fail = False
    assert (await store.append([entry(2, [(7, T0 + HOUR_MS, 2)], ("new_wh",))])).stored == 1
    assert [each.channel for each in await store.latest(7)] == ["energy_wh", "new_wh"]
    await store.close()


@pytest.mark.slow
async def test_a_checkpoint_keeps_the_small_tables_small_and_says_the_same(store):
    for offset in range(1, 20):
        await store.append([entry(offset, [(7, T0 + offset, 1), (8, T0 + offset, 1)])])
        await store.windows.settle(await store.windows.pending(), T0)
    tally, watermarks = await store.outcomes.tally(None), await store.windows.watermarks()
    assert await rows_in(store, "offsets") == 19
    await store.checkpoint()
    assert await rows_in(store, "offsets") == 1
    assert await rows_in(store, "tallies") == 4
    assert await rows_in(store, "windows_pending") == 0
    assert await rows_in(store, "latest") == 2
    assert await store.outcomes.tally(None) == tally
    assert await store.windows.watermarks() == watermarks


async def test_the_newest_readings_are_rebuilt_from_the_checkpoint_and_the_rows_behind_it(store, tmp_path):
    await store.append([entry(1, [(7, T0, 1), (8, T0 + 9, 2)]), entry(2, [(7, T0, 0.5)], ("power_w",), exact=False)])
    await store.checkpoint()
    await store.append([entry(3, [(7, T0 + 5, 3), (8, T0 + 1, 4), (9, T0, 5)])])
    again = await open_at(await killed(store, tmp_path))
    for device in (7, 8, 9):
        assert await again.latest(device) == await store.latest(device)
    assert [each.value for each in await again.latest(8)] == [2]
    assert (await again.append([entry(4, [(7, T0 + 5, 3), (8, T0 + 9, 2), (9, T0, 5)])])).duplicates == 3
    await again.close()


@pytest.mark.slow
async def test_a_nan_stays_the_newest_over_a_checkpoint_and_a_start(store, tmp_path):
    await store.append([entry(1, [(7, T0, float("nan"))] * 1, ("power_w",), exact=False)])
    await store.checkpoint()
    again = await open_at(await killed(store, tmp_path))
    assert (await again.append([entry(2, [(7, T0, float("nan"))], ("power_w",), exact=False)])).duplicates == 1
    await again.close()


async def test_many_nans_are_stored_as_such(store):
    rows = [(7, T0 + n, float("nan")) for n in range(1000)]
    assert (await store.append([entry(1, rows, ("power_w",), exact=False)])).stored == 1000
    assert await rows_in(store, "readings_measured WHERE value IS NULL") == 0
    assert (await store.append([entry(2, rows, ("power_w",), exact=False)])).duplicates == 1000


@pytest.mark.slow
async def test_row_numbers_with_gaps_are_not_relied_upon(store, tmp_path):
    await store.append([entry(1, [(7, T0 + n, n) for n in range(10)])])
    await store.checkpoint()
    assert await rows_in(store, "latest_through") == 1
    await store._file.write(
        lambda connection: connection.execute("DELETE FROM readings_exact WHERE value < 5") and None
    )
    await store.append([entry(2, [(7, T0 + 10, 10)])])
    await store.checkpoint()
    assert await rows_in(store, "latest_through") == 0
    again = await open_at(await killed(store, tmp_path))
    assert [each.value for each in await again.latest(7)] == [10]
    await again.close()


@pytest.mark.slow
async def test_the_store_checkpoints_by_itself_when_its_wal_has_grown(store, monkeypatch):
    monkeypatch.setattr(module, "WAL_BYTES_MAX", 20_000)
    for offset in range(1, 60):
        await store.append([entry(offset, [(7, T0 + offset * 100 + n, n) for n in range(100)])])
        assert store._file.wal_bytes() < 30_000
    assert await store.offset() == 59


@pytest.mark.slow
async def test_a_checkpoint_that_fails_after_a_commit_does_not_fail_the_append(store, monkeypatch, caplog):
    monkeypatch.setattr(module, "WAL_BYTES_MAX", 1)

    def fail(_):
        raise duckdb.IOException("No space left on device")

    monkeypatch.setattr(store._file, "checkpoint", fail)
    with caplog.at_level(logging.WARNING):
        assert (await store.append([entry(1, [(7, T0, 1)])])).stored == 1
    assert "checkpoint failed" in caplog.text
    assert await values(store) == [1]
    assert (await store.append([entry(2, [(7, T0, 1)])])).duplicates == 1


@pytest.mark.slow
async def test_statements_over_many_readings_are_split_and_say_the_same(store, monkeypatch):
    rows = [(device, T0 + n * 60_000, n + device) for n in range(240) for device in (1, 2, 3)]
    await store.append([entry(1, rows), entry(2, [(d, at, v / 8) for d, at, v in rows], ("power_w",), exact=False)])
    spans = [Interval(T0 + n * HOUR_MS, T0 + (n + 1) * HOUR_MS) for n in range(5)]
    expected = [
        await store.aggregate(device, channel, spans) for device in (1, 2) for channel in ("energy_wh", "power_w")
    ]
    monkeypatch.setattr(timeseries_aggregate, "ROWS_MAX", 50)
    found = [await store.aggregate(device, channel, spans) for device in (1, 2) for channel in ("energy_wh", "power_w")]
    assert found == expected
    settled = await store.windows.settle(await store.windows.pending(), T0)
    assert len(settled) == 3 * 2 * 4
    assert all(each.aggregate.count == 60 for each in settled)


async def test_a_fleet_is_stored_without_looking_anything_up(store, monkeypatch):
    def look_up(*_):
        raise AssertionError("a fresh reading was looked up")

    monkeypatch.setattr("ringmain.adapters.embedded.timeseries_append.check", look_up)
    for offset in range(1, 5):
        await store.append([entry(offset, [(device, T0 + offset, 1) for device in range(1, 50)])])
    with pytest.raises(AssertionError, match="looked up"):
        await store.append([entry(9, [(1, T0 + 4, 1)])])


@pytest.mark.slow
async def test_random_kills_and_replays_store_everything_once(tmp_path):
    dice = random.Random(7)
    log, stamp = [], T0
    for offset in range(1, 80):
        stamp += dice.randrange(0, 3)
        log.append(
            entry(offset, [(dice.randrange(1, 4), stamp - dice.randrange(4), dice.randrange(3)) for _ in range(5)])
        )
    reference = await open_at(tmp_path / "reference")
    for each in log:
        await reference.append([each])
    directory = tmp_path / "0"
    store = await open_at(directory)
    generation = 0
    while await store.offset() < 79:
        offset = await store.offset()
        await store.append(log[max(0, offset - 3) : offset + dice.randrange(1, 9)])
        if dice.random() < 0.3:
            await store.checkpoint()
        if dice.random() < 0.3:
            generation += 1
            shutil.copytree(directory, tmp_path / str(generation))
            await store.close()
            directory = tmp_path / str(generation)
            store = await open_at(directory)
    assert generation
    assert await store.outcomes.tally(None) == await reference.outcomes.tally(None)
    for device in (1, 2, 3):
        assert await values(store, device) == await values(reference, device)
    await store.close()
    await reference.close()


def test_rows_are_never_sent_one_by_one():
    folder = Path(module.__file__).parent
    for path in (*folder.glob("timeseries*.py"), *folder.glob("duckdb*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not (isinstance(node, ast.Attribute) and node.attr == "executemany"), path


CHILD = """
import asyncio, sys, resource
from pathlib import Path
sys.path.insert(0, sys.argv[1])
import store as bench
from ringmain.adapters.embedded.timeseries import open_timeseries
from ringmain.model.errors import Failed

def resident_kib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() // 1024

async def main(what, directory, rows):
    try:
        store = await open_timeseries(
            Path(directory), bench.HoursAndDays(), bench.SystemClock(), memory_mib=256, threads=1
        )
    except Failed as error:
        print(error.code, flush=True)
        return
    fleet = bench.Fleet()
    await store.append([fleet.entry(10)])
    if what == "imports":
        print(*sorted({"pandas", "pyarrow"} & set(sys.modules)), "done", flush=True)
        return
    while fleet.messages * 3 < rows:
        await store.append([fleet.entry(10_000)])
        print(fleet.offset, fleet.messages, resident_kib(), flush=True)

asyncio.run(main(sys.argv[2], sys.argv[3], int(sys.argv[4])))
"""


def child(what, directory, rows=0):
    bench = Path(__file__).parents[4] / "bench"
    command = [sys.executable, "-c", CHILD, str(bench), what, str(directory), str(rows)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.slow
async def test_another_process_is_refused_while_this_one_has_the_store(store, tmp_path):
    with child("imports", tmp_path / "data") as process:
        assert process.stdout.read().strip() == "unavailable"


@pytest.mark.slow
def test_neither_pandas_nor_pyarrow_is_loaded(tmp_path):
    with child("imports", tmp_path) as process:
        assert process.stdout.read().strip() == "done"


@pytest.mark.slow
async def test_a_killed_process_leaves_every_batch_that_it_was_told_is_stored(tmp_path):
    for _ in range(2):
        shutil.rmtree(tmp_path / "data", ignore_errors=True)
        with child("append", tmp_path / "data", 10**9) as process:
            acknowledged = [process.stdout.readline() for _ in range(40)][-1]
            process.kill()
        offset, messages, _ = map(int, acknowledged.split())
        store = await open_at(tmp_path / "data")
        assert await store.offset() >= offset
        assert await rows_in(store, "readings_measured") >= messages * 3
        distinct = await rows_in(store, "(SELECT DISTINCT device, channel, at_ms FROM readings_measured)")
        assert distinct == await rows_in(store, "readings_measured")
        await store.close()


@pytest.mark.slow
def test_memory_does_not_grow_with_what_is_stored(tmp_path):
    with child("append", tmp_path, 9_000_000) as process:
        lines = [tuple(map(int, line.split())) for line in process.stdout]
    early = max(rss for _, messages, rss in lines if 2_000_000 < messages * 3 <= 4_500_000)
    late = max(rss for _, messages, rss in lines if messages * 3 > 6_500_000)
    assert late - early < 25 * 1024, f"{early} KiB grew to {late} KiB"
