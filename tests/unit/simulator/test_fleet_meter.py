"""One meter: which interval is next, when it is due, how far it is behind; and the guards of its connection."""

import numpy as np
import pytest

from ringmain.simulator.fleet_meter import NEVER_MS, Meter, MeterConnection, Span
from ringmain.simulator.meters import MeterBank
from ringmain.simulator.mqtt_client import PeerError, Settings
from ringmain.simulator.payload import Form, encoder


class Steady:
    rows = 1
    initial_wh = (np.array([0]), np.array([0]))
    exporting = np.array([False])

    def counted_mj(self, at_ms):
        return at_ms * 1000, at_ms * 0


def meter(span=Span(5, 9), spread_ms=30, rows=1):  # noqa: B008  # frozen
    encode = encoder(Form.LIST, ("energy_wh",), exporting=False)
    return Meter(0, Settings("m", "", ""), "t", MeterBank(Steady(), 1, 0, 1000), 0, span, spread_ms, encode, rows)


def test_a_reading_is_due_when_its_interval_has_ended_and_its_turn_has_come():
    assert meter().due_ms == 6030


def test_each_message_moves_it_on_until_the_end():
    each = meter()
    for number in range(5, 9):
        assert each.next_number == number
        each.publish(each.due_ms, 1)
    assert each.due_ms == NEVER_MS
    assert each.readings == each.client.unacknowledged == 4


@pytest.mark.parametrize(("now_ms", "behind"), [(6029, 0), (6030, 1), (7029, 1), (7030, 2), (999_999, 4)])
def test_how_far_it_is_behind(now_ms, behind):
    assert meter().behind(now_ms) == behind


def test_without_an_end_it_is_behind_by_all_that_passed():
    assert meter(Span(5)).behind(106_030) == 101


@pytest.mark.parametrize(("now_ms", "taken"), [(6030, 1), (8030, 3), (999_999, 4)])
def test_a_message_takes_what_is_due_and_no_more(now_ms, taken):
    each = meter(rows=48)
    each.publish(now_ms, 1)
    assert each.readings == taken
    assert each.next_number == 5 + taken


class Transport:
    def __init__(self):
        self.written, self.aborted = b"", False

    def write(self, data):
        self.written += data

    def abort(self):
        self.aborted = True


class Base:
    def __init__(self):
        self.heard_of, self.lost_with = [], []

    def heard(self, meter, acknowledged):
        self.heard_of.append(acknowledged)

    def lost(self, meter, error):
        self.lost_with.append(error)


class Clock:
    def time(self):
        return 1.0


def connection():
    each, base = meter(), Base()
    return each, base, MeterConnection(each, base, Clock())


def test_a_connection_says_connect_and_hands_on_what_is_acknowledged():
    each, base, talk = connection()
    transport = Transport()
    talk.connection_made(transport)
    assert transport.written[:1] == b"\x10"
    assert not each.up
    talk.data_received(b"\x20\x02\x00\x00")
    assert each.up
    each.publish(each.due_ms, 1)
    each.client.data_to_send(1.0)
    talk.data_received(b"\x40\x02\x00\x01")
    assert base.heard_of == [0, 1]


def test_what_is_against_the_rules_ends_it_and_is_told():
    each, base, talk = connection()
    transport = Transport()
    talk.connection_made(transport)
    talk.data_received(b"\x90\x00")
    assert transport.aborted
    talk.connection_lost(None)
    assert each.transport is None
    assert isinstance(base.lost_with[0], PeerError)


def test_a_second_connection_of_the_same_meter_is_broken_off_and_changes_nothing():
    each, base, talk = connection()
    first, second = Transport(), Transport()
    talk.connection_made(first)
    late = MeterConnection(each, base, Clock())
    late.connection_made(second)
    late.data_received(b"\x20\x02\x00\x00")
    late.connection_lost(None)
    assert second.aborted
    assert each.transport is first
    assert (base.heard_of, base.lost_with) == ([], [])


def test_a_full_socket_pauses_the_meter():
    each, _, talk = connection()
    talk.connection_made(Transport())
    talk.pause_writing()
    assert each.paused
    talk.resume_writing()
    assert not each.paused
