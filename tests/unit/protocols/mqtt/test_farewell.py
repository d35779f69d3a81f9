"""The last packet: which goodbyes of a client are none, and what the server says with how many words."""

import pytest

from ringmain.protocols.mqtt.events import Closed
from ringmain.protocols.mqtt.farewell import EXPLANATION_MAX, disconnected, goodbye, refusal
from ringmain.protocols.mqtt.packets import Connect
from ringmain.protocols.mqtt.properties import Property
from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason


def connect(expiry_s=0):
    return Connect(5, "c", True, 0, None, None, None, {Property.SESSION_EXPIRY: expiry_s} if expiry_s else {})


ALLOWED = {0x00, 0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99}


@pytest.mark.parametrize("reason", range(256))
def test_the_reasons_that_a_client_may_give(reason):
    if reason in ALLOWED:
        closed = disconnected(bytes((reason,)), 5, connect())
        assert (closed.reason, closed.by_peer, closed.publish_will) == (Reason.SUCCESS, True, reason != 0)
        return
    closed = disconnected(bytes((reason,)), 5, connect())
    assert (closed.reason, closed.by_peer, closed.publish_will) == (Reason.PROTOCOL_ERROR, False, True)


def test_a_server_reference_of_a_client_says_nothing():
    closed = disconnected(b"\0\4\x1c\0\1p", 5, connect())
    assert (closed.reason, closed.publish_will) == (Reason.SUCCESS, False)


def test_a_session_that_was_to_end_may_not_be_kept_after_all():
    with pytest.raises(ProtocolViolation) as refused:
        disconnected(b"\0\5\x11\0\0\0\1", 5, connect())
    assert refused.value.reason is Reason.PROTOCOL_ERROR


@pytest.mark.parametrize(("asked", "said"), [(10, 5), (10, 0), (0, 0)])
def test_when_the_session_ends_may_change(asked, said):
    assert disconnected(b"\0\5\x11\0\0\0" + bytes((said,)), 5, connect(asked)).session_expiry_s == said


def test_311_says_nothing_more():
    assert disconnected(b"", 4, connect()) == Closed(Reason.SUCCESS, "disconnected", by_peer=True, publish_will=False)
    with pytest.raises(ProtocolViolation):
        disconnected(b"\0", 4, connect())


def test_words_give_way_to_the_peers_limit_and_then_all_of_it():
    full = goodbye(Reason.ADMINISTRATIVE_ACTION, "because", "", 1_000)
    assert full == b"\xe0\x0c\x98\x0a\x1f\0\7because"
    assert goodbye(Reason.ADMINISTRATIVE_ACTION, "because", "", len(full) - 1) == b"\xe0\x01\x98"
    assert goodbye(Reason.ADMINISTRATIVE_ACTION, "because", "", 2) == b""


def test_words_are_bounded():
    assert goodbye(Reason.UNSPECIFIED, "x" * 1_000, "", 10_000).count(b"x") == EXPLANATION_MAX


@pytest.mark.parametrize(
    ("level", "reason", "said"),
    [
        (5, Reason.USE_ANOTHER_SERVER, "2007009c041c000162"),
        (5, Reason.SERVER_MOVED, "2007009d041c000162"),
        (5, Reason.NOT_AUTHORIZED, "2003008700"),
        (4, Reason.USE_ANOTHER_SERVER, "20020003"),
        (4, Reason.NOT_AUTHORIZED, "20020005"),
        (4, Reason.MALFORMED_PACKET, ""),
    ],
)
def test_a_refusal(level, reason, said):
    assert refusal(level, reason, "b").hex() == said
