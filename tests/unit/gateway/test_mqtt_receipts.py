"""What a client hears of its messages: nothing good of what is not durable, and each its own answer in order."""

import pytest

from ringmain.gateway.mqtt_receipts import IN_FLIGHT_311_MAX, MqttReceipts
from ringmain.model.errors import Failed
from ringmain.protocols.mqtt.reasons import Reason

FULL, BROKEN = Failed("storage_full", "full"), Failed("storage_failed", "broken")
A, B, C = b"\0\1", b"\0\2", b"\0\3"


class Machine:
    def __init__(self, level):
        self.level, self.in_flight, self.said = level, 0, []

    def acknowledge(self, identifiers, reason):
        self.said += [(identifier, reason) for identifier in identifiers]


class Driver:
    def __init__(self):
        self.held = []

    def flush(self):
        pass

    def hold(self, reason, *, excuses=False):
        self.held.append((reason, excuses))

    def release(self, reason):
        self.held = [each for each in self.held if each[0] != reason]


class Door:
    def __init__(self):
        self.broker, self.dropped, self.untaken = self, [], []
        self.on_dropped = self.dropped.append

    def untake(self, _, identifiers):
        self.untaken += identifiers


class Session:
    unreleased = frozenset({A, B, C})


@pytest.fixture
def receipts():
    def make(level=5):
        made = MqttReceipts(Door(), Machine(level), Driver(), lambda reason, _: made.ended.append(reason))
        made.ended, made.session = [], Session()
        return made

    return make


@pytest.mark.parametrize(("level", "failed"), [(4, FULL), (4, BROKEN), (5, BROKEN)])
def test_a_failure_that_has_no_words_ends_it(receipts, level, failed):
    made = receipts(level)
    made.settle([A, b"", B, b""], failed)
    assert made._machine.said == []
    assert made.ended == [Reason.SERVER_UNAVAILABLE]
    assert made._door.dropped == [2]
    assert made._door.untaken == [A, b"", B, b""]


def test_mqtt_5_hears_that_there_was_no_room_whatever_else_there_was_to_say(receipts):
    made = receipts()
    made.tell({B: Reason.NO_MATCHING_SUBSCRIBERS})
    made.refuse([C], "foreign_device")
    made.settle([A, B, C], FULL)
    assert made._machine.said == [(each, Reason.QUOTA_EXCEEDED) for each in (A, B, C)]
    assert made.ended == []
    made.settle([A, B, C], None)
    assert made._machine.said[3:] == [(each, Reason.SUCCESS) for each in (A, B, C)], "said once"


def test_each_its_own_answer_in_order(receipts):
    made = receipts()
    made.tell({A: Reason.NO_MATCHING_SUBSCRIBERS})
    made.refuse([b"", C], "foreign_device")
    made.settle([A, b"", B, C], None)
    assert made._machine.said == [(A, 0x10), (B, 0), (C, 0x87)]
    assert made._door.untaken == [C]
    assert made._door.dropped == []


def test_311_knows_success_alone(receipts):
    made = receipts(4)
    made.refuse([A], "foreign_device")
    made.settle([A], None)
    assert made._machine.said == [(A, Reason.SUCCESS)]


def test_too_many_without_an_answer_are_waited_for(receipts):
    made = receipts(4)
    made._machine.in_flight = IN_FLIGHT_311_MAX
    made.pace()
    assert made._driver.held == []
    made._machine.in_flight += 1
    made.pace()
    assert made._driver.held == [("in flight", True)]
    made.settle([A], None)
    assert made._driver.held == [("in flight", True)]
    made._machine.in_flight -= 1
    made.settle([B], None)
    assert made._driver.held == []


def test_the_log_may_hold_it(receipts):
    made = receipts()
    made.hold()
    assert made._driver.held == [("log", True)]
    made.resume()
    assert made._driver.held == []
