"""One suite over every home of presence."""

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest

from ringmain.adapters.embedded.database import Database
from ringmain.adapters.embedded.presence import Presence as EmbeddedPresence
from ringmain.adapters.simulated.presence import Presence as SimulatedPresence
from ringmain.model.session import Session, SessionState
from ringmain.ports.presence import Presence


@pytest.fixture(params=["embedded", "simulated"])
async def presence(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Presence]:
    if request.param == "simulated":
        yield SimulatedPresence()
        return
    database = await Database.open(tmp_path / "registry.sqlite")
    yield EmbeddedPresence(database)
    await database.close()


def a_session(device: int, state: SessionState = SessionState.ONLINE, epoch: int = 2**62) -> Session:
    return Session(device, state, epoch, "mqtt", "[::1]:1883", 10**12, 10**12 + 1, 10**12 + 2, 3600)


async def test_nothing_is_known_at_first(presence: Presence):
    assert list(await presence.load()) == []
    assert await presence.get(1) is None
    await presence.save([])
    assert list(await presence.load()) == []


async def test_epoch_blocks_leave_room_for_each_other(presence: Presence):
    blocks = [await presence.new_epoch_block() for _ in range(4)]
    assert blocks[0] > 0
    assert all(later - earlier >= 2**32 for earlier, later in pairwise(blocks))


@pytest.mark.parametrize("state", list(SessionState))
async def test_every_field_of_every_state_comes_back(presence: Presence, state):
    await presence.save([a_session(2, state), a_session(1, state)])
    assert await presence.get(2) == a_session(2, state)
    assert list(await presence.load()) == [a_session(1, state), a_session(2, state)]
    assert await presence.get(3) is None


async def test_the_last_written_stands(presence: Presence):
    await presence.save([a_session(1), a_session(2)])
    changed = msgspec.structs.replace(a_session(1), state=SessionState.OFFLINE, peer="", expected_interval_s=1)
    await presence.save([changed])
    assert list(await presence.load()) == [changed, a_session(2)]


async def test_epochs_and_sessions_survive_a_restart(tmp_path: Path):
    database = await Database.open(tmp_path / "registry.sqlite")
    first = await EmbeddedPresence(database).new_epoch_block()
    await EmbeddedPresence(database).save([a_session(1)])
    await database.close()
    database = await Database.open(tmp_path / "registry.sqlite")
    assert await EmbeddedPresence(database).new_epoch_block() >= first + 2**32
    assert list(await EmbeddedPresence(database).load()) == [a_session(1)]
    await database.close()
