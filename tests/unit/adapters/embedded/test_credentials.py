"""The embedded credentials: a hit needs no database, a miss fills no memory, a revocation is never overtaken."""

import asyncio
from pathlib import Path

import pytest

from ringmain.adapters.embedded import credentials as module
from ringmain.adapters.embedded.credentials import Credentials
from ringmain.adapters.embedded.database import Database
from ringmain.adapters.embedded.directory import Directory
from ringmain.adapters.embedded.registry import Registry
from ringmain.ports.credentials import Holder
from ringmain.ports.registry import NewDevice

DIGESTS = [at.to_bytes(32) for at in range(1, 11)]


@pytest.fixture
async def database(tmp_path: Path):
    """With ten devices of tenant `a`, each with a token."""
    database = await Database.open(tmp_path / "registry.sqlite")
    await Directory(database).add_tenant("a", 1)
    new = [NewDevice(f"d{at}", "generic", token_digest=digest) for at, digest in enumerate(DIGESTS, 1)]
    await Registry(database).add("a", new, 1)
    yield database
    await database.close()


async def test_once_one_was_asked_for_all_are_answered_without_the_database(database: Database):
    credentials = Credentials(database)
    await credentials.holder(DIGESTS[0])
    await database.close()
    for key, digest in enumerate(DIGESTS, 1):
        assert await credentials.holder(digest) == Holder("a", f"d{key}", device=key)


async def test_guessing_fills_no_memory(database: Database):
    credentials = Credentials(database)
    for at in range(100, 400):
        assert await credentials.holder(at.to_bytes(32)) is None
    assert len(credentials._holders) == len(DIGESTS)


async def test_more_tokens_than_are_cached_are_all_found_and_revoked(database: Database, monkeypatch):
    monkeypatch.setattr(module, "HOLDERS_CACHED_MAX", 4)
    credentials = Credentials(database)
    for _ in range(2):
        for key, digest in enumerate(DIGESTS, 1):
            assert (await credentials.holder(digest)).device == key
    assert len(credentials._holders) == 4
    for key in range(1, 11):
        assert await credentials.revoke_device(key, 2) == 1
    for digest in DIGESTS:
        assert await credentials.holder(digest) is None


async def test_a_lookup_that_races_a_revocation_leaves_nothing_stale(database: Database):
    for _ in range(20):
        credentials = Credentials(database)
        await credentials.replace(b"new", Holder("a", "d1", device=1), 1)
        await asyncio.gather(credentials.holder(b"new"), credentials.revoke_device(1, 2), credentials.holder(b"new"))
        assert await credentials.holder(b"new") is None
