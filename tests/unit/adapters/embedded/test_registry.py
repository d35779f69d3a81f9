"""The embedded registry: what its caches may not get wrong, and how fast a fleet is made."""

import sqlite3
from pathlib import Path

import pytest

from ringmain.adapters.embedded import registry as module
from ringmain.adapters.embedded.database import Database
from ringmain.adapters.embedded.directory import Directory
from ringmain.adapters.embedded.registry import Registry
from ringmain.model.device import LifecycleState
from ringmain.ports.registry import NewDevice

ACTIVE, SUSPENDED = LifecycleState.ACTIVE, LifecycleState.SUSPENDED


@pytest.fixture
async def database(tmp_path: Path):
    database = await Database.open(tmp_path / "registry.sqlite")
    await Directory(database).add_tenant("a", 1)
    yield database
    await database.close()


async def test_known_devices_are_answered_without_the_database(database: Database):
    registry = Registry(database)
    made = await registry.add("a", [NewDevice(f"d{at}", "generic") for at in range(3)], 1)
    assert await registry.device("a", "d0") == made[0]
    await database.close()
    for device in made:
        assert await registry.by_key(device.key) is await registry.device("a", device.id) is not None


async def test_more_devices_than_are_cached_are_all_found_and_never_stale(database: Database, monkeypatch):
    monkeypatch.setattr(module, "DEVICES_CACHED_MAX", 4)
    registry = Registry(database)
    made = await registry.add("a", [NewDevice(f"d{at}", "generic", ACTIVE) for at in range(10)], 1)
    for _ in range(2):
        for device in made:
            assert (await registry.by_key(device.key)).id == device.id
            assert (await registry.device("a", device.id)).key == device.key
    for device in made:
        await registry.move(device.key, ACTIVE, SUSPENDED, 2, "ann")
    for device in made:
        assert (await registry.by_key(device.key)).state is SUSPENDED
        assert (await registry.device("a", device.id)).state is SUSPENDED


async def test_keys_are_not_reused_even_when_a_row_is_removed_by_hand(tmp_path: Path, database: Database):
    (first,) = await Registry(database).add("a", [NewDevice("x", "generic")], 1)
    await database.close()
    connection = sqlite3.connect(tmp_path / "registry.sqlite")
    connection.execute("DELETE FROM devices")
    connection.commit()
    connection.close()
    reopened = await Database.open(tmp_path / "registry.sqlite")
    (second,) = await Registry(reopened).add("a", [NewDevice("x", "generic")], 1)
    await reopened.close()
    assert second.key > first.key


@pytest.mark.slow
async def test_ten_thousand_devices_are_made_in_one_transaction(database: Database):
    new = [NewDevice(f"d{at}", "generic", ACTIVE, token_digest=at.to_bytes(32)) for at in range(10_000)]
    made = await Registry(database).add("a", new, 1)
    assert len({device.key for device in made}) == 10_000
