"""Topic names and filters (MQTT 5 §4.7): what is well-formed, what matches what, and our limits on both."""

from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason
from ringmain.protocols.mqtt.wire import utf8

TOPIC_BYTES_MAX = 4_096
"""Ten times what anybody was seen to use. It is kept with every message that waits, and a name that becomes longer on
its way, as `v1/devices/me/...` does, must stay far below the 65,535 bytes that a packet has room for.
"""

TOPIC_SLASHES_MAX = 200
"""mosquitto takes 200 too; a deeper tree is a mistake or an attack on the matcher."""

PLUS_LEVELS_MAX = 32
"""Levels in which a filter may have `+`: each of them doubles the branches that a topic may take through the tree."""

REMEMBERED_BYTES_MAX = 256
"""Of a topic that is remembered, or shown in a notice: nearly all are shorter, and there may be many long ones."""


def topic_name(raw: bytes) -> str:
    """A topic name a client may publish on. MALFORMED_PACKET for wildcards and too many levels, TOPIC_NAME_INVALID
    where it is too long or empty.
    """
    name = utf8(raw)
    if "+" in name or "#" in name:
        raise ProtocolViolation(Reason.MALFORMED_PACKET, "a topic name holds a wildcard", "MQTT-3.3.2-2")
    if not raw:
        raise ProtocolViolation(Reason.TOPIC_NAME_INVALID, "empty topic", "MQTT-4.7.3-1")
    _limit(raw, name, Reason.TOPIC_NAME_INVALID)
    return name


def topic_filter(raw: bytes) -> str:
    """A topic filter: `#` only alone and last, `+` only alone in its level [MQTT-4.7.1-1] [MQTT-4.7.1-2]."""
    text = utf8(raw)
    if not raw:
        raise ProtocolViolation(Reason.MALFORMED_PACKET, "empty topic filter", "MQTT-4.7.3-1")
    _limit(raw, text, Reason.TOPIC_FILTER_INVALID)
    levels = text.split("/")
    if "+" in levels[PLUS_LEVELS_MAX:]:
        raise ProtocolViolation(Reason.TOPIC_FILTER_INVALID, f"a + beyond the first {PLUS_LEVELS_MAX} levels")
    for place, level in enumerate(levels):
        misplaced = "#" in level and (level != "#" or place != len(levels) - 1)
        if misplaced or ("+" in level and level != "+"):
            raise ProtocolViolation(Reason.TOPIC_FILTER_INVALID, f"wildcard misplaced in {text!r}", "MQTT-4.7.1-1")
    return text


def _limit(raw: bytes, text: str, reason: Reason) -> None:
    if len(raw) > TOPIC_BYTES_MAX:
        raise ProtocolViolation(reason, f"topic of {len(raw)} bytes, the limit is {TOPIC_BYTES_MAX}")
    if text.count("/") > TOPIC_SLASHES_MAX:
        raise ProtocolViolation(Reason.MALFORMED_PACKET, f"topic of more than {TOPIC_SLASHES_MAX} slashes")


def shared_filter(pattern: str) -> tuple[str, str]:
    """Group and filter of a shared subscription (§4.8.2); ("", pattern) for any other filter, and an empty filter where
    a shared one is not well-formed [MQTT-4.8.2-1] [MQTT-4.8.2-2].
    """
    if not pattern.startswith("$share/"):
        return "", pattern
    _, group, *rest = pattern.split("/", 2)
    if not group or "+" in group or "#" in group or not rest or not rest[0]:
        return group or "$share", ""
    return group, rest[0]


def matches(pattern: str, topic: str) -> bool:
    """Whether a valid filter matches a valid topic name (§4.7.1); linear in their length. Wildcards at the first
    level do not match topics that begin with `$` [MQTT-4.7.2-1].
    """
    wanted, levels = pattern.split("/"), topic.split("/")
    if topic.startswith("$") and wanted[0] in ("+", "#"):
        return False
    for place, want in enumerate(wanted):
        if want == "#":
            return True
        if place == len(levels) or want not in ("+", levels[place]):
            return False
    return len(wanted) == len(levels)
