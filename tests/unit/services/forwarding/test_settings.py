"""Settings are taken whole, tried, confirmed by a new uplink, and taken back without one; a crash changes nothing."""

import asyncio
import contextlib

import msgspec
import pytest

from ringmain.adapters.simulated.blobs import SimulatedBlobs
from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.model.errors import Failed
from ringmain.model.gateway import DropPolicy, GatewaySettings, SettingsState, VersionedSettings
from ringmain.services.forwarding import settings as module
from ringmain.services.forwarding.settings import DOCUMENT, SettingsKeeper

NEW = GatewaySettings(policy=DropPolicy.DROP_OLDEST, confirm_s=5)


def document(version: int, settings: GatewaySettings = NEW) -> bytes:
    return msgspec.json.encode(VersionedSettings(version, settings))


class World:
    def __init__(self, blobs: SimulatedBlobs) -> None:
        self.blobs = blobs
        self.applied: list[GatewaySettings] = []
        self.keeper = SettingsKeeper(blobs, SimulatedClock(0), self.applied.append)

    @contextlib.asynccontextmanager
    async def running(self):
        await self.keeper.load()
        task = asyncio.ensure_future(self.keeper.run())
        try:
            yield self
        finally:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def until(self, state: SettingsState) -> None:
        async with asyncio.timeout(4.9):  # not one of those that `quick` shortens
            while self.keeper.state is not state:
                await asyncio.sleep(0.005)


@pytest.fixture
def world():
    return World(SimulatedBlobs())


@pytest.fixture
def quick(monkeypatch):
    """Trials of a twentieth of a second; the bounds of the struct say seconds."""
    whole = asyncio.timeout
    monkeypatch.setattr(asyncio, "timeout", lambda delay: whole(delay / 100 if delay and delay >= 5 else delay))


async def test_confirmed_by_a_connection_that_comes_after(world):
    async with world.running():
        world.keeper.connected()
        world.keeper.offer(document(3))
        await world.until(SettingsState.TRIAL)
        assert world.applied == [NEW]
        assert world.keeper.version == 3
        world.keeper.connected()
        await world.until(SettingsState.CONFIRMED)
        assert world.applied == [NEW]


@pytest.mark.usefixtures("quick")
async def test_taken_back_without_one_and_not_tried_again(world):
    async with world.running():
        await asyncio.sleep(0)
        world.keeper.offer(document(3))
        async with asyncio.timeout(200):
            while world.keeper.state is not SettingsState.REVERTED:
                await asyncio.sleep(0.005)
        assert world.applied == [NEW, GatewaySettings()]
        assert world.keeper.settings == GatewaySettings()
        assert "version 3 was taken back" in world.keeper.detail
        world.keeper.offer(document(3))
        await asyncio.sleep(0.05)
        assert world.keeper.state is SettingsState.REVERTED
        assert len(world.applied) == 2
        world.keeper.offer(document(4))
        async with asyncio.timeout(200):
            while world.keeper.state is not SettingsState.TRIAL:
                await asyncio.sleep(0.001)
        assert world.keeper.version == 4


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b'{"version": 9}',
        b'{"version": 9, "settings": {"polcy": "reject"}}',
        b'{"version": 9, "settings": {"keep_alive_s": 0}}',
        b'{"version": 9, "settings": {"windows": ["7m"]}}',
    ],
)
async def test_what_is_not_understood_changes_nothing(world, body):
    async with world.running():
        world.keeper.offer(body)
        await world.until(SettingsState.INVALID)
        assert world.applied == []
        assert world.keeper.version == 0
        assert world.keeper.detail


async def test_the_same_version_and_the_same_settings_are_no_trial(world):
    async with world.running():
        world.keeper.offer(document(1, GatewaySettings()))
        await world.until(SettingsState.CONFIRMED)
        assert world.keeper.version == 1
        kept = dict(world.blobs.documents)
        world.keeper.offer(document(1, GatewaySettings()))
        await asyncio.sleep(0.02)
        assert world.applied == []
        assert world.blobs.documents == kept


async def test_the_same_version_with_other_settings_is_another_one(world):
    """A platform that was restored from a backup gives its numbers a second time."""
    async with world.running():
        world.keeper.offer(document(1, GatewaySettings()))
        await world.until(SettingsState.CONFIRMED)
        world.keeper.offer(document(1))
        await world.until(SettingsState.TRIAL)
        assert world.applied == [NEW]


@pytest.mark.usefixtures("quick")
async def test_the_version_that_was_taken_back_with_other_settings_is_tried(world):
    other = msgspec.structs.replace(NEW, keep_alive_s=60)
    async with world.running():
        world.keeper.offer(document(3))
        await world.until(SettingsState.TRIAL)
        await world.until(SettingsState.REVERTED)
    again = World(world.blobs)
    async with again.running():
        again.keeper.offer(document(3))
        await asyncio.sleep(0.02)
        assert again.applied == []
        again.keeper.offer(document(3, other))
        await again.until(SettingsState.TRIAL)
        assert again.applied == [other]


async def test_a_crash_in_the_trial_leaves_the_trial(world):
    async with world.running():
        world.keeper.offer(document(3))
        await world.until(SettingsState.TRIAL)
    again = World(world.blobs)
    async with again.running():
        assert again.keeper.state is SettingsState.TRIAL
        assert again.keeper.settings == NEW
        again.keeper.connected()
        await again.until(SettingsState.CONFIRMED)


async def test_nothing_is_believed_that_could_not_be_kept(world):
    async with world.running():
        world.blobs.fault = Failed("storage_full", "no room")
        world.keeper.offer(document(3))
        await asyncio.sleep(0.02)
        assert world.applied == []
        assert world.keeper.settings == GatewaySettings()


async def test_a_connection_under_the_settings_before_confirms_nothing(world):
    """It comes up while the new ones are being written."""
    writing, written = asyncio.Event(), asyncio.Event()
    plain = world.blobs.put

    async def slow(name, body):
        writing.set()
        await written.wait()
        await plain(name, body)

    world.blobs.put = slow
    async with world.running():
        world.keeper.offer(document(3))
        await writing.wait()
        world.keeper.connected()
        written.set()
        await world.until(SettingsState.TRIAL)
        for _ in range(20):
            await asyncio.sleep(0)
        assert world.keeper.state is SettingsState.TRIAL
        world.keeper.connected()
        await world.until(SettingsState.CONFIRMED)


@pytest.mark.usefixtures("quick")
async def test_settings_are_taken_back_on_a_full_disk_too_and_that_is_kept_later(world, monkeypatch):
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    async with world.running():
        world.keeper.offer(document(3))
        await world.until(SettingsState.TRIAL)
        world.blobs.fault = Failed("storage_full", "no room")
        await world.until(SettingsState.REVERTED)
        assert world.applied == [NEW, GatewaySettings()]
        assert world.keeper.settings == GatewaySettings()
        assert b"trial" in world.blobs.documents[DOCUMENT]
        world.blobs.fault = None
        async with asyncio.timeout(5):
            while b"reverted" not in world.blobs.documents[DOCUMENT]:
                await asyncio.sleep(0.005)
        assert world.applied == [NEW, GatewaySettings()]


async def test_an_offer_that_could_not_be_kept_is_not_forgotten(world, monkeypatch):
    monkeypatch.setattr(module, "RETRY_S", 0.01)
    async with world.running():
        world.blobs.fault = Failed("storage_full", "no room")
        world.keeper.offer(document(3))
        await asyncio.sleep(0.03)
        world.blobs.fault = None
        await world.until(SettingsState.TRIAL)
        assert world.keeper.version == 3


async def test_a_document_that_can_not_be_read_stops_the_start(world):
    await world.blobs.put(DOCUMENT, b"\x00nonsense")
    with pytest.raises(Failed, match="can not be read") as failed:
        await world.keeper.load()
    assert "remove that file" in failed.value.hint
