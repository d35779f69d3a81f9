"""Delegations: which gateway may speak for which device, and for which span of *event time*.

A pair may have several, one after the other: a device that moved away and came back. The refusals below stand beside
the protocol because every home must refuse the same things in the same words.
"""

from collections.abc import Iterable, Sequence
from typing import Protocol

from ringmain.model.device import Device
from ringmain.model.errors import Refused
from ringmain.model.gateway import DELEGATIONS_MAX, GATEWAY_PROFILE, SPEAKING_PROFILES, Delegation
from ringmain.model.ids import DeviceKey
from ringmain.model.time import INSTANT_MAX

SPANS_MAX = 32
"""Delegations of one pair: a meter that moved away and came back so often is a mistake in somebody's loop."""


class Delegations(Protocol):
    """Refusals are `Refused("not_found" | "unprocessable")`; whoever is refused changed nothing."""

    async def put(self, delegations: Sequence[Delegation], at_ms: int) -> None:
        """Write all of them or none. Each takes the place of those of the same pair that it overlaps, so that the same
        put twice changes nothing. `not_found` where gateway or device is not there or the two are of different
        tenants; `unprocessable` where `check_pair`, `check_span` or `check_number` says so.
        """
        ...

    async def end(self, gateway: DeviceKey, device: DeviceKey, at_ms: int) -> int:
        """End what a pair has at that event time; what would begin only then never was. How many that changed."""
        ...

    async def of_gateway(self, gateway: DeviceKey) -> Sequence[Delegation]:
        """All of a gateway, ended ones included, in the order of devices and then of time."""
        ...

    async def of_device(self, device: DeviceKey) -> Sequence[Delegation]:
        """All of a device, in the order of gateways and then of time."""
        ...

    async def all(self) -> Sequence[Delegation]:
        """All of everybody, in the order of gateways, devices and time; for a start."""
        ...


def overlap(one: Delegation, other: Delegation) -> bool:
    """Whether two half-open spans have an instant in common."""
    return (other.to_ms is None or one.from_ms < other.to_ms) and (one.to_ms is None or other.from_ms < one.to_ms)


def check_pair(gateway: Device | None, device: Device | None) -> None:
    """Refuse a pair that can not be one. Another tenant's device is not found, in the words of one that never was."""
    if gateway is None or device is None or device.tenant != gateway.tenant:
        raise Refused(
            "not_found",
            "One of the devices is not there. Nothing was delegated.",
            "Register the gateway and its devices first, in the same tenant.",
        )
    if gateway.profile not in SPEAKING_PROFILES:
        raise Refused(
            "unprocessable",
            f"{gateway.id} has the profile {gateway.profile}, so it speaks for itself only. Nothing was delegated.",
            f"Register the gateway with the profile {GATEWAY_PROFILE}, or that of a bridge.",
        )
    if device.profile in SPEAKING_PROFILES:
        raise Refused(
            "unprocessable",
            f"{device.id} is a gateway itself, and gateways have their own uplink. Nothing was delegated.",
            "Delegate the devices behind it.",
        )


def check_span(delegation: Delegation) -> None:
    """Refuse a span that holds no instant of event time."""
    latest = INSTANT_MAX + 1
    end_ms = latest if delegation.to_ms is None else delegation.to_ms
    if not 0 <= delegation.from_ms < end_ms <= latest:
        raise Refused(
            "unprocessable",
            f"A delegation from {delegation.from_ms} to {delegation.to_ms} holds no time. Nothing was delegated.",
            "`to` lies behind `from`; leave them out for all time.",
        )


def check_number(pair: Sequence[Delegation]) -> None:
    """Refuse a pair with more spans than it can need."""
    if len(pair) > SPANS_MAX:
        raise Refused(
            "unprocessable",
            f"The gateway and one of the devices have {SPANS_MAX} delegations already. Nothing was delegated.",
            "Put one that overlaps the old ones: it takes their place.",
        )


def check_gateway(held: Iterable[Delegation], at_ms: int) -> None:
    """Refuse more devices than one gateway may have at a time."""
    devices = {each.device for each in held if each.to_ms is None or each.to_ms > at_ms}
    if len(devices) > DELEGATIONS_MAX:
        raise Refused(
            "unprocessable",
            f"The gateway would speak for {len(devices)} devices, more than {DELEGATIONS_MAX}. Nothing was delegated.",
            "End delegations that are not needed, or set up another gateway.",
        )


def merged(held: Iterable[Delegation], new: Sequence[Delegation]) -> tuple[set[Delegation], set[Delegation]]:
    """What has to go and what has to come so that `new` stands beside what it does not overlap in `held`, which are
    those of one gateway. Of two new ones that overlap each other the later one stands.
    """
    pairs: dict[DeviceKey, set[Delegation]] = {}
    before = set(held)
    for each in before:
        pairs.setdefault(each.device, set()).add(each)
    for each in new:
        pair = pairs.setdefault(each.device, set())
        pairs[each.device] = {old for old in pair if not overlap(old, each)} | {each}
        check_number(list(pairs[each.device]))
    after = {each for pair in pairs.values() for each in pair}
    return before - after, after - before
