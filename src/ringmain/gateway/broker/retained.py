"""Retained messages of one tenant (§3.3.1.3): the last one of each topic, found by filter."""

from collections.abc import Iterator

from ringmain.gateway.broker.message import Message

RETAINED_MAX = 100_000
"""Topics of one tenant with a retained message; further ones are delivered and not kept. One a device and some."""


RETAINED_BYTES_MAX = 64 * 1024 * 1024
"""Topics and payloads of one tenant's retained messages: they are in memory, and a platform has many tenants."""

LEVELS_MAX = 400_000
"""Nodes of the tree, each some 400 bytes: topics may have 200 levels of their own."""


class _Node:
    __slots__ = ("below", "message")

    def __init__(self) -> None:
        self.below: dict[str, _Node] = {}
        self.message: Message | None = None


class Retained:
    """A tree of topic levels."""

    def __init__(self) -> None:
        self._root = _Node()
        self.count = self.bytes = self.levels = 0

    def takes(self, message: Message) -> bool:
        """Whether there is room for it, in place of the one before."""
        known = self.get(message.topic)
        size = self.bytes - (_size(known) if known else 0) + _size(message)
        if known is not None:
            return size <= RETAINED_BYTES_MAX
        levels = self.levels + message.topic.count("/") + 1
        return size <= RETAINED_BYTES_MAX and self.count < RETAINED_MAX and levels <= LEVELS_MAX

    def put(self, message: Message) -> None:
        """Keep it, in place of the one before."""
        node = self._root
        for level in message.topic.split("/"):
            below = node.below.get(level)
            if below is None:
                below = node.below[level] = _Node()
                self.levels += 1
            node = below
        self.count += node.message is None
        self.bytes += _size(message) - (_size(node.message) if node.message else 0)
        node.message = message

    def get(self, topic: str) -> Message | None:
        """The message of one topic."""
        node: _Node | None = self._root
        for level in topic.split("/"):
            node = node.below.get(level) if node else None
        return node.message if node else None

    def remove(self, topic: str) -> bool:
        """Forget it; whether there was one."""
        path, levels = [self._root], topic.split("/")
        for level in levels:
            node = path[-1].below.get(level)
            if node is None:
                return False
            path.append(node)
        known = path[-1].message
        if known is None:
            return False
        path[-1].message = None
        self.count -= 1
        self.bytes -= _size(known)
        for level, parent, node in zip(reversed(levels), reversed(path[:-1]), reversed(path[1:]), strict=True):
            if node.below or node.message:
                break
            del parent.below[level]
            self.levels -= 1
        return True

    def match(self, pattern: str) -> list[Message]:
        """Those that a filter covers, topics in order."""
        return sorted(_walk(self._root, pattern.split("/"), 0), key=lambda message: message.topic)


def _size(message: Message) -> int:
    return len(message.topic) + len(message.payload)


def _walk(node: _Node, levels: list[str], place: int) -> Iterator[Message]:
    if place == len(levels):
        if node.message:
            yield node.message
        return
    level = levels[place]
    if level == "#":
        yield from _all(node, hidden=place == 0)
    elif level == "+":
        for name, below in node.below.items():
            if place or not name.startswith("$"):
                yield from _walk(below, levels, place + 1)
    elif below_one := node.below.get(level):
        yield from _walk(below_one, levels, place + 1)


def _all(node: _Node, *, hidden: bool) -> Iterator[Message]:
    """Everything from here down; at the root without what `$` hides [MQTT-4.7.2-1]."""
    if node.message:
        yield node.message
    for name, below in node.below.items():
        if not (hidden and name.startswith("$")):
            yield from _all(below, hidden=False)
