"""Topics of Sparkplug (3.0.0 §4): `spBv1.0/{group}/{type}/{node}` and, for devices, `/{device}`; and that of a host.

It must never accept what two topics could mean: ids are not empty and hold none of `/`, `+`, `#`.
"""

from enum import StrEnum

import msgspec

from ringmain.protocols.sparkplug.wire import SparkplugError

NAMESPACE = "spBv1.0"
"""[topics-namespace] Of payloads B, in every version since 2.0."""

ID_LENGTH_MAX = 128
"""Characters of one id: the specification has no limit, and names of places and machines are far shorter."""

_RESERVED = frozenset("/+#\0")


class MessageType(StrEnum):
    """What a message is (§4.1.2)."""

    NBIRTH = "NBIRTH"
    NDEATH = "NDEATH"
    DBIRTH = "DBIRTH"
    DDEATH = "DDEATH"
    NDATA = "NDATA"
    DDATA = "DDATA"
    NCMD = "NCMD"
    DCMD = "DCMD"
    STATE = "STATE"


OF_DEVICES = frozenset({MessageType.DBIRTH, MessageType.DDEATH, MessageType.DDATA, MessageType.DCMD})
"""[topics-device-id] These have a device id, the others have none."""

BIRTHS = frozenset({MessageType.NBIRTH, MessageType.DBIRTH})
FROM_NODES = frozenset(MessageType) - {MessageType.NCMD, MessageType.DCMD, MessageType.STATE}
"""What an edge node says. The others are a host application's to say."""

_TYPES = {str(each): each for each in MessageType}


class Topic(msgspec.Struct, frozen=True):
    """Of a message of an edge node or to one, or (STATE) of a host application, whose id is then `node`. `device` is
    empty where the message is about the node itself.
    """

    group: str
    type: MessageType
    node: str
    device: str = ""

    def __str__(self) -> str:
        """As it stands in a packet."""
        if self.type is MessageType.STATE:
            return f"{NAMESPACE}/STATE/{self.node}"
        below = f"/{self.device}" if self.device else ""
        return f"{NAMESPACE}/{self.group}/{self.type}/{self.node}{below}"


def parse_topic(text: str) -> Topic:
    """The topic of that name. SparkplugError where it is none."""
    levels = text.split("/")
    if levels[0] != NAMESPACE:
        raise SparkplugError(f"a topic of Sparkplug begins with {NAMESPACE}/")
    if len(levels) == 3 and levels[1] == "STATE":
        return Topic("", MessageType.STATE, _id(levels[2], "host"))
    if len(levels) < 4:
        raise SparkplugError(f"{len(levels)} levels; a node's topic has 4 and a device's 5")
    kind = _TYPES.get(levels[2])
    if kind is None or kind is MessageType.STATE:
        raise SparkplugError(f"{levels[2][:20]!r} is no type of message")
    if len(levels) != (5 if kind in OF_DEVICES else 4):
        raise SparkplugError(f"{len(levels)} levels for {kind}; a node's topic has 4 and a device's 5")
    device = _id(levels[4], "device") if kind in OF_DEVICES else ""
    return Topic(_id(levels[1], "group"), kind, _id(levels[3], "node"), device)


def _id(text: str, what: str) -> str:
    if not is_id(text):
        raise SparkplugError(f"{text[:80]!r} can not be the id of a {what}: 1-{ID_LENGTH_MAX} characters, none of /+#")
    return text


def is_id(text: str) -> bool:
    """Whether it may be the id of a group, node, device or host [topic-structure-namespace-valid-…]."""
    return 0 < len(text) <= ID_LENGTH_MAX and not _RESERVED.intersection(text)
