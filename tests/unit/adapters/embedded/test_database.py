"""The registry database: what it refuses to open, what a failure leaves behind, what a commit means."""

import asyncio
import os
import sqlite3
import stat
import threading
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select
from sqlalchemy.exc import OperationalError

from ringmain.adapters.embedded.database import Database, remember
from ringmain.adapters.embedded.database_schema import tenants
from ringmain.model.errors import Failed, Refused


@pytest.fixture
async def database(tmp_path: Path):
    database = await Database.open(tmp_path / "registry.sqlite")
    yield database
    await database.close()


def _add(name: str):
    return lambda connection: connection.execute(insert(tenants).values(id=name, created_ms=1))


async def _names(database: Database) -> list[str]:
    return await database.run(lambda connection: list(connection.scalars(select(tenants.c.id).order_by(tenants.c.id))))


async def test_what_is_no_database_is_refused_and_left_as_it_is(tmp_path: Path):
    path = tmp_path / "registry.sqlite"
    path.write_bytes(b"these are not the bytes of a database" * 100)
    with pytest.raises(Failed) as failed:
        await Database.open(path)
    assert failed.value.code == "storage_failed"
    assert "not a database" in failed.value.detail
    assert path.read_bytes() == b"these are not the bytes of a database" * 100


async def test_a_damaged_page_is_an_error_that_says_so_and_nothing_more_is_taken(tmp_path: Path):
    path = tmp_path / "registry.sqlite"
    database = await Database.open(path)
    await database.run(_add("acme"))
    await database.close()
    with sqlite3.connect(path) as connection:
        pages = connection.execute("SELECT rootpage FROM sqlite_master WHERE tbl_name = 'tenants'").fetchall()
        (size,) = connection.execute("PRAGMA page_size").fetchone()
    connection.close()
    body = bytearray(path.read_bytes())
    for (page,) in pages:
        body[(page - 1) * size : page * size] = b"\xff" * size
    path.write_bytes(body)
    database = await Database.open(path)
    assert database.fault is None
    with pytest.raises(Failed) as failed:
        await _names(database)
    assert failed.value.code == "storage_failed"
    assert "backup" in failed.value.hint
    assert database.fault is failed.value
    with pytest.raises(Failed):
        await database.run(lambda connection: pytest.fail("nothing runs on a file in doubt"))
    await database.close()


async def test_a_database_of_another_program_is_refused(tmp_path: Path):
    path = tmp_path / "registry.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE photos (id)")
    connection.close()
    with pytest.raises(Failed) as failed:
        await Database.open(path)
    assert "not a registry" in failed.value.detail


async def test_a_newer_schema_is_refused_by_name_and_left_as_it_is(tmp_path: Path):
    path = tmp_path / "registry.sqlite"
    await (await Database.open(path)).close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = 'r9999'")
    connection.close()
    with pytest.raises(Failed) as failed:
        await Database.open(path)
    assert failed.value.code == "storage_failed"
    assert "r9999" in failed.value.detail
    assert "newer version" in failed.value.hint
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT version_num FROM alembic_version").fetchall() == [("r9999",)]
    connection.close()


async def test_a_directory_that_is_not_there_is_an_error(tmp_path: Path):
    with pytest.raises(Failed) as failed:
        await Database.open(tmp_path / "nowhere" / "registry.sqlite")
    assert failed.value.code == "storage_failed"


async def test_a_full_disk_is_told_apart_and_takes_nothing(database: Database):
    def fill(connection: Connection) -> None:
        pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
        connection.exec_driver_sql(f"PRAGMA max_page_count = {pages + 1}")
        for at in range(10_000):
            connection.execute(insert(tenants).values(id=f"{at:0100}", created_ms=1))

    with pytest.raises(Failed) as failed:
        await database.run(fill)
    assert failed.value.code == "storage_full"
    assert database.fault is None
    assert await _names(database) == []
    await database.run(lambda connection: connection.exec_driver_sql("PRAGMA max_page_count = 1000000"))
    await database.run(_add("acme"))
    assert await _names(database) == ["acme"]


async def test_a_failed_sync_is_never_tried_again(database: Database):
    def fail(connection: Connection) -> None:
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
        raise OperationalError("COMMIT", None, error)

    with pytest.raises(Failed) as failed:
        await database.run(fail)
    assert failed.value.code == "storage_failed"
    with pytest.raises(Failed) as again:
        await _names(database)
    assert again.value is failed.value is database.fault


async def test_a_file_held_by_another_is_waited_for_and_then_told(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    await database.run(lambda connection: connection.exec_driver_sql("PRAGMA busy_timeout = 10"))
    other = sqlite3.connect(tmp_path / "registry.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(Failed) as failed:
        await database.run(_add("acme"))
    assert "Another program" in failed.value.hint
    other.execute("ROLLBACK")
    other.close()
    await database.run(_add("acme"))
    assert await _names(database) == ["acme"]


async def test_work_that_raises_leaves_nothing_behind_and_tells_no_cache(database: Database):
    def work(connection: Connection) -> None:
        _add("acme")(connection)
        raise Refused("not_found", "changed my mind")

    with pytest.raises(Refused):
        await database.run(work, lambda _: pytest.fail("it was not committed"))
    assert await _names(database) == []


async def test_after_close_it_takes_nothing_and_closing_again_is_harmless(tmp_path: Path):
    database = await Database.open(tmp_path / "registry.sqlite")
    await database.close()
    await database.close()
    with pytest.raises(Failed) as failed:
        await _names(database)
    assert failed.value.code == "shutting_down"


async def test_what_run_returned_from_is_committed_and_synced_fully(database: Database, tmp_path: Path):
    seen_by_another: list[list[tuple[str]]] = []

    def committed(_: object) -> None:
        other = sqlite3.connect(tmp_path / "registry.sqlite")
        seen_by_another.append(other.execute("SELECT id FROM tenants").fetchall())
        other.close()

    await database.run(_add("acme"), committed)
    assert seen_by_another == [[("acme",)]]
    for pragma, value in (("journal_mode", "wal"), ("synchronous", 2), ("foreign_keys", 1), ("busy_timeout", 5000)):
        assert await database.run(lambda c, p=pragma: c.exec_driver_sql(f"PRAGMA {p}").scalar()) == value


async def test_all_work_runs_in_one_named_thread_in_order(database: Database):
    order: list[int] = []
    names = await asyncio.gather(
        *(
            database.run(lambda _, at=at: threading.current_thread().name, lambda _, at=at: order.append(at))
            for at in range(50)
        )
    )
    assert set(names) == {"registry_0"}
    assert order == list(range(50))


async def test_only_its_owner_may_read_the_file(database: Database, tmp_path: Path):
    await database.run(_add("acme"))
    modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in os.listdir(tmp_path)}  # noqa: PTH208
    assert modes == {"registry.sqlite": 0o600, "registry.sqlite-wal": 0o600, "registry.sqlite-shm": 0o600}


def test_a_cache_forgets_the_oldest():
    cache: dict[int, str] = {}
    for key in (1, 2, 3):
        remember(cache, key, "old", 3)
    remember(cache, 1, "new", 3)
    assert cache == {1: "new", 2: "old", 3: "old"}
    remember(cache, 4, "old", 3)
    assert cache == {2: "old", 3: "old", 4: "old"}
