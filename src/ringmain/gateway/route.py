"""Message router: what a topic means when a given device uses it, and what it may listen to.

The device's own tree; `{id}` is its own id, and the short forms mean the same:

| publish | alias | what it is |
|---|---|---|
| `devices/{id}/telemetry` | `telemetry`, `v1/devices/me/telemetry` | readings |
| `devices/{id}/status` | `status` | `{"sleep_s": 3600}`: the device will be away that long |

| subscribe | alias | what comes |
|---|---|---|
| `devices/{id}/errors` | `errors` | a notice for each message that was rejected or became a dead letter |
| `devices/{id}/lifecycle` | `lifecycle` | the device's new state |

A filter with wildcards is granted where it stays inside `devices/{id}/`.
"""

from enum import StrEnum

import msgspec

from ringmain.model.device import Device, Principal
from ringmain.protocols.mqtt.topics import matches


class Purpose(StrEnum):
    """What is to be done with the messages of a topic."""

    TELEMETRY = "telemetry"
    STATUS = "status"
    REJECT = "reject"


class Route(msgspec.Struct, frozen=True, gc=False):
    """Where messages on one topic go. `reason` is the code of `model.errors` where they are rejected."""

    purpose: Purpose
    topic: str
    reason: str = ""


_ALIASES = {
    b"telemetry": Purpose.TELEMETRY,
    b"v1/devices/me/telemetry": Purpose.TELEMETRY,
    b"status": Purpose.STATUS,
}
_OWN = {"telemetry": Purpose.TELEMETRY, "status": Purpose.STATUS}
NOTICES = ("errors", "lifecycle")


def route(principal: Principal, topic: bytes) -> Route:
    """The route of a topic name that is valid MQTT, for the device that signed in."""
    text = topic.decode()
    if purpose := _ALIASES.get(topic):
        return Route(purpose, text)
    levels = text.split("/")
    if len(levels) == 3 and levels[0] == "devices":
        if levels[1] != principal.device.id:
            return Route(Purpose.REJECT, text, "foreign_device")
        if purpose := _OWN.get(levels[2]):
            return Route(purpose, text)
    return Route(Purpose.REJECT, text, "unknown_topic")


def grants(device: Device, pattern: str) -> tuple[str, ...]:
    """Which notices a valid topic filter covers; none means that the subscription is refused. A filter that could
    reach beyond the device's own tree covers nothing.
    """
    own = f"devices/{device.id}/"
    if pattern in NOTICES:
        return (pattern,)
    if not pattern.startswith(own):
        return ()
    return tuple(notice for notice in NOTICES if matches(pattern, own + notice))
