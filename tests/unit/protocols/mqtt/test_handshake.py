"""What of a CONNECT is refused, and what the CONNACK of any other says: nothing that is the standard's default."""

import msgspec
import pytest

from ringmain.protocols.mqtt.events import NOTHING_KEPT, Limits
from ringmain.protocols.mqtt.handshake import check, connack_properties, number_of
from ringmain.protocols.mqtt.packets import Connect, Will
from ringmain.protocols.mqtt.properties import Property
from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason

LIMITS = Limits()


def connect(level=5, client_id="c", *, clean=True, will=None, found=None):
    return Connect(level, client_id, clean, 60, will, None, None, found or {})


def will(qos=0, *, retain=False):
    return Will("t", b"", qos, retain)


@pytest.mark.parametrize(
    ("asked", "limits", "reason"),
    [
        (connect(found={Property.AUTHENTICATION_METHOD: "SCRAM"}), LIMITS, Reason.BAD_AUTHENTICATION_METHOD),
        (connect(will=will(2)), NOTHING_KEPT, Reason.QOS_NOT_SUPPORTED),
        (connect(4, will=will(2)), NOTHING_KEPT, Reason.QOS_NOT_SUPPORTED),
        (connect(will=will(retain=True)), NOTHING_KEPT, Reason.RETAIN_NOT_SUPPORTED),
        (connect(4, "", clean=False), LIMITS, Reason.CLIENT_IDENTIFIER_NOT_VALID),
        (connect(3, ""), LIMITS, Reason.CLIENT_IDENTIFIER_NOT_VALID),
    ],
)
def test_refused(asked, limits, reason):
    with pytest.raises(ProtocolViolation) as refused:
        check(asked, limits)
    assert refused.value.reason is reason


@pytest.mark.parametrize(
    ("asked", "limits"),
    [
        (connect(will=will(2, retain=True)), LIMITS),
        (connect(4, will=will(1, retain=True)), NOTHING_KEPT),
        (connect(5, "", clean=False), LIMITS),
        (connect(4, ""), LIMITS),
        (connect(3, "c" * 23), LIMITS),
        (connect(4, "c" * 24), LIMITS),
    ],
)
def test_not_refused(asked, limits):
    assert check(asked, limits) is None


def said(asked=None, limits=LIMITS, keep_alive_s=60, assigned="", expiry_s=0, response=""):
    return connack_properties(asked or connect(), limits, keep_alive_s, assigned, expiry_s, response)


ALWAYS = {Property.RECEIVE_MAXIMUM: 32, Property.MAXIMUM_PACKET_SIZE: 1_048_576}


def test_the_least():
    assert said() == {**ALWAYS, Property.TOPIC_ALIAS_MAXIMUM: 10}


@pytest.mark.parametrize(
    ("change", "name", "value"),
    [
        ({"maximum_qos": 1}, Property.MAXIMUM_QOS, 1),
        ({"maximum_qos": 0}, Property.MAXIMUM_QOS, 0),
        ({"retain": False}, Property.RETAIN_AVAILABLE, 0),
        ({"shared": False}, Property.SHARED_AVAILABLE, 0),
        ({"subscription_identifiers": False}, Property.SUBSCRIPTION_IDENTIFIER_AVAILABLE, 0),
    ],
)
def test_what_is_not_offered_is_said(change, name, value):
    assert said(limits=msgspec.structs.replace(LIMITS, **change)) == {**said(), name: value}


def test_no_aliases_are_not_said():
    assert said(limits=msgspec.structs.replace(LIMITS, topic_aliases=0)) == ALWAYS


@pytest.mark.parametrize(("asked", "granted", "told"), [(0, 0, None), (10, 10, None), (10, 5, 5), (10, 0, 0)])
def test_another_session_expiry_than_was_asked(asked, granted, told):
    found = said(connect(found={Property.SESSION_EXPIRY: asked} if asked else {}), expiry_s=granted)
    assert found.get(Property.SESSION_EXPIRY) == told


def test_another_keep_alive_and_a_client_id():
    assert said(keep_alive_s=61)[Property.SERVER_KEEP_ALIVE] == 61
    assert Property.SERVER_KEEP_ALIVE not in said(keep_alive_s=60)
    assert said(assigned="a")[Property.ASSIGNED_CLIENT_IDENTIFIER] == "a"


@pytest.mark.parametrize(("asked", "told"), [({}, False), ({Property.REQUEST_RESPONSE_INFORMATION: 0}, False),
                                             ({Property.REQUEST_RESPONSE_INFORMATION: 1}, True)])  # fmt: skip
def test_response_information(asked, told):
    assert (Property.RESPONSE_INFORMATION in said(connect(found=asked), response="apps/c/")) is told


def test_a_number_that_is_absent():
    assert number_of(None, Property.RECEIVE_MAXIMUM, 7) == 7
    assert number_of(connect(), Property.RECEIVE_MAXIMUM, 7) == 7
    assert number_of(connect(found={Property.RECEIVE_MAXIMUM: 3}), Property.RECEIVE_MAXIMUM, 7) == 3
