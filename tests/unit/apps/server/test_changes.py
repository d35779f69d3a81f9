"""Changes: everybody who has to act on a change of a device hears of it, at once."""

import pytest

from ringmain.apps.server.changes import Changes
from ringmain.gateway.connections import Connections
from ringmain.model.device import Device, LifecycleState

STATE = LifecycleState


class Ear:
    """Takes every call of a room, and remembers it."""

    def __init__(self, heard):
        self._heard = heard

    def __getattr__(self, name):
        return lambda *args: self._heard.append((name, *args))


class Peer:
    client_id = "one"

    def __init__(self):
        self.heard = []

    def cut(self, refused):
        self.heard.append(refused.code)

    def reauthorise(self, principal):
        raise AssertionError

    def notify(self, notice, body):
        self.heard.append((notice, body))
        return True


class Place:
    def __init__(self):
        self.heard = []
        self.activated = []
        self.connections = Connections()
        self.peer = Peer()
        self.connections.attach(7, self.peer)
        ear = Ear(self.heard)
        self.changes = Changes(self.connections, ear, ear, ear, self.activated.append)

    def device(self, state):
        return Device(7, "acme", "m7", "generic", state, "main", 0, 0)


@pytest.fixture
def place():
    return Place()


@pytest.mark.parametrize(
    ("before", "state", "codes"),
    [
        (STATE.ACTIVE, STATE.SUSPENDED, ["device_suspended"]),
        (STATE.ACTIVE, STATE.DECOMMISSIONED, ["device_not_active"]),
        (STATE.ACTIVE, STATE.ACTIVE, ["bad_credentials"]),
        (STATE.PROVISIONED, STATE.ACTIVE, []),
        (STATE.SUSPENDED, STATE.ACTIVE, []),
    ],
)
def test_who_may_no_longer_be_here_is_told_and_cut(place, before, state, codes):
    device = place.device(state)
    place.changes.device_changed(device, before)
    notice, *cuts = place.peer.heard
    assert notice == ("lifecycle", f'{{"state":"{state}","before":"{before}"}}'.encode())
    assert cuts == codes
    assert ("note", device) in place.heard
    assert ("device_changed", device, before) in place.heard
    assert place.activated == ([device] if before is STATE.PROVISIONED else [])
    assert (("forget", "acme", "device/7") in place.heard) == (state is STATE.DECOMMISSIONED)


def test_a_new_device_is_known_to_zones_and_gateways(place):
    device = place.device(STATE.REGISTERED)
    place.changes.devices_made([device])
    assert place.heard == [("note", device), ("know", [device])]
