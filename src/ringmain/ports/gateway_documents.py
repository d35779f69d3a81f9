"""Gateway documents: what goes down to a gateway and what it last said of itself, in versions that only grow.

Kinds are the names of their topics (`settings`, `roster`, `report`). A body is bytes to this port.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

import msgspec

from ringmain.model.ids import DeviceKey


class GatewayDocument(msgspec.Struct, frozen=True):
    """One version of one kind of one gateway."""

    version: int
    body: bytes
    created_ms: int


class GatewayDocuments(Protocol):
    """Versions of one kind begin at 1 and are never given twice, whatever is removed meanwhile."""

    async def put(
        self, kind: str, bodies: Mapping[DeviceKey, bytes], at_ms: int, *, keep: int
    ) -> Mapping[DeviceKey, GatewayDocument]:
        """Write the next version for each of these gateways in one transaction; of each the newest `keep` (at least
        1) stay. `Refused("not_found")` where a gateway is not there, and then nothing was written.
        """
        ...

    async def newest(self, kind: str) -> Mapping[DeviceKey, GatewayDocument]:
        """The newest of every gateway that has one; for a start."""
        ...

    async def history(
        self, gateway: DeviceKey, kind: str, *, before: int | None = None, limit: int
    ) -> Sequence[GatewayDocument]:
        """Versions of one gateway, the newest first, below version `before` where that is given."""
        ...
