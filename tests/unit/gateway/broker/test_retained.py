"""Retained messages against a dictionary and a matcher that knows nothing of trees."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.gateway.broker import retained
from ringmain.gateway.broker.message import Message
from ringmain.gateway.broker.retained import Retained
from ringmain.protocols.mqtt.topics import matches

LEVELS = ["a", "b", "", "$a"]
TOPICS = st.lists(st.sampled_from(LEVELS), min_size=1, max_size=4).map("/".join).filter(bool)
FILTERS = st.tuples(st.lists(st.sampled_from([*LEVELS, "+"]), max_size=4), st.booleans()).map(
    lambda it: "/".join([*it[0], "#"] if it[1] or not it[0] else it[0])
).filter(bool)  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "topic"), [("#", "$a/b"), ("+/b", "$a/b"), ("a/+", "a"), ("a", "a/b"), ("a/b/#", "a")]
)
def test_what_is_not_found(pattern, topic):
    kept = Retained()
    kept.put(Message(topic, b"x"))
    assert kept.match(pattern) == []


def test_what_is_not_there_is_not_removed():
    kept = Retained()
    kept.put(Message("a/b/c", b"x"))
    for topic in ("a", "a/b", "a/b/c/d", "x", ""):
        assert kept.get(topic) is None
        assert kept.remove(topic) is False
    assert kept.count == 1


@given(st.lists(st.tuples(TOPICS, st.integers(0, 3)), max_size=25), FILTERS)
def test_like_a_dictionary(steps, pattern):
    kept, plain = Retained(), {}
    for topic, number in steps:
        if number:
            plain[topic] = message = Message(topic, bytes([number]))
            kept.put(message)
        else:
            assert kept.remove(topic) is (plain.pop(topic, None) is not None)
    assert kept.count == len(plain)
    assert kept.levels == len({tuple(topic.split("/")[:n]) for topic in plain for n in range(1, topic.count("/") + 2)})
    assert kept.match(pattern) == sorted(
        (it for topic, it in plain.items() if matches(pattern, topic)), key=lambda it: it.topic
    )
    for topic, _ in steps:
        assert kept.get(topic) is plain.get(topic)
    for topic in plain:
        kept.remove(topic)
    assert kept._root.below == {}


def test_topics_count_as_much_as_payloads(monkeypatch):
    monkeypatch.setattr(retained, "RETAINED_BYTES_MAX", 100)
    kept = Retained()
    assert not kept.takes(Message("t" * 100, b"x"))
    kept.put(Message("t" * 90, b"12345"))
    assert not kept.takes(Message("u" * 6, b""))
    assert kept.takes(Message("t" * 90, b"1234567890"))
    kept.remove("t" * 90)
    assert kept.bytes == 0


def test_a_tree_has_so_many_levels_and_no_more(monkeypatch):
    monkeypatch.setattr(retained, "LEVELS_MAX", 5)
    kept = Retained()
    for topic in ("a/b/c", "d/e"):
        assert kept.takes(Message(topic, b"x"))
        kept.put(Message(topic, b"x"))
    assert not kept.takes(Message("f", b"x"))
    assert kept.takes(Message("a/b/c", b"y"))
    kept.remove("d/e")
    assert kept.takes(Message("f/g", b"x"))
