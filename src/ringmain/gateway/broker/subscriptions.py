"""Subscriptions of one tenant: a tree of topic levels, so that a message costs the depth of its topic and not the
number of subscriptions. What it finds is remembered until a subscription changes.

It must never know more than one tenant: there is one tree for each.
"""

from collections.abc import Iterator
from typing import Generic, Protocol, TypeVar

import msgspec

from ringmain.protocols.mqtt.topics import REMEMBERED_BYTES_MAX

MATCHES_REMEMBERED = 4_096
"""Topics whose subscribers are remembered; when full it starts over."""


class Subscriber(Protocol):
    """Who subscribes, compared by identity."""

    @property
    def online(self) -> bool:
        """Whether it is there now."""
        ...


S = TypeVar("S", bound=Subscriber)


class Held(msgspec.Struct, frozen=True):
    """A subscription that was granted. `asked` is the filter in the client's words, `filter` what it means in the
    tenant's tree, and topics under `filter`'s prefix `under` are shown under `shown` instead.
    """

    asked: str
    filter: str
    qos: int
    no_local: bool = False
    retain_as_published: bool = False
    number: int = 0
    group: str = ""
    under: str = ""
    shown: str = ""

    def name_of(self, topic: str) -> str:
        """The subscriber's own name for a topic."""
        return self.shown + topic[len(self.under) :] if self.shown and topic.startswith(self.under) else topic


class _Group(Generic[S]):
    """Members of a shared subscription (§4.8.2), in turn."""

    __slots__ = ("members", "turn")

    def __init__(self) -> None:
        self.members: dict[S, Held] = {}
        self.turn = 0

    def next(self) -> tuple[S, Held]:
        """Who gets the next message: one that is online, if there is one."""
        order = list(self.members.items())
        turn = self.turn % len(order)
        self.turn = turn + 1
        order = order[turn:] + order[:turn]
        return next((each for each in order if each[0].online), order[0])


class _Node(Generic[S]):
    __slots__ = ("below", "groups", "holders")

    def __init__(self) -> None:
        self.below: dict[str, _Node[S]] = {}
        self.holders: dict[tuple[S, str], Held] = {}
        self.groups: dict[str, _Group[S]] = {}


class Subscriptions(Generic[S]):
    """The tree."""

    def __init__(self) -> None:
        self._root: _Node[S] = _Node()
        self._remembered: dict[str, tuple[list[tuple[S, Held]], list[_Group[S]]]] = {}
        self.count = 0

    def add(self, subscriber: S, held: Held) -> None:
        """Add a subscription, or replace the one with the same filter [MQTT-3.8.4-3]."""
        node = self._root
        for level in held.filter.split("/"):
            node = node.below.setdefault(level, _Node())
        if held.group:
            group = node.groups.setdefault(held.group, _Group())
            self.count += subscriber not in group.members
            group.members[subscriber] = held
        else:
            self.count += (subscriber, held.asked) not in node.holders
            node.holders[subscriber, held.asked] = held
        self._remembered.clear()

    def remove(self, subscriber: S, held: Held) -> None:
        """Take a subscription away, and the branches that only it needed."""
        path = [self._root]
        levels = held.filter.split("/")
        for level in levels:
            node = path[-1].below.get(level)
            if node is None:
                return
            path.append(node)
        if held.group:
            group = path[-1].groups.get(held.group)
            if group is None or group.members.pop(subscriber, None) is None:
                return
            if not group.members:
                del path[-1].groups[held.group]
        elif path[-1].holders.pop((subscriber, held.asked), None) is None:
            return
        self.count -= 1
        self._remembered.clear()
        for level, parent, node in zip(reversed(levels), reversed(path[:-1]), reversed(path[1:]), strict=True):
            if node.below or node.holders or node.groups:
                break
            del parent.below[level]

    def match(self, topic: str) -> list[tuple[S, Held]]:
        """Who gets a message on `topic`, each with the subscription that says so; a subscriber several times where
        several of its subscriptions do. Wildcards at the first level do not match `$` [MQTT-4.7.2-1].
        """
        if not self.count:
            return []
        known = self._remembered.get(topic)
        if known is None:
            if len(self._remembered) >= MATCHES_REMEMBERED:
                self._remembered.clear()
            nodes = list(_walk(self._root, topic.split("/"), hidden=topic.startswith("$")))
            holders = [(who, held) for node in nodes for (who, _), held in node.holders.items()]
            known = holders, [group for node in nodes for group in node.groups.values()]
            if len(topic) <= REMEMBERED_BYTES_MAX:
                self._remembered[topic] = known
        holders, groups = known
        return [*holders, *(group.next() for group in groups)] if groups else holders


def _walk(root: _Node[S], levels: list[str], *, hidden: bool) -> Iterator[_Node[S]]:
    """Every node whose filter matches. Linear in the levels but for `+`: it is bounded by the nodes that
    filters have made, and they may have `+` in so many levels only (`topics.PLUS_LEVELS_MAX`).
    """
    standing = [root]
    for place, level in enumerate(levels):
        following: list[_Node[S]] = []
        for node in standing:
            wild = not (hidden and place == 0)
            if wild and (rest := node.below.get("#")):
                yield rest
            if found := node.below.get(level):
                following.append(found)
            if wild and (any_one := node.below.get("+")):
                following.append(any_one)
        standing = following
    for node in standing:
        yield node
        if rest := node.below.get("#"):  # `sport/#` matches `sport` too (§4.7.1.2)
            yield rest
