"""How a client is told: never before its CONNACK, never more than it takes, and how long the message still lives."""

import pytest

from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.gateway.broker.message import Message, Waiting
from ringmain.gateway.mqtt_link import MqttLink
from ringmain.protocols.mqtt.events import Limits
from ringmain.protocols.mqtt.machine import ServerMachine
from ringmain.protocols.mqtt.outgoing import Sending
from ringmain.protocols.mqtt.properties import Property
from ringmain.protocols.mqtt.reasons import Reason

CONNECT = {4: bytes.fromhex("100d00044d5154540402003c000163"), 5: bytes.fromhex("100e00044d5154540502003c00000163")}
EXPIRY = Property.MESSAGE_EXPIRY


class Driver:
    def __init__(self):
        self.is_choked, self.flushed = False, 0

    def flush(self):
        self.flushed += 1


@pytest.fixture
def linked():
    def make(level=5, *, accepted=True):
        machine, clock, ended = ServerMachine(Limits(receive_maximum=1), 0.0), SimulatedClock(), []
        machine.receive(CONNECT[level], 0.0)
        if accepted:
            machine.accept(0.0)
            machine.data_to_send()
        link = MqttLink(machine, Driver(), clock, lambda reason, _: ended.append(reason))
        return link, machine, clock, ended

    return make


def waiting(qos=1, found=None, expires_ms=None, **more):
    return Waiting(Message("t", b"x", qos, False, found or {}, expires_ms), qos, "t", **more)


def test_nothing_before_the_connack(linked):
    link, machine, _, _ = linked(accepted=False)
    assert link.choked
    assert link.deliver(waiting(), 7) is Sending.NO_ROOM
    link.deliver_release(7)
    assert machine.data_to_send() == b""


def test_a_peer_that_does_not_read(linked):
    link, _, _, _ = linked()
    assert not link.choked
    link._driver.is_choked = True
    assert link.choked


def test_no_more_than_it_takes(linked):
    link, _, _, _ = linked()
    assert [link.deliver(waiting(), n) for n in (1, 2)] == [Sending.SENT, Sending.NO_ROOM]


@pytest.mark.parametrize(("qos", "dup", "first"), [(0, True, 0x30), (1, True, 0x3A), (1, False, 0x32), (2, True, 0x3C)])
def test_what_may_come_again_says_so_but_not_at_qos_0(linked, qos, dup, first):
    link, machine, _, _ = linked()
    link.deliver(waiting(qos, dup=dup), 7 if qos else 0)
    assert machine.data_to_send()[0] == first


@pytest.mark.parametrize(("passed_s", "left"), [(0, 10), (3, 7), (3.5, 7), (9.999, 1), (10, 0), (99, 0)])
def test_what_is_left_of_its_life_goes_with_it(linked, passed_s, left):
    link, machine, clock, _ = linked()
    message = waiting(found={EXPIRY: 10}, expires_ms=clock.now_ms() + 10_000)
    clock.advance(passed_s)
    link.deliver(message, 7)
    assert b"\x05\x02" + left.to_bytes(4, "big") in machine.data_to_send()
    assert message.message.found == {EXPIRY: 10}


def test_identifiers_of_the_subscriptions_that_brought_it(linked):
    link, machine, _, _ = linked()
    link.deliver(waiting(0, numbers=(1, 2)), 0)
    assert machine.data_to_send() == b"\x30\x09\0\1t\4\x0b\1\x0b\2x"


def test_311_hears_nothing_of_all_that(linked):
    link, machine, _, _ = linked(4)
    link.deliver(waiting(0, found={EXPIRY: 10}, numbers=(1,)), 0)
    assert machine.data_to_send() == b"\x30\x04\0\1tx"


def test_who_is_taken_over_is_told_why(linked):
    link, _, _, ended = linked()
    link.taken_over()
    link.flush()
    assert ended == [Reason.SESSION_TAKEN_OVER]
    assert link._driver.flushed == 1
