"""Delegations, simulated: a set, with the refusals of the real one. Devices are looked up in the twin beside it."""

from collections.abc import Sequence

import msgspec

from ringmain.model.gateway import Delegation
from ringmain.model.ids import DeviceKey
from ringmain.ports.delegations import check_gateway, check_pair, check_span, merged
from ringmain.ports.registry import Registry


class Delegations:
    """Home of `ports.delegations.Delegations`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._held: set[Delegation] = set()

    async def put(self, delegations: Sequence[Delegation], at_ms: int) -> None:
        for each in delegations:
            check_span(each)
            check_pair(await self._registry.by_key(each.gateway), await self._registry.by_key(each.device))
        held = set(self._held)
        for gateway in {each.gateway for each in delegations}:
            new = [each for each in delegations if each.gateway == gateway]
            go, come = merged([each for each in held if each.gateway == gateway], new)
            held = (held - go) | come
            check_gateway([each for each in held if each.gateway == gateway], at_ms)
        self._held = held

    async def end(self, gateway: DeviceKey, device: DeviceKey, at_ms: int) -> int:
        pair = {each for each in self._held if each.gateway == gateway and each.device == device}
        open_then = {each for each in pair if each.to_ms is None or each.to_ms > at_ms}
        ended = {msgspec.structs.replace(each, to_ms=at_ms) for each in open_then if each.from_ms < at_ms}
        self._held = (self._held - open_then) | ended
        return len(open_then)

    async def of_gateway(self, gateway: DeviceKey) -> Sequence[Delegation]:
        return _in_order([each for each in self._held if each.gateway == gateway])

    async def of_device(self, device: DeviceKey) -> Sequence[Delegation]:
        return _in_order([each for each in self._held if each.device == device])

    async def all(self) -> Sequence[Delegation]:
        return _in_order(list(self._held))


def _in_order(delegations: Sequence[Delegation]) -> list[Delegation]:
    return sorted(delegations, key=lambda each: (each.gateway, each.device, each.from_ms))
