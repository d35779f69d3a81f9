"""The bytes of messages in the records: keys in their order, and everything back as it was."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.gateway.broker.message import (
    Message,
    Waiting,
    decode_message,
    decode_waiting,
    encode_message,
    encode_waiting,
    packet_identifier,
    queued_key,
    retained_key,
    unreleased_key,
    with_expiry,
)
from ringmain.protocols.mqtt.flight import UNKEPT_FROM
from ringmain.protocols.mqtt.properties import Property
from ringmain.protocols.mqtt.reasons import ProtocolViolation

texts = st.text(
    st.characters(min_codepoint=32, max_codepoint=0xD7FF, exclude_categories=("Cc",)), min_size=1, max_size=10
)
found = st.fixed_dictionaries(
    {},
    optional={
        Property.CONTENT_TYPE: texts,
        Property.CORRELATION_DATA: st.binary(max_size=5),
        Property.MESSAGE_EXPIRY: st.integers(0, 2**32 - 1),
        Property.USER_PROPERTY: st.lists(st.tuples(texts, texts), min_size=1, max_size=3).map(tuple),
    },
)
messages = st.builds(
    Message, texts, st.binary(max_size=20), st.integers(0, 2), st.booleans(), found, st.none() | st.integers(0, 2**50)
)


@pytest.mark.parametrize("body", [b"", b"\x80", b"\x91\xa1t", b"certainly no message"])
def test_what_is_no_message_is_refused(body):
    with pytest.raises(msgspec.DecodeError):
        decode_message(body)


def test_properties_that_are_none_are_refused():
    stored = msgspec.msgpack.encode(["t", b"x", 0, False, b"\x02\xff\xff", None])
    with pytest.raises(ProtocolViolation):
        decode_message(stored)


@given(messages)
def test_a_message_comes_back(message):
    assert decode_message(encode_message(message)) == message


@given(messages, st.integers(1, 2), texts, st.booleans(), st.lists(st.integers(1, 99), max_size=3).map(tuple))
def test_one_that_waits_comes_back_as_one_that_may_have_been_sent(message, qos, shown, retain, numbers):
    back = decode_waiting(7, encode_waiting(Waiting(message, qos, shown, retain, numbers, 7)))
    assert (back.message.payload, back.message.found, back.message.expires_ms) == (
        message.payload, message.found, message.expires_ms
    )  # fmt: skip
    assert (back.qos, back.topic, back.retain, back.numbers, back.sequence) == (qos, shown, retain, numbers, 7)
    assert (back.dup, back.released) == (True, False)


def test_of_one_that_was_received_only_its_place_is_kept():
    body = encode_waiting(Waiting(Message("t", b"secret" * 100, 2), 2, "t", sequence=7, released=True))
    assert b"secret" not in body
    assert decode_waiting(7, body).released


@given(st.integers(1, 2**40), st.integers(1, 2**40), st.integers(1, 2**40), st.integers(1, 2**40))
def test_keys_stand_in_the_order_of_session_and_sequence(session, sequence, other, later):
    assert (queued_key(session, sequence) < queued_key(other, later)) is ((session, sequence) < (other, later))
    assert (unreleased_key(session, b"\0\1") < unreleased_key(other, b"\0\1")) is (session < other)


@given(texts, texts, texts, texts)
def test_no_two_retained_messages_share_a_key(tenant, topic, other_tenant, other_topic):
    same = retained_key(tenant, topic) == retained_key(other_tenant, other_topic)
    assert same is ((tenant, topic) == (other_tenant, other_topic))


def test_identifiers_stay_in_their_half_and_none_comes_again_within_it():
    half = [packet_identifier(sequence) for sequence in range(1, UNKEPT_FROM)]
    assert half == list(range(1, UNKEPT_FROM))
    assert packet_identifier(UNKEPT_FROM) == 1


@pytest.mark.parametrize(("properties", "at"), [({}, None), ({Property.MESSAGE_EXPIRY: 0}, 1_000),
                                                ({Property.MESSAGE_EXPIRY: 5}, 6_000)])  # fmt: skip
def test_when_a_message_expires(properties, at):
    assert with_expiry(properties, 1_000) == at
