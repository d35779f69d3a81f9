"""Messages of a client until they are over: what is counted, and what is answered to each."""

import pytest

from ringmain.protocols.mqtt.events import Limits, Published
from ringmain.protocols.mqtt.incoming import Incoming
from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason


def taken(identifiers, *, level=5, second=(), maximum=4):
    incoming = Incoming(Limits(receive_maximum=maximum))
    incoming.reader.level = level
    batch = Published.empty()
    for identifier in identifiers:
        body = b"\0\1t" + identifier + (b"\0" if level == 5 else b"")
        incoming.reader.read(body, 0x34 if identifier in second else 0x32, 0, len(body), batch)
    incoming.count(batch)
    return incoming


A, B, C = b"\0\1", b"\0\2", b"\0\3"


def test_one_too_many_is_a_violation_of_mqtt_5_alone():
    with pytest.raises(ProtocolViolation) as refused:
        taken([A, B, C], maximum=2)
    assert refused.value.reason is Reason.RECEIVE_MAXIMUM_EXCEEDED
    assert taken([A, B, C], level=4, maximum=2).in_flight == 3


def test_each_is_answered_with_what_its_qos_has_in_their_order():
    incoming = taken([A, B, C], second=[B])
    assert b"".join(incoming.acknowledge([A, B, C], Reason.SUCCESS)).hex() == "40020001" + "50020002" + "40020003"
    assert incoming.in_flight == 0


def test_one_that_is_recorded_still_counts_until_it_is_over():
    incoming = taken([A], second=[A], maximum=1)
    incoming.acknowledge([A], Reason.SUCCESS)
    more = Published([b"t"], [b""], [B], [], [])
    with pytest.raises(ProtocolViolation):
        incoming.count(more)
    incoming = taken([A], second=[A], maximum=1)
    incoming.acknowledge([A], Reason.SUCCESS)
    incoming.forget(A)
    incoming.count(more)


def test_one_that_is_refused_is_over():
    incoming = taken([A], second=[A])
    assert incoming.acknowledge([A], Reason.QUOTA_EXCEEDED) == [b"\x50\x03\0\1\x97"]
    assert A not in incoming


def test_one_of_an_earlier_connection_is_known_and_does_not_count():
    incoming = taken([], maximum=1)
    incoming.restore([A])
    assert A in incoming
    incoming.forget(A)
    incoming.count(Published([b"t"], [b""], [B], [], []))
    assert A not in incoming


def test_what_comes_again_is_answered_once_more():
    incoming = taken([A], second=[A])
    incoming.acknowledge([A], Reason.SUCCESS)
    incoming.reader.read(b"\0\1t\0\1\0", 0x3C, 0, 6, Published.empty())
    assert incoming.again() == [b"\x50\x02\0\1"]
    assert incoming.again() == []
