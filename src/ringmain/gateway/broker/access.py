"""Who may say and hear what: asked when a client publishes, when it subscribes, and when a message is delivered.

A tenant's tree, which nobody of another tenant ever sees:

    devices/{id}/...      what devices say, and what is said to them
    apps/...              a plain tree for back-end programs
    spBv1.0/...           Sparkplug

Deny by default. A client that may hear nothing of a filter is refused when it asks for it, not met with silence.
"""

from typing import Protocol

import msgspec

from ringmain.gateway.route import notices_of
from ringmain.model.device import Principal
from ringmain.model.ids import TenantId
from ringmain.ports.credentials import Role
from ringmain.protocols.mqtt.reasons import Reason
from ringmain.protocols.mqtt.topics import matches


class Grant(msgspec.Struct, frozen=True):
    """What a filter means in the tenant's tree, and how its topics are shown: see `subscriptions.Held`."""

    filter: str
    under: str = ""
    shown: str = ""


class Access(Protocol):
    """What one client may do. `owner` tells clients of one tenant apart: a client id belongs to its owner."""

    tenant: TenantId
    owner: str

    def publishes(self, topic: str) -> Reason | None:
        """None where it may publish there."""
        ...

    def subscribes(self, pattern: str) -> Grant | Reason:
        """What a filter (without its `$share/name/`) is granted as."""
        ...

    def receives(self, topic: str) -> bool:
        """Whether a message may be delivered to it now."""
        ...


DEVICE = "device/"
"""How the owner of a device's sessions begins; the registry's key follows."""

SHORT = {
    "v1/devices/me/telemetry": "telemetry",
    "v1/devices/me/attributes": "attributes",
    "telemetry": "telemetry",
    "status": "status",
    "attributes": "attributes",
}
"""Short names of a device for what it says, and where they stand in its own tree."""

_SAID = {
    "v1/devices/me/rpc/response/": "rpc/response/",
    "v1/devices/me/rpc/request/": "rpc/client/request/",
    "v1/devices/me/attributes/request/": "attributes/request/",
}
_HEARD = {
    "v1/devices/me/rpc/request/": "rpc/request/",
    "v1/devices/me/rpc/response/": "rpc/client/response/",
    "v1/devices/me/attributes/response/": "attributes/response/",
    "v1/devices/me/attributes": "attributes/shared",
}
"""ThingsBoard's names, for what a device says and hears."""

OWN = ("attributes", "rpc/")
"""What a device may say in its own tree besides telemetry and status."""


def canonical(device_id: str, topic: str) -> str:
    """The place of a topic that a device publishes on in its tenant's tree."""
    if name := SHORT.get(topic):
        return f"devices/{device_id}/{name}"
    if topic.startswith("telemetry/"):
        return f"devices/{device_id}/{topic}"
    for theirs, ours in _SAID.items():
        if topic.startswith(theirs):
            return f"devices/{device_id}/{ours}{topic[len(theirs) :]}"
    return topic


class DeviceAccess:
    """A device: its own tree. What it publishes beyond telemetry is routed by `gateway.route`."""

    def __init__(self, principal: Principal) -> None:
        self.principal = principal
        self.tenant = principal.device.tenant
        self.owner = f"{DEVICE}{principal.device.key}"
        self._id = principal.device.id
        self._own = f"devices/{principal.device.id}/"
        self._notices = notices_of(principal.device)

    def publishes(self, topic: str) -> Reason | None:
        """See `Access`; of a topic as `canonical` has it."""
        return None if topic.startswith(self._own) else Reason.NOT_AUTHORIZED

    def subscribes(self, pattern: str) -> Grant | Reason:
        """See `Access`."""
        if pattern.startswith(self._own):
            return Grant(pattern)
        if pattern in self._notices:
            return Grant(self._own + pattern)
        if self._is_told(pattern):
            return Grant(pattern)
        for theirs, ours in _HEARD.items():
            if pattern == theirs or (theirs.endswith("/") and pattern.startswith(theirs)):
                return Grant(self._own + ours + pattern[len(theirs) :], self._own + ours, theirs)
        return Reason.NOT_AUTHORIZED

    def receives(self, topic: str) -> bool:
        """See `Access`."""
        return topic.startswith(self._own) or self._is_told(topic)

    def _is_told(self, pattern: str) -> bool:
        """Whether it reaches no further than what a Sparkplug host says to this node, and of itself."""
        levels = pattern.split("/")
        if levels[0] != "spBv1.0" or len(levels) < 3:
            return False
        if levels[1] == "STATE":
            return True
        return len(levels) >= 4 and levels[2] in ("NCMD", "DCMD") and levels[3] == self._id


PLAIN = "apps/"
"""Where back-end programs may publish what they like."""

_TOLD_TO_DEVICES = ("devices/+/rpc/request/+", "devices/+/rpc/client/response/+", "devices/+/attributes/shared",
                    "devices/+/attributes/response/+", "spBv1.0/+/NCMD/+", "spBv1.0/+/DCMD/+/+")  # fmt: skip


class ConsumerAccess:
    """A back-end program with a token of the API: it hears all of its tenant, and an admin also speaks."""

    def __init__(self, tenant: TenantId, name: str, role: Role) -> None:
        self.tenant = tenant
        self.owner = f"user/{name}"
        self._speaks = role is not Role.VIEWER

    def publishes(self, topic: str) -> Reason | None:
        """See `Access`."""
        if not self._speaks:
            return Reason.NOT_AUTHORIZED
        if topic.startswith(PLAIN) or any(matches(pattern, topic) for pattern in _TOLD_TO_DEVICES):
            return None
        return Reason.NOT_AUTHORIZED

    def subscribes(self, pattern: str) -> Grant | Reason:
        """See `Access`."""
        return Reason.NOT_AUTHORIZED if pattern.startswith("$") else Grant(pattern)

    def receives(self, topic: str) -> bool:  # noqa: ARG002 - everything in its own tenant's tree
        """See `Access`."""
        return True


class OpenAccess:
    """A client of the open door: everything in a tenant that holds nothing else. `$` names are the server's own, but
    for the state that bridges tell of themselves.
    """

    def __init__(self, tenant: TenantId, denied: frozenset[str]) -> None:
        self.tenant = tenant
        self.owner = ""
        self._denied = denied

    def publishes(self, topic: str) -> Reason | None:
        """See `Access`."""
        if topic.startswith(("$SYS/", "$CONTROL/", "$share/")) and not matches("$SYS/broker/connection/+/state", topic):
            return Reason.NOT_AUTHORIZED
        return None

    def subscribes(self, pattern: str) -> Grant | Reason:
        """See `Access`."""
        return Reason.UNSPECIFIED if pattern in self._denied else Grant(pattern)

    def receives(self, topic: str) -> bool:  # noqa: ARG002 - see above
        """See `Access`."""
        return True
