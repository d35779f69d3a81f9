"""Gateway documents, simulated: lists in a dict. Devices are looked up in the twin beside it."""

from collections.abc import Mapping, Sequence

from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceKey
from ringmain.ports.gateway_documents import GatewayDocument
from ringmain.ports.registry import Registry


class GatewayDocuments:
    """Home of `ports.gateway_documents.GatewayDocuments`."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._held: dict[tuple[str, DeviceKey], list[GatewayDocument]] = {}

    async def put(
        self, kind: str, bodies: Mapping[DeviceKey, bytes], at_ms: int, *, keep: int
    ) -> Mapping[DeviceKey, GatewayDocument]:
        for gateway in bodies:
            if await self._registry.by_key(gateway) is None:
                raise Refused("not_found", f"There is no gateway with the key {gateway}. Nothing was written.")
        written = {}
        for gateway, body in bodies.items():
            held = self._held.get((kind, gateway), [])
            document = GatewayDocument(held[-1].version + 1 if held else 1, body, at_ms)
            self._held[kind, gateway] = [*held, document][-keep:]
            written[gateway] = document
        return written

    async def newest(self, kind: str) -> Mapping[DeviceKey, GatewayDocument]:
        return {gateway: held[-1] for (of, gateway), held in self._held.items() if of == kind}

    async def history(
        self, gateway: DeviceKey, kind: str, *, before: int | None = None, limit: int
    ) -> Sequence[GatewayDocument]:
        held = self._held.get((kind, gateway), [])
        return [each for each in reversed(held) if before is None or each.version < before][:limit]
