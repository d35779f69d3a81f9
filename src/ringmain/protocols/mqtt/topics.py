"""Topic names and filters (MQTT 5 §4.7): what is well-formed, what matches what, and our limits on both."""

from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason
from ringmain.protocols.mqtt.wire import utf8

TOPIC_SLASHES_MAX = 200
"""mosquitto takes 200 too; a deeper tree is a mistake or an attack on the matcher. In bytes a topic is limited by the
two of its length, 65,535 (§1.5.4).
"""


def topic_name(raw: bytes) -> str:
    """A topic name a client may publish on. MALFORMED_PACKET for wildcards and beyond our limit, TOPIC_NAME_INVALID for
    none at all.
    """
    name = utf8(raw)
    if "+" in name or "#" in name:
        raise ProtocolViolation(Reason.MALFORMED_PACKET, "a topic name holds a wildcard", "MQTT-3.3.2-2")
    if not raw:
        raise ProtocolViolation(Reason.TOPIC_NAME_INVALID, "empty topic", "MQTT-4.7.3-1")
    _limit(name)
    return name


def topic_filter(raw: bytes) -> str:
    """A topic filter: `#` only alone and last, `+` only alone in its level [MQTT-4.7.1-1] [MQTT-4.7.1-2]."""
    text = utf8(raw)
    if not raw:
        raise ProtocolViolation(Reason.MALFORMED_PACKET, "empty topic filter", "MQTT-4.7.3-1")
    _limit(text)
    levels = text.split("/")
    for place, level in enumerate(levels):
        misplaced = "#" in level and (level != "#" or place != len(levels) - 1)
        if misplaced or ("+" in level and level != "+"):
            raise ProtocolViolation(Reason.TOPIC_FILTER_INVALID, f"wildcard misplaced in {text!r}", "MQTT-4.7.1-1")
    return text


def _limit(text: str) -> None:
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
