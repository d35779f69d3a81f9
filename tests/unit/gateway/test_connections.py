"""Connections: who is open, who replaces whom, and who hears of a change that came while they signed in."""

import pytest

from ringmain.gateway.connections import Connections
from ringmain.model.errors import Refused


class Open:
    def __init__(self, client_id):
        self.client_id = client_id
        self.heard = []

    def cut(self, refused):
        self.heard.append(refused.code)

    def reauthorise(self, principal):
        pass

    def notify(self, notice, body):
        self.heard.append((notice, body))


@pytest.fixture
def connections():
    return Connections()


def test_a_late_goodbye_of_the_replaced_one_takes_nobody_away(connections):
    old, new = Open("c"), Open("c")
    assert connections.attach(1, old) is None
    assert connections.attach(1, new) is old
    connections.detach(1, old)
    assert connections.of(1) == [new]
    assert connections.count == 1
    connections.detach(1, new)
    connections.detach(1, new)
    assert (connections.of(1), connections.count) == ([], 0)


def test_only_the_device_that_is_meant(connections):
    mine, other = Open("c"), Open("c")
    connections.attach(1, mine)
    connections.attach(2, other)
    assert connections.cut(1, Refused("device_suspended", "x")) == 1
    connections.notify(2, "errors", b"{}")
    connections.notify(3, "errors", b"{}")
    assert mine.heard == ["device_suspended"]
    assert other.heard == [("errors", b"{}")]
    assert list(connections.all()) == [mine, other]
    assert connections.count == 2


def test_one_that_closes_while_all_are_cut(connections):
    class Closing(Open):
        def cut(self, refused):
            connections.detach(1, self)

    for n in range(3):
        connections.attach(1, Closing(str(n)))
    assert connections.cut(1, Refused("device_suspended", "x")) == 3
    assert connections.count == 0


def test_everyone_who_watches_hears_of_a_change_until_they_look_away(connections):
    with connections.watch() as one:
        connections.changed(1)
        with connections.watch() as two:
            connections.changed(2)
        connections.changed(3)
    connections.changed(4)
    assert (one, two) == ({1, 2, 3}, {2})
    assert not connections._watches


def test_a_watch_ends_with_an_error_too(connections):
    with pytest.raises(RuntimeError), connections.watch():
        raise RuntimeError
    assert not connections._watches
