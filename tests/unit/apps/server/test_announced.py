"""A registry that tells of every device that is made: nothing of what was refused, and everything else as it was."""

import pytest

from ringmain.adapters.simulated.credentials import Credentials
from ringmain.adapters.simulated.directory import Directory
from ringmain.adapters.simulated.registry import Registry
from ringmain.apps.server.announced import AnnouncedRegistry
from ringmain.model.device import LifecycleState
from ringmain.model.errors import Refused
from ringmain.ports.registry import NewDevice

REGISTERED, PROVISIONED = LifecycleState.REGISTERED, LifecycleState.PROVISIONED


async def test_what_is_refused_is_not_announced_and_what_is_made_is_at_once():
    directory, told = Directory(), []
    await directory.add_tenant("acme", 0)
    inner = Registry(directory, Credentials(directory))
    announced = AnnouncedRegistry(inner, told.append)
    with pytest.raises(Refused):
        await announced.add("acme", [NewDevice("m1", "unheard-of")], 1)
    assert told == []
    made = await announced.add("acme", [NewDevice("m1", "meter"), NewDevice("m2", "meter")], 1)
    assert told == [made]
    assert await announced.device("acme", "m1") == await announced.by_key(made[0].key) == made[0]
    assert list(await announced.devices("acme", ["m2", "m9"])) == [made[1]]
    assert list(await announced.page("acme", after="m1", limit=5, state=REGISTERED)) == [made[1]]
    moved = await announced.move(made[0].key, REGISTERED, PROVISIONED, 2, "test")
    assert moved.state is PROVISIONED
    assert list(await announced.journal(made[0].key)) == [(2, REGISTERED, PROVISIONED, "test")]
    assert told == [made], "a transition is no new device"
