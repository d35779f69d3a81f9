"""What the connections of one listener share: how many there may be, and how all of them end."""

import pytest

from ringmain.gateway.mqtt_door import Door
from ringmain.protocols.mqtt.reasons import Reason


class Peer:
    def __init__(self):
        self.ended = []

    def end(self, reason, detail):
        self.ended.append(reason)


@pytest.fixture
def door(gateway):
    def make(connections_max=2, server_reference=""):
        gateway.open_door(gateway.tasks, connections_max)
        gateway.door.server_reference = server_reference
        assert isinstance(gateway.door, Door)
        return gateway.door

    return make


async def test_the_last_one_is_one_too_many(door):
    made = door(2)
    peers = [Peer() for _ in range(3)]
    full = []
    for peer in peers:
        made.remember(peer)
        full.append(made.is_full())
    assert full == [False, False, True]
    made.forget(peers[0])
    assert not made.is_full()
    made.forget(peers[0])


@pytest.mark.parametrize(
    ("reference", "reason"), [("", Reason.SERVER_SHUTTING_DOWN), ("b.example", Reason.USE_ANOTHER_SERVER)]
)
async def test_everybody_hears_goodbye_once_and_who_comes_later_too(door, reference, reason):
    made = door(server_reference=reference)
    here, gone, late = Peer(), Peer(), Peer()
    made.remember(gone)
    made.remember(here)
    made.forget(gone)
    made.close_all()
    made.remember(late)
    assert (gone.ended, here.ended, late.ended) == ([], [reason], [reason])


async def test_who_signs_in_meanwhile_is_sent_elsewhere(door, gateway, visit, turns):
    made = door(server_reference="b.example")
    peer = visit(5)
    made.draining = True
    peer.connect("m1", "tok1")
    await turns()
    assert peer.said()[:4] == b"\x20\x0f\0\x9c"
