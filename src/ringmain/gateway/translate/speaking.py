"""Speaking for others, one reading at a time: whom a gateway may name, and whether it may say this of it now.

The same judgement as that over the rows of a chunk (`bulk_named`), in the same order: who may not speak for a device is
not told how it is. It fails closed: a name that nobody delegated is nobody.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from ringmain.model.device import PERMISSIONS, Device, LifecycleState, Telemetry
from ringmain.model.ids import NAME_LENGTH_MAX, DeviceId, DeviceKey, TenantId, is_name
from ringmain.model.standing import Standing

OnSeen = Callable[[Device, Sequence[Standing]], None]
"""Told of a gateway and of the devices of which it brought something that was accepted."""

_NO_NAME = re.compile(r"[^A-Za-z0-9._:@~-]")


class Delegates(Protocol):
    """Who may speak for whom, from memory: what it says holds for the next message."""

    def of(self, gateway: DeviceKey) -> Mapping[DeviceId, Standing]:
        """Every device that is or was delegated to the gateway, by its id."""
        ...

    def key_of(self, tenant: TenantId, id: DeviceId) -> DeviceKey | None:
        """The key of a device, delegated or not."""
        ...


class Nobody:
    """`Delegates` of a composition in which nobody speaks for others."""

    def of(self, gateway: DeviceKey) -> Mapping[DeviceId, Standing]:  # noqa: ARG002 - the same for all
        """Nobody."""
        return {}

    def key_of(self, tenant: TenantId, id: DeviceId) -> DeviceKey | None:  # noqa: ARG002 - the same for all
        """Nobody."""
        return None


def refusal(standing: Standing | None, at_ms: int) -> str:
    """Why a gateway may not hand in what a device said then: a code of `model.errors`, empty where it may."""
    if standing is None or not standing.covers(at_ms):
        return "not_delegated"
    device = standing.device
    if PERMISSIONS[device.state].telemetry is not Telemetry.REFUSED:
        return ""
    if device.state is LifecycleState.SUSPENDED:
        return "" if at_ms < device.state_since_ms else "device_suspended"
    return "device_not_active"


def device_id_of(text: str) -> DeviceId | None:
    """The id of a device that is called so elsewhere, with `_` for what an id can not have: `Living room` is
    `Living_room`. None where nothing can be made of it.
    """
    name = _NO_NAME.sub("_", text[: NAME_LENGTH_MAX + 1])
    return DeviceId(name) if is_name(name) else None
