"""PUBLISH from a client: every rule of one packet, and that the short way takes nothing that the long one would not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.protocols.mqtt import wire
from ringmain.protocols.mqtt.events import NOTHING_KEPT, Limits, Published
from ringmain.protocols.mqtt.properties import Property
from ringmain.protocols.mqtt.publishes import TOPICS_REMEMBERED, PublishReader
from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason


def reader(level=4, limits=None):
    made = PublishReader(limits or Limits())
    made.level = level
    return made


def read(made, first, body, batch=None):
    batch = batch or Published.empty()
    made.read(body, first, 0, len(body), batch)
    return batch


@pytest.mark.parametrize(
    ("first", "body", "level", "limits", "reason"),
    [
        (0x30, b"", 4, None, Reason.MALFORMED_PACKET),
        (0x30, b"\0\2t", 4, None, Reason.MALFORMED_PACKET),
        (0x32, b"\0\1t\0", 4, None, Reason.MALFORMED_PACKET),
        (0x36, b"\0\1t\0\1", 4, None, Reason.MALFORMED_PACKET),
        (0x38, b"\0\1t", 4, None, Reason.MALFORMED_PACKET),
        (0x30, b"\0\0x", 4, None, Reason.MALFORMED_PACKET),
        (0x30, b"\0\1#", 4, None, Reason.MALFORMED_PACKET),
        (0x30, b"\0\1\xff", 4, None, Reason.MALFORMED_PACKET),
        (0x32, b"\0\1t\0\0", 4, None, Reason.PROTOCOL_ERROR),
        (0x34, b"\0\1t\0\0", 4, None, Reason.PROTOCOL_ERROR),
        (0x34, b"\0\1t\0\1", 4, NOTHING_KEPT, Reason.QOS_NOT_SUPPORTED),
        (0x31, b"\0\1t\0", 5, NOTHING_KEPT, Reason.RETAIN_NOT_SUPPORTED),
        (0x30, b"\0\1t\3\x23\0\1", 5, NOTHING_KEPT, Reason.TOPIC_ALIAS_INVALID),
        (0x30, b"\0\1t\3\x23\0\x0b", 5, None, Reason.TOPIC_ALIAS_INVALID),
        (0x30, b"\0\1t\3\x23\0\0", 5, None, Reason.PROTOCOL_ERROR),
        (0x30, b"\0\0\3\x23\0\1", 5, None, Reason.PROTOCOL_ERROR),
        (0x30, b"\0\0\0", 5, None, Reason.MALFORMED_PACKET),
    ],
)
def test_refused(first, body, level, limits, reason):
    batch = Published.empty()
    with pytest.raises(ProtocolViolation) as refused:
        read(reader(level, limits), first, body, batch)
    assert refused.value.reason is reason
    assert batch == Published.empty()


def test_the_retain_flag_of_311_is_taken_where_nothing_is_kept():
    assert read(reader(4, NOTHING_KEPT), 0x31, b"\0\1tx").payloads == [b"x"]


class TestPlain:
    def test_a_batch_says_more_only_where_there_is_more(self):
        made = reader(5)
        batch = read(made, 0x30, b"\0\1t\0" + b"0")
        read(made, 0x3A, b"\0\1t\0\1\0" + b"1", batch)
        assert (batch.plain, batch.firsts, batch.properties) == (True, [], [])
        read(made, 0x31, b"\0\1t\0" + b"2", batch)
        read(made, 0x30, b"\0\1t\0" + b"3", batch)
        assert (batch.plain, batch.firsts) == (False, [0x30, 0x32, 0x31, 0x30])
        assert batch.properties == [{}, {}, {}, {}]

    def test_the_short_way_pads_what_is_not_plain(self):
        made = reader(4)
        batch = read(made, 0x33, b"\0\1t\0\1x")
        stream = b"\x32\x06\0\1t\0\2y" * 3
        assert made.run(stream, 0, len(stream), batch) == len(stream)
        assert batch.firsts == [0x33, 0x32, 0x32, 0x32]
        assert len(batch.properties) == 4

    def test_an_alias_alone_does_not_make_it_rich(self):
        batch = read(reader(5), 0x30, b"\0\1t\3\x23\0\1x")
        assert batch.plain


class TestAliases:
    def test_a_topic_by_its_number(self):
        made = reader(5)
        batch = read(made, 0x30, b"\0\1t\3\x23\0\1a")
        read(made, 0x30, b"\0\0\3\x23\0\1b", batch)
        read(made, 0x30, b"\0\1u\3\x23\0\1c", batch)
        read(made, 0x30, b"\0\0\7\x23\0\1\3\0\1j" + b"d", batch)
        assert batch.topics == [b"t", b"t", b"u", b"u"]
        assert batch.properties[3] == {Property.CONTENT_TYPE: "j"}

    def test_the_short_way_does_not_take_one(self):
        made = reader(5)
        batch = read(made, 0x32, b"\0\1t\0\1\3\x23\0\1a")
        stream = wire.packet(0x32, b"\0\0\0\2\3\x23\0\1b")
        assert made.run(stream, 0, len(stream), batch) == 0


class TestUnreleased:
    BODY = b"\0\1t\0\7x"

    def test_one_that_is_on_its_way_is_not_taken_again_and_not_answered(self):
        made = reader()
        batch = read(made, 0x34, self.BODY)
        read(made, 0x3C, self.BODY, batch)
        assert len(batch.topics) == 1
        assert made.again == []

    def test_one_that_was_recorded_is_answered_again(self):
        made = reader()
        batch = read(made, 0x34, self.BODY)
        made.unreleased[b"\0\7"].recorded = True
        read(made, 0x3C, self.BODY, batch)
        assert len(batch.topics) == 1
        assert made.again == [b"\0\7"]

    def test_the_same_as_if_it_were_new_is_borne_once(self):
        made = reader()
        batch = read(made, 0x34, self.BODY)
        read(made, 0x34, self.BODY, batch)
        with pytest.raises(ProtocolViolation) as refused:
            read(made, 0x34, self.BODY, batch)
        assert refused.value.reason is Reason.PROTOCOL_ERROR
        assert len(batch.topics) == 1

    def test_another_message_under_the_same_identifier_is_another_message(self):
        made = reader()
        batch = read(made, 0x34, self.BODY)
        read(made, 0x34, self.BODY + b"y", batch)
        assert batch.payloads == [b"x", b"xy"]

    def test_but_not_where_it_says_that_it_comes_again(self):
        made = reader()
        batch = read(made, 0x34, self.BODY)
        read(made, 0x3C, self.BODY + b"y", batch)
        assert batch.payloads == [b"x"]


def test_topics_remembered_are_bounded():
    made = reader()
    for n in range(TOPICS_REMEMBERED + 10):
        read(made, 0x30, wire.text(f"t/{n}"))
    assert len(made._topics) <= TOPICS_REMEMBERED


@given(
    level=st.sampled_from([4, 5]),
    bodies=st.lists(
        st.tuples(
            st.sampled_from([0x32, 0x32, 0x32, 0x30, 0x34, 0x33]),
            st.sampled_from([b"\0\1t", b"\0\1t", b"\0\1u", b"\0\0"]),
            st.integers(0, 5),
            st.sampled_from([b"\0", b"\0", b"\2\1\1", b"\3\x23\0\1", b""]),
            st.binary(max_size=8) | st.just(bytes(200)),
        ),
        max_size=8,
    ),
)
def test_the_short_way_says_what_the_long_one_says(level, bodies):
    stream = b""
    for first, topic, identifier, found, payload in bodies:
        raw = identifier.to_bytes(2, "big") if first & 6 else b""
        stream += wire.packet(first, topic + raw + (found if level == 5 else b"") + payload)
    assert walk(level, stream, short=True) == walk(level, stream, short=False)


def walk(level, stream, *, short):
    """All messages of a stream and how it ended."""
    made, batch, at, end = reader(level), Published.empty(), 0, len(stream)
    ended = None
    try:
        while at < end:
            if short and stream[at] == 0x32:
                at = made.run(stream, at, end, batch)
                if at == end:
                    break
            cursor = wire.Cursor(stream, at + 1)
            length = cursor.variable()
            made.read(stream, stream[at], cursor.at, cursor.at + length, batch)
            at = cursor.at + length
    except ProtocolViolation as violation:
        ended = violation.reason
    firsts = batch.firsts or [0x32 if it else 0x30 for it in batch.identifiers]
    found = [dict(it) for it in batch.properties] or [{}] * len(batch.topics)
    return list(zip(batch.topics, batch.payloads, batch.identifiers, firsts, found, strict=True)), ended
