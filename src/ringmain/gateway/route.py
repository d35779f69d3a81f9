"""Message router: what a topic means when a given device uses it, and what it may listen to.

The device's own tree; `{id}` is its own id, and the short forms mean the same:

| publish | alias | what it is |
|---|---|---|
| `devices/{id}/telemetry` | `telemetry`, `v1/devices/me/telemetry` | readings |
| `devices/{id}/telemetry/senml` | `telemetry/senml` | readings in SenML, as JSON or CBOR |
| `devices/{id}/telemetry/msgpack` | `telemetry/msgpack` | readings in MessagePack |
| `devices/{id}/telemetry/value/{channel}` | `telemetry/value/{channel}` | one number, as text |
| `devices/{id}/status` | `status` | `{"sleep_s": 3600}`: the device will be away that long |
| `devices/{id}/attributes` | `attributes`, `v1/devices/me/attributes` | what it tells of itself |
| `devices/{id}/rpc/response/{n}` | `v1/devices/me/rpc/response/{n}` | its answer to a call |
| `devices/{id}/rpc/client/request/{n}` | `v1/devices/me/rpc/request/{n}` | a call of its own |
| `devices/{id}/attributes/request/{n}` | `v1/devices/me/attributes/request/{n}` | a question for attributes |

| subscribe | alias | what comes |
|---|---|---|
| `devices/{id}/errors` | `errors` | a notice for each message that was rejected or became a dead letter |
| `devices/{id}/lifecycle` | `lifecycle` | the device's new state |

A gateway (a device of that profile) has more of both:

| publish | alias | what it is |
|---|---|---|
| `devices/{id}/chunks` | `chunks` | readings of many devices (`model.bulk`) |
| `devices/{id}/report` | `report` | how it is |
| `devices/{id}/claims` | `claims` | a local meter's claim, passed on: `{"id": n, "claim": "...", "body": {...}}` |

| subscribe | alias | what comes |
|---|---|---|
| `devices/{id}/settings` | `settings` | its settings: at once, and when they change |
| `devices/{id}/roster` | `roster` | whom it speaks for: at once, and when that changes |
| `devices/{id}/claims/answers` | `claims/answers` | what became of a claim: `{"id": n, "answer": {...}}` |

A device whose profile names a decoder also publishes on the topics that the decoder takes: see
`docs/protocols/decoders.md`. The tree above comes first, and nobody's decoder reaches into it.

A filter with wildcards is granted where it stays inside `devices/{id}/`.
"""

from collections.abc import Callable
from enum import StrEnum

import msgspec

from ringmain.gateway.translate.forms import UNSAID, Spelling, spelling_of
from ringmain.gateway.translate.sparkplug import refusal_of
from ringmain.model.device import Device, Principal
from ringmain.model.gateway import GATEWAY_PROFILE
from ringmain.protocols.mqtt.topics import matches


class Purpose(StrEnum):
    """What is to be done with the messages of a topic."""

    TELEMETRY = "telemetry"
    DECODED = "decoded"
    STATUS = "status"
    CHUNKS = "chunks"
    REPORT = "report"
    CLAIMS = "claims"
    SPARKPLUG = "sparkplug"
    TREE = "tree"
    """For whoever subscribes to it, and for nobody else."""
    REJECT = "reject"


class Route(msgspec.Struct, frozen=True, gc=False):
    """Where messages on one topic go. `reason` is the code of `model.errors` where they are rejected; `spelling` what
    the topic says of payloads that are telemetry.
    """

    purpose: Purpose
    topic: str
    reason: str = ""
    spelling: Spelling = UNSAID


_ALIASES = {
    b"telemetry": Purpose.TELEMETRY,
    b"v1/devices/me/telemetry": Purpose.TELEMETRY,
    b"status": Purpose.STATUS,
}
_THINGSBOARD = ("attributes", "v1/devices/me/attributes")
_THINGSBOARD_SAID = ("v1/devices/me/rpc/response/", "v1/devices/me/rpc/request/", "v1/devices/me/attributes/request/")
_SAID = ("rpc/response/", "rpc/client/request/", "attributes/request/")
"""What a device says to those who listen to it: answers to a call, calls of its own, questions for its attributes."""

_OWN = {"status": Purpose.STATUS}
_GATEWAYS = {"chunks": Purpose.CHUNKS, "report": Purpose.REPORT, "claims": Purpose.CLAIMS}
NOTICES = ("errors", "lifecycle")
GATEWAY_NOTICES = ("settings", "roster", "claims/answers")


Takes = Callable[[str, str], bool]
"""Whether the decoder of that name has a filter for a topic."""


def route(principal: Principal, topic: bytes, takes: Takes = lambda _decoder, _topic: False) -> Route:
    """The route of a topic name that is valid MQTT, for the device that signed in."""
    text = topic.decode()
    if text.startswith("spBv1.0/"):
        refusal = refusal_of(principal.device, text)
        return Route(Purpose.REJECT, text, refusal) if refusal else Route(Purpose.SPARKPLUG, text)
    if purpose := _ALIASES.get(topic) or _aliased(text):
        return Route(purpose, text)
    own, name = _own_part(principal.device.id, text)
    if own and not name:
        return Route(Purpose.REJECT, text, "foreign_device")
    if own and (purpose := _OWN.get(name) or _said(name)):
        return Route(purpose, text)
    if spelling := spelling_of(name):
        return Route(Purpose.TELEMETRY, text, spelling=spelling)
    return _others(principal, text, name, takes)


def _own_part(device_id: str, text: str) -> tuple[bool, str]:
    """Whether a topic stands in a device's tree, and what it is called in the own one (nothing in a foreign one)."""
    levels = text.split("/", 2)
    if len(levels) < 3 or levels[0] != "devices":
        return False, text
    return True, levels[2] if levels[1] == device_id else ""


def _others(principal: Principal, text: str, name: str, takes: Takes) -> Route:
    """What only some devices may say: gateways, and those whose profile has a decoder."""
    if purpose := _GATEWAYS.get(name):
        if principal.device.profile == GATEWAY_PROFILE:
            return Route(purpose, text)
        return Route(Purpose.REJECT, text, "not_authorized")
    if principal.profile.decoder and takes(principal.profile.decoder, text):
        return Route(Purpose.DECODED, text)
    return Route(Purpose.REJECT, text, "unknown_topic")


def _aliased(text: str) -> Purpose | None:
    return Purpose.TREE if text in _THINGSBOARD or text.startswith(_THINGSBOARD_SAID) else None


def _said(name: str) -> Purpose | None:
    return Purpose.TREE if name == "attributes" or name.startswith(_SAID) else None


def notices_of(device: Device) -> tuple[str, ...]:
    """Which notices there are for a device."""
    return NOTICES + GATEWAY_NOTICES if device.profile == GATEWAY_PROFILE else NOTICES


def grants(device: Device, pattern: str) -> tuple[str, ...]:
    """Which notices a valid topic filter covers; none means that the subscription is refused. A filter that could
    reach beyond the device's own tree covers nothing.
    """
    own, notices = f"devices/{device.id}/", notices_of(device)
    if pattern in notices:
        return (pattern,)
    if not pattern.startswith(own):
        return ()
    return tuple(notice for notice in notices if matches(pattern, own + notice))
