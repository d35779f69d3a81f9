"""Properties: what may stand where, how often, and every set of them back as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.protocols.mqtt import properties
from ringmain.protocols.mqtt.properties import USER_PROPERTIES_MAX, Property
from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason
from ringmain.protocols.mqtt.wire import Cursor

EVERY = frozenset(Property)
KINDS = {name: properties._TYPES[name] for name in Property}
plain = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
VALUES = {
    0: st.integers(0, 1),
    1: st.integers(0, 255),
    2: st.integers(1, 65_535),
    3: st.integers(1, 2**32 - 1),
    4: st.integers(1, 268_435_455),
    5: plain,
    6: st.binary(max_size=20),
    7: st.lists(st.tuples(plain, plain), min_size=1, max_size=4).map(tuple),
}


@pytest.mark.parametrize("name", Property)
def test_none_may_stand_where_it_is_not_allowed(name):
    value = {5: "x", 6: b"x", 7: (("k", "v"),)}.get(KINDS[name], 1)
    with pytest.raises(ProtocolViolation, match="may not stand") as refused:
        properties.decode(Cursor(properties.encode({name: value})), EVERY - {name})
    assert refused.value.reason is Reason.PROTOCOL_ERROR
    with pytest.raises(ProtocolViolation, match="may not stand") as refused:
        properties.decode(Cursor(properties.encode({name: value})), EVERY - {name}, foreign=Reason.MALFORMED_PACKET)
    assert refused.value.reason is Reason.MALFORMED_PACKET


@pytest.mark.parametrize("number", sorted(set(range(1, 128)) - set(Property)))
def test_one_that_does_not_exist_may_stand_nowhere(number):
    with pytest.raises(ProtocolViolation, match="does not exist") as refused:
        properties.decode(Cursor(bytes((2, number, 0))), EVERY)
    assert refused.value.reason is Reason.MALFORMED_PACKET


@pytest.mark.parametrize("name", [it for it in Property if KINDS[it] == 0])
def test_a_boolean_is_0_or_1(name):
    with pytest.raises(ProtocolViolation) as refused:
        properties.decode(Cursor(bytes((2, name, 2))), EVERY)
    assert refused.value.reason is Reason.PROTOCOL_ERROR


def test_a_server_says_a_subscription_identifier_several_times():
    assert properties.encode({Property.SUBSCRIPTION_IDENTIFIER: (1, 200)}).hex() == "050b010bc801"


@pytest.mark.parametrize("name", [it for it in Property if it is not Property.USER_PROPERTY])
def test_none_but_user_property_may_stand_twice(name):
    once = properties.encode({name: {5: "x", 6: b"x"}.get(KINDS[name], 1)})[1:]
    with pytest.raises(ProtocolViolation, match="twice"):
        properties.decode(Cursor(bytes((2 * len(once),)) + once + once), EVERY)


def test_user_properties_are_limited():
    pair = b"\x26\0\1k\0\1v"
    for count, fits in ((USER_PROPERTIES_MAX, True), (USER_PROPERTIES_MAX + 1, False)):
        body = pair * count
        data = Cursor(
            len(body).to_bytes(1, "big") if len(body) < 128 else bytes((len(body) & 127 | 128, len(body) >> 7))
        )
        data.data += body
        data.end = len(data.data)
        if fits:
            assert len(properties.decode(data, EVERY)[Property.USER_PROPERTY]) == count
        else:
            with pytest.raises(ProtocolViolation) as refused:
                properties.decode(data, EVERY)
            assert refused.value.reason is Reason.QUOTA_EXCEEDED


def test_a_value_of_another_type_is_not_written():
    with pytest.raises(ValueError, match="RECEIVE_MAXIMUM"):
        properties.encode({Property.RECEIVE_MAXIMUM: "20"})


@given(st.sets(st.sampled_from(list(Property)), max_size=10).flatmap(
    lambda names: st.fixed_dictionaries({name: VALUES[KINDS[name]] for name in sorted(names)})
))  # fmt: skip
def test_round_trip(found):
    data = properties.encode(found)
    cursor = Cursor(data + b"behind")
    assert properties.decode(cursor, EVERY) == found
    assert cursor.rest() == b"behind"


def test_none_at_all():
    assert properties.decode(Cursor(b"\0"), EVERY) == {}
    assert properties.encode({}) == b"\0"
