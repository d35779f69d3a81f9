"""One suite over every home of gateway documents."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringmain.adapters.embedded.database import Database
from ringmain.adapters.embedded.directory import Directory as EmbeddedDirectory
from ringmain.adapters.embedded.gateway_documents import GatewayDocuments as EmbeddedDocuments
from ringmain.adapters.embedded.registry import Registry as EmbeddedRegistry
from ringmain.adapters.simulated.credentials import Credentials as SimulatedCredentials
from ringmain.adapters.simulated.directory import Directory as SimulatedDirectory
from ringmain.adapters.simulated.gateway_documents import GatewayDocuments as SimulatedDocuments
from ringmain.adapters.simulated.registry import Registry as SimulatedRegistry
from ringmain.model.errors import Refused
from ringmain.ports.gateway_documents import GatewayDocument, GatewayDocuments
from ringmain.ports.registry import NewDevice

GW, OTHER = 1, 2
GATEWAYS = [NewDevice("gw", "gateway"), NewDevice("other", "gateway")]


@pytest.fixture(params=["embedded", "simulated"])
async def documents(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[GatewayDocuments]:
    if request.param == "simulated":
        directory = SimulatedDirectory()
        registry = SimulatedRegistry(directory, SimulatedCredentials(directory))
        await directory.add_tenant("a", 1)
        await registry.add("a", GATEWAYS, 1)
        yield SimulatedDocuments(registry)
        return
    database = await Database.open(tmp_path / "registry.sqlite")
    await EmbeddedDirectory(database).add_tenant("a", 1)
    await EmbeddedRegistry(database).add("a", GATEWAYS, 1)
    yield EmbeddedDocuments(database)
    await database.close()


async def test_nothing_is_there_at_first(documents: GatewayDocuments):
    assert await documents.newest("settings") == {}
    assert await documents.history(GW, "settings", limit=10) == []
    assert await documents.put("settings", {}, 1, keep=1) == {}


async def test_an_unknown_gateway_is_refused_and_nothing_is_written(documents: GatewayDocuments):
    with pytest.raises(Refused) as refused:
        await documents.put("report", {GW: b"a", 99: b"b"}, 1, keep=1)
    assert refused.value.code == "not_found"
    assert await documents.newest("report") == {}


async def test_versions_grow_for_each_gateway_and_kind_by_itself(documents: GatewayDocuments):
    assert (await documents.put("settings", {GW: b"1"}, 10, keep=9))[GW] == GatewayDocument(1, b"1", 10)
    written = await documents.put("settings", {GW: b"2", OTHER: b"x"}, 11, keep=9)
    assert written == {GW: GatewayDocument(2, b"2", 11), OTHER: GatewayDocument(1, b"x", 11)}
    assert (await documents.put("roster", {GW: b"r"}, 12, keep=9))[GW].version == 1
    assert await documents.newest("settings") == written
    assert await documents.newest("roster") == {GW: GatewayDocument(1, b"r", 12)}


async def test_only_the_newest_are_kept_and_no_version_is_given_twice(documents: GatewayDocuments):
    for n in range(1, 6):
        assert (await documents.put("report", {GW: bytes((n,))}, n, keep=2))[GW].version == n
    assert [it.version for it in await documents.history(GW, "report", limit=9)] == [5, 4]
    assert (await documents.put("report", {GW: b""}, 6, keep=1))[GW].version == 6
    assert [it.body for it in await documents.history(GW, "report", limit=9)] == [b""]


async def test_the_history_is_read_backwards_in_pages(documents: GatewayDocuments):
    for n in range(1, 6):
        await documents.put("settings", {GW: b"", OTHER: b""}, n, keep=9)
    assert [it.version for it in await documents.history(GW, "settings", limit=2)] == [5, 4]
    assert [it.version for it in await documents.history(GW, "settings", before=4, limit=2)] == [3, 2]
    assert [it.version for it in await documents.history(GW, "settings", before=1, limit=2)] == []


async def test_versions_survive_a_restart(tmp_path: Path):
    for version in (1, 2):
        database = await Database.open(tmp_path / "registry.sqlite")
        if version == 1:
            await EmbeddedDirectory(database).add_tenant("a", 1)
            await EmbeddedRegistry(database).add("a", GATEWAYS, 1)
        assert (await EmbeddedDocuments(database).put("roster", {GW: b"x"}, 1, keep=1))[GW].version == version
        await database.close()
