"""Documents of gateways: versions never go back, reports survive, what can not be read harms nothing."""

import msgspec
import pytest
from tests.unit.services.gateways.world import REPORT, World

from ringmain.model.errors import Failed
from ringmain.model.gateway import GatewaySettings
from ringmain.services.gateways.documents import Documents


@pytest.fixture
async def world():
    return await World.made()


async def test_nothing_was_given_or_said_at_first(world):
    documents = Documents(world.port, world.clock)
    await documents.load()
    assert documents.settings(world.gw.key) is None
    assert documents.report(world.gw.key) is None
    assert documents.roster_version(world.gw.key) == 0
    await documents.flush()
    assert await world.port.newest("report") == {}


async def test_settings_have_a_new_version_only_where_they_say_something_new(world):
    documents = Documents(world.port, world.clock)
    first = await documents.put_settings(world.gw.key, GatewaySettings(keep_alive_s=30))
    assert (first.version, first.settings.keep_alive_s) == (1, 30)
    assert await documents.put_settings(world.gw.key, GatewaySettings(keep_alive_s=30)) == first
    second = await documents.put_settings(world.gw.key, GatewaySettings())
    assert second.version == 2
    assert documents.settings(world.gw.key) == second
    assert [it.version for it in await documents.settings_history(world.gw.key, before=None, limit=9)] == [2, 1]
    assert documents.settings(world.other.key) is None


async def test_versions_go_on_after_a_restart(world):
    documents = Documents(world.port, world.clock)
    await documents.put_settings(world.gw.key, GatewaySettings(keep_alive_s=30))
    assert await documents.new_roster(world.gw.key, b"one") == 1
    assert await documents.new_roster(world.gw.key, b"one") == 1
    assert await documents.new_roster(world.gw.key, b"two") == 2
    again = Documents(world.port, world.clock)
    await again.load()
    assert again.settings(world.gw.key).settings.keep_alive_s == 30
    assert await again.new_roster(world.gw.key, b"two") == 2, "nothing new"
    assert await again.new_roster(world.gw.key, b"one") == 3
    assert (await again.put_settings(world.gw.key, GatewaySettings())).version == 2


async def test_the_last_report_is_written_behind_and_survives(world):
    documents = Documents(world.port, world.clock)
    documents.reported(world.gw.key, msgspec.structs.replace(REPORT, in_flight=1))
    documents.reported(world.gw.key, REPORT)
    await documents.flush()
    assert documents.report(world.gw.key).report == REPORT
    again = Documents(world.port, world.clock)
    await again.load()
    assert again.report(world.gw.key).report == REPORT


async def test_a_report_that_could_not_be_written_stays_to_be_written(world, monkeypatch):
    documents = Documents(world.port, world.clock)
    documents.reported(world.gw.key, REPORT)

    async def fails(*_, **__):
        raise Failed("storage_failed", "no disk")

    with monkeypatch.context() as patched:
        patched.setattr(world.port, "put", fails)
        with pytest.raises(Failed):
            await documents.flush()
    await documents.flush()
    assert len(await world.port.newest("report")) == 1


async def test_what_an_older_version_wrote_and_nobody_can_read_is_left_alone(world):
    await world.port.put("settings", {world.gw.key: b'{"gone": 1}'}, 1, keep=9)
    await world.port.put("report", {world.gw.key: b"{}"}, 1, keep=9)
    documents = Documents(world.port, world.clock)
    await documents.load()
    assert documents.settings(world.gw.key) is None
    assert documents.report(world.gw.key) is None
    assert (await documents.put_settings(world.gw.key, GatewaySettings())).version == 2
