"""Topic filters against topic names, as in the examples of §4.7.1 and against a slow matcher of another kind."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason
from ringmain.protocols.mqtt.topics import matches, shared_filter, topic_filter, topic_name


@pytest.mark.parametrize("bad", ["a#", "#/a", "a/#/b", "a+", "+a/b", "a/b+", "##"])
def test_filters_that_are_not_well_formed(bad):
    with pytest.raises(ProtocolViolation) as refused:
        topic_filter(bad.encode())
    assert refused.value.reason is Reason.TOPIC_FILTER_INVALID


def test_an_empty_name():
    with pytest.raises(ProtocolViolation) as refused:
        topic_name(b"")
    assert refused.value.reason is Reason.TOPIC_NAME_INVALID


@pytest.mark.parametrize("read", [topic_name, topic_filter])
def test_names_that_are_beyond_our_limits(read):
    for name in ("/" * 200, "a/" * 200 + "b", "a" * 4_096):
        assert read(name.encode()) == name
    with pytest.raises(ProtocolViolation) as refused:
        read(b"/" * 201)
    assert refused.value.reason is Reason.MALFORMED_PACKET
    with pytest.raises(ProtocolViolation) as refused:
        read(b"a" * 4_097)
    assert refused.value.reason in (Reason.TOPIC_NAME_INVALID, Reason.TOPIC_FILTER_INVALID)


def test_a_plus_stands_near_the_root():
    assert topic_filter(b"+/" * 32 + b"#")
    with pytest.raises(ProtocolViolation) as refused:
        topic_filter(b"a/" * 32 + b"+")
    assert refused.value.reason is Reason.TOPIC_FILTER_INVALID


@pytest.mark.parametrize("bad", ["a/+", "#", "a+", "#/a"])
def test_names_that_are_not_well_formed(bad):
    with pytest.raises(ProtocolViolation) as refused:
        topic_name(bad.encode())
    assert refused.value.reason is Reason.MALFORMED_PACKET


def test_a_filter_of_nothing_is_no_packet():
    with pytest.raises(ProtocolViolation) as refused:
        topic_filter(b"")
    assert refused.value.reason is Reason.MALFORMED_PACKET


@pytest.mark.parametrize("pattern", ["$share/", "$share/g", "$share/g/", "$share//a", "$share/+/a", "$share/g#/a"])
def test_shared_filters_that_are_not_well_formed(pattern):
    group, found = shared_filter(pattern)
    assert group
    assert found == ""


@pytest.mark.parametrize(
    ("pattern", "parts"),
    [
        ("$share/g/a/+", ("g", "a/+")),
        ("$share/g//a", ("g", "/a")),
        ("a", ("", "a")),
        ("$shared/g/a", ("", "$shared/g/a")),
    ],
)
def test_shared_filters(pattern, parts):
    assert shared_filter(pattern) == parts


@pytest.mark.parametrize(
    ("pattern", "topic", "does"),
    [("sport/tennis/player1/#", "sport/tennis/player1", True),
     ("sport/tennis/player1/#", "sport/tennis/player1/r/w", True),
     ("sport/#", "sport", True), ("#", "a/b", True), ("sport/tennis/+", "sport/tennis/player1", True),
     ("sport/tennis/+", "sport/tennis/player1/ranking", False),
     ("sport/+", "sport", False), ("sport/+", "sport/", True),
     ("+/+", "/finance", True), ("/+", "/finance", True), ("+", "/finance", False), ("#", "$SYS/a", False),
     ("+/a", "$SYS/a", False), ("$SYS/#", "$SYS/a", True), ("a", "A", False)],
)  # fmt: skip
def test_the_examples_of_the_standard(pattern, topic, does):
    assert matches(pattern, topic) is does


levels = st.sampled_from(["a", "b", "", "+"])


@given(
    st.lists(levels, min_size=1, max_size=4),
    st.booleans(),
    st.lists(st.sampled_from(["a", "b", ""]), min_size=1, max_size=5),
)
def test_like_a_regular_expression(pattern, rest, topic):
    body = "/".join("[^/]*" if level == "+" else level for level in pattern)
    wanted = re.fullmatch(body + ("(/.*)?" if rest else ""), "/".join(topic)) is not None
    assert matches("/".join([*pattern, "#"] if rest else pattern), "/".join(topic)) is wanted
