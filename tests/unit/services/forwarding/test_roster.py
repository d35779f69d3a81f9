"""The roster is kept before it is used, names for ever, and nothing is taken that is not understood."""

import asyncio
import contextlib

import msgspec
import pytest

from ringmain.adapters.simulated.blobs import SimulatedBlobs
from ringmain.model.device import METER_PROFILE, LifecycleState
from ringmain.model.errors import Failed
from ringmain.model.gateway import Roster, RosterEntry
from ringmain.model.ids import DeviceId, DeviceKey, TenantId
from ringmain.services.forwarding import roster as module
from ringmain.services.forwarding.roster import NAMES, ROSTER, RosterKeeper


def roster(version: int, *keys: int, tenant: str = "town", gateway: str = "gw", verifier: bytes = b"v" * 32) -> bytes:
    entries = tuple(
        RosterEntry(DeviceKey(key), DeviceId(f"m{key}"), METER_PROFILE.name, LifecycleState.ACTIVE, 0, (verifier,))
        for key in keys
    )
    return msgspec.json.encode(
        Roster(version, TenantId(tenant), DeviceId(gateway), b"s" * 32, (METER_PROFILE,), entries)
    )


class World:
    def __init__(self, blobs=None) -> None:
        self.blobs = blobs or SimulatedBlobs()
        self.taken: list[Roster] = []
        self.parted = asyncio.Event()
        self.parted.set()
        self.keeper = RosterKeeper(
            self.blobs, TenantId("town"), DeviceId("gw"), take=self.take, renaming=self.parted.wait
        )

    def take(self, found: Roster) -> None:
        assert ROSTER in self.blobs.documents
        assert {entry.key for entry in found.entries} <= set(self.keeper.names)
        self.taken.append(found)

    @contextlib.asynccontextmanager
    async def running(self):
        await self.keeper.load()
        task = asyncio.ensure_future(self.keeper.run())
        yield self
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def offered(self, body: bytes) -> None:
        self.keeper.offer(body)
        await asyncio.sleep(0.01)


async def test_it_is_kept_before_it_is_used_and_found_again():
    world = World()
    async with world.running():
        await world.offered(roster(4, 1, 2))
        assert [found.version for found in world.taken] == [4]
    again = World(world.blobs)
    async with again.running():
        assert again.keeper.version == 4
        assert again.keeper.names == {1: "m1", 2: "m2"}
        assert [entry.id for entry in again.taken[0].entries] == ["m1", "m2"]


async def test_names_stay_when_devices_go():
    world = World()
    async with world.running():
        await world.offered(roster(1, 1, 2))
        await world.offered(roster(2, 2))
        assert world.keeper.names == {1: "m1", 2: "m2"}
        assert [len(found.entries) for found in world.taken] == [2, 1]


@pytest.mark.parametrize(
    "body", [b"", b"{", b'{"version": 3}', roster(9, 1, tenant="other"), roster(9, 1, gateway="gw2")]
)
async def test_what_is_not_ours_or_not_understood_changes_nothing(body):
    world = World()
    async with world.running():
        await world.offered(roster(1, 1))
        await world.offered(body)
        assert world.keeper.version == 1
        assert len(world.taken) == 1


async def test_the_same_version_is_not_taken_twice():
    world = World()
    async with world.running():
        await world.offered(roster(1, 1))
        await world.offered(roster(1, 1))
        assert len(world.taken) == 1


async def test_the_same_version_with_other_content_is_another_roster():
    """A restored platform gives its numbers a second time: this one has revoked a token."""
    world = World()
    async with world.running():
        await world.offered(roster(41, 1))
        await world.offered(roster(41, 1, verifier=b"w" * 32))
        assert [found.entries[0].verifiers for found in world.taken] == [(b"v" * 32,), (b"w" * 32,)]
    again = World(world.blobs)
    async with again.running():
        await again.offered(roster(41, 1, verifier=b"w" * 32))
        assert len(again.taken) == 1


async def test_a_key_of_another_device_waits_until_nothing_goes_by_the_name_before():
    world = World()
    async with world.running():
        await world.offered(roster(41, 1, 2))
        body = roster(41, 1, 2).replace(b'"m2"', b'"other"')
        world.parted.clear()
        await world.offered(body)
        assert [entry.id for entry in world.taken[-1].entries] == ["m1"], "the others go on"
        assert world.keeper.names == {1: "m1", 2: "m2"}
        assert b"other" not in world.blobs.documents[NAMES] + world.blobs.documents[ROSTER]
        world.parted.set()
        await asyncio.sleep(0.01)
        assert [entry.id for entry in world.taken[-1].entries] == ["m1", "other"]
        assert world.keeper.names == {1: "m1", 2: "other"}


async def test_a_kept_roster_of_another_gateway_stops_the_start():
    world = World()
    await world.blobs.put(ROSTER, roster(1, 1, tenant="village"))
    with pytest.raises(Failed, match="village/gw and not of town/gw"):
        await world.keeper.load()
    assert world.taken == []


async def test_one_that_could_not_be_kept_is_not_used_and_is_tried_again(monkeypatch):
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    world = World()
    async with world.running():
        world.blobs.fault = Failed("storage_full", "no room")
        await world.offered(roster(1, 1))
        assert world.taken == []
        assert world.keeper.version == 0
        world.blobs.fault = None
        await asyncio.sleep(0.05)
        assert [found.version for found in world.taken] == [1]


@pytest.mark.parametrize("name", [ROSTER, NAMES])
async def test_a_kept_one_that_can_not_be_read_stops_the_start(name):
    world = World()
    await world.blobs.put(name, b"nonsense")
    with pytest.raises(Failed, match="can not be read"):
        await world.keeper.load()
