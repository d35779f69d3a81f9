"""Subscriptions against a matcher that knows nothing of trees; and what may not be found is not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from ringmain.gateway.broker.subscriptions import MATCHES_REMEMBERED, Held, Subscriptions
from ringmain.protocols.mqtt.topics import REMEMBERED_BYTES_MAX, matches

LEVELS = ["a", "b", "", "$a", "aa"]
TOPICS = st.lists(st.sampled_from(LEVELS), min_size=1, max_size=4).map("/".join).filter(bool)
FILTERS = (
    st.tuples(st.lists(st.sampled_from([*LEVELS, "+", "+"]), max_size=4), st.booleans())
    .map(lambda it: "/".join([*it[0], "#"] if it[1] or not it[0] else it[0]))
    .filter(bool)
)


class Who:
    def __init__(self, name, *, online=True):
        self.name, self.online = name, online


def names(found):
    return sorted((who.name, held.asked) for who, held in found)


@pytest.mark.parametrize(
    ("pattern", "topic"), [("#", "$SYS/a"), ("+/a", "$SYS/a"), ("+", "$SYS"), ("a/+", "a"), ("a", "A")]
)
def test_what_does_not_match(pattern, topic):
    tree = Subscriptions()
    tree.add(Who("w"), Held(pattern, pattern, 0))
    assert tree.match(topic) == []


def test_nobody():
    tree = Subscriptions()
    assert tree.match("a") == []
    tree.remove(Who("w"), Held("a/b", "a/b", 0))
    tree.remove(Who("w"), Held("$share/g/a", "a", 0, group="g"))
    assert (tree.count, tree._root.below) == (0, {})


def test_the_same_filter_again_takes_the_place_of_the_one_before():
    tree, who = Subscriptions(), Who("w")
    tree.add(who, Held("a", "a", 0))
    tree.add(who, Held("a", "a", 2))
    assert [held.qos for _, held in tree.match("a")] == [2]
    assert tree.count == 1


def test_what_is_remembered_is_bounded_and_forgotten_when_anything_changes():
    tree, who = Subscriptions(), Who("w")
    tree.add(who, Held("+", "+", 0))
    for n in range(MATCHES_REMEMBERED + 10):
        tree.match(f"t{n}")
    assert len(tree._remembered) <= MATCHES_REMEMBERED
    assert len(tree.match("a")) == 1
    tree.add(who, Held("a", "a", 0))
    assert len(tree.match("a")) == 2
    tree.remove(who, Held("a", "a", 0))
    tree.remove(who, Held("+", "+", 0))
    assert tree.match("a") == []


@given(st.lists(FILTERS, max_size=12), TOPICS)
def test_like_the_matcher_one_by_one(filters, topic):
    tree = Subscriptions()
    holders = [(Who(str(place)), Held(each, each, 0)) for place, each in enumerate(filters)]
    for who, held in holders:
        tree.add(who, held)
    wanted = sorted((who.name, held.asked) for who, held in holders if matches(held.filter, topic))
    assert names(tree.match(topic)) == wanted
    assert names(tree.match(topic)) == wanted  # now out of its memory


class Tree(RuleBasedStateMachine):
    """Added and removed in any order, groups too, it is as a list would be."""

    def __init__(self):
        super().__init__()
        self.tree = Subscriptions()
        self.who = [Who(str(n), online=n != 2) for n in range(3)]
        self.held = {}

    @rule(who=st.integers(0, 2), pattern=FILTERS, group=st.sampled_from(["", "", "g", "h"]), qos=st.integers(0, 2))
    def add(self, who, pattern, group, qos):
        asked = f"$share/{group}/{pattern}" if group else pattern
        self.held[who, asked] = held = Held(asked, pattern, qos, group=group)
        self.tree.add(self.who[who], held)

    @rule(data=st.data())
    def remove(self, data):
        if self.held:
            who, asked = data.draw(st.sampled_from(sorted(self.held)))
            self.tree.remove(self.who[who], self.held.pop((who, asked)))

    @rule(who=st.integers(0, 2), pattern=FILTERS)
    def remove_what_may_not_be_there(self, who, pattern):
        self.tree.remove(self.who[who], self.held.pop((who, pattern), Held(pattern, pattern, 0)))

    @rule(topic=TOPICS)
    def match(self, topic):
        plain = [(who, held) for (who, _), held in self.held.items() if not held.group and matches(held.filter, topic)]
        found = self.tree.match(topic)
        assert sorted((who.name, held.asked, held.qos) for who, held in found if not held.group) == sorted(
            (str(who), held.asked, held.qos) for who, held in plain
        )
        members = {}
        for (who, asked), held in self.held.items():
            if held.group and matches(held.filter, topic):
                members.setdefault(asked, []).append(str(who))
        chosen = {held.asked: who.name for who, held in found if held.group}
        assert len(chosen) == sum(bool(held.group) for _, held in found)
        assert set(chosen) == set(members)
        for asked, name in chosen.items():
            assert name in members[asked]
            assert name != "2" or members[asked] == ["2"], "one that is not there, though another is"

    @invariant()
    def counts(self):
        assert self.tree.count == len(self.held)

    @invariant()
    def keeps_no_empty_branches(self):
        if not self.held:
            assert self.tree._root.below == {}


TestTree = Tree.TestCase


class TestShared:
    def shared(self, *online):
        tree, members = Subscriptions(), [Who(str(n), online=it) for n, it in enumerate(online)]
        for who in members:
            tree.add(who, Held("$share/g/a", "a", 0, group="g"))
        return tree

    def test_each_in_turn(self):
        tree = self.shared(True, True, True)
        told = [who.name for _ in range(9) for who, _ in tree.match("a")]
        assert sorted(told) == sorted("012" * 3)
        assert told[:3] == told[3:6] == told[6:]
        assert set(told[:3]) == {"0", "1", "2"}

    def test_who_is_not_there_is_passed_over(self):
        tree = self.shared(False, True, False)
        assert [who.name for _ in range(4) for who, _ in tree.match("a")] == ["1"] * 4

    def test_nobody_is_there_but_it_is_for_one_of_them(self):
        tree = self.shared(False, False)
        assert sorted({who.name for _ in range(4) for who, _ in tree.match("a")}) == ["0", "1"]

    def test_a_group_is_one_for_each_filter_and_name(self):
        tree, who = Subscriptions(), Who("w")
        for asked, group, pattern in (
            ("$share/g/a", "g", "a"),
            ("$share/h/a", "h", "a"),
            ("$share/g/+", "g", "+"),
            ("a", "", "a"),
        ):
            tree.add(who, Held(asked, pattern, 0, group=group))
        assert names(tree.match("a")) == sorted(
            ("w", asked) for asked in ("$share/g/a", "$share/h/a", "$share/g/+", "a")
        )


@pytest.mark.parametrize(
    ("under", "shown", "topic", "name"),
    [("devices/m1/rpc/", "v1/rpc/", "devices/m1/rpc/7", "v1/rpc/7"), ("devices/m1/rpc/", "v1/rpc/", "other", "other"),
     ("", "", "a", "a")],
)  # fmt: skip
def test_the_subscribers_own_name(under, shown, topic, name):
    assert Held("x", "x", 0, under=under, shown=shown).name_of(topic) == name


def test_a_group_begins_with_who_came_first_and_goes_on_in_turn():
    tree, members = Subscriptions(), [Who(name) for name in "abc"]
    for who in members:
        tree.add(who, Held("$share/g/t", "t", 0, group="g"))
    assert "".join(who.name for _ in range(5) for who, _ in tree.match("t")) == "abcab"
    tree.remove(members[2], Held("$share/g/t", "t", 0, group="g"))
    assert sorted(who.name for _ in range(2) for who, _ in tree.match("t")) == ["a", "b"]


def test_very_long_topics_are_not_remembered():
    tree = Subscriptions()
    tree.add(Who("w"), Held("#", "#", 0))
    for length in (REMEMBERED_BYTES_MAX, REMEMBERED_BYTES_MAX + 1):
        assert len(tree.match("x" * length)) == 1
    assert len(tree._remembered) == 1
