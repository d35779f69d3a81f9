"""What one client takes: how many, how large, and by which name."""

import pytest

from ringmain.protocols.mqtt.events import Limits
from ringmain.protocols.mqtt.outgoing import ALIASES_OUT_MAX, PACKET_BYTES_MAX, Outgoing, Sending
from ringmain.protocols.mqtt.packets import Connect
from ringmain.protocols.mqtt.properties import Property


def agreed(found=None, limits=None):
    outgoing = Outgoing()
    outgoing.agree(Connect(5, "c", True, 0, None, None, None, found or {}), limits or Limits())
    return outgoing


def test_before_anything_is_agreed_the_standards_own_limits_hold():
    outgoing = Outgoing()
    assert (outgoing.flight.maximum, outgoing.packet_bytes_max) == (65_535, PACKET_BYTES_MAX)


@pytest.mark.parametrize(("theirs", "ours", "maximum"), [(None, 32, 32), (5, 32, 5), (100, 32, 32)])
def test_the_smaller_receive_maximum(theirs, ours, maximum):
    outgoing = agreed({Property.RECEIVE_MAXIMUM: theirs} if theirs else {}, Limits(receive_maximum=ours))
    sent = [outgoing.publish(5, "t", b"", 1)[0] for _ in range(maximum + 1)]
    assert sent == [Sending.SENT] * maximum + [Sending.NO_ROOM]
    assert outgoing.publish(5, "t", b"", 0)[0] is Sending.SENT


def test_a_packet_that_is_too_large_leaves_no_trace():
    outgoing = agreed({Property.MAXIMUM_PACKET_SIZE: 30, Property.TOPIC_ALIAS_MAXIMUM: 5})
    room = outgoing.flight.room
    assert outgoing.publish(5, "t", bytes(30), 1) == (Sending.TOO_LARGE, b"")
    assert outgoing.flight.room == room
    assert outgoing.publish(5, "t", b"", 0)[1] == b"\x30\x07\0\1t\3\x23\0\1"


def test_aliases_are_bounded_however_many_the_peer_takes():
    outgoing = agreed({Property.TOPIC_ALIAS_MAXIMUM: 65_535})
    for n in range(ALIASES_OUT_MAX + 5):
        outgoing.publish(5, f"t/{n}", b"", 0)
    assert len(outgoing._aliases) == ALIASES_OUT_MAX
    assert b"t/0" not in outgoing.publish(5, "t/0", b"", 0)[1]
    assert b"t/66" in outgoing.publish(5, "t/66", b"", 0)[1]


def test_the_owners_identifier_is_kept():
    assert agreed().publish(5, "t", b"", 2, identifier=7, dup=True, retain=True)[1] == b"\x3d\x06\0\1t\0\7\0"


def test_311_has_no_properties():
    assert agreed().publish(4, "t", b"x", 0, found={Property.CONTENT_TYPE: "j"})[1] == b"\x30\x04\0\1tx"
