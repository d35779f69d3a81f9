"""What the platform has for gateways, wired: the service, what translates their messages, and who hears of what."""

import hmac
from collections.abc import Mapping, Sequence

from ringmain.apps.server.stores import Stores
from ringmain.gateway.columns import Lanes
from ringmain.gateway.connections import Connections
from ringmain.gateway.pipeline import Translator
from ringmain.gateway.route import Purpose
from ringmain.gateway.translate.bulk import BulkTelemetry
from ringmain.gateway.translate.gateway_report import GatewayReports
from ringmain.model.device import Device
from ringmain.model.ids import DeviceKey
from ringmain.model.standing import Standing
from ringmain.ports.clock import Clock
from ringmain.ports.credentials import Credentials
from ringmain.services.gateways.service import Gateways
from ringmain.services.lifecycle.tokens import TokenDigest
from ringmain.services.sessions.service import Sessions

_SALT = b"roster\0"
"""No token has a NUL in it, so no token's digest is a gateway's salt."""


class GatewayRooms:
    """Of one platform. `lanes` are those of its pipeline."""

    def __init__(
        self,
        stores: Stores,
        connections: Connections,
        sessions: Sessions,
        clock: Clock,
        tokens: TokenDigest,
        pepper: bytes,
    ) -> None:
        self._sessions = sessions
        self._clock = clock
        self.lanes = Lanes()
        self.service = Gateways(
            stores.delegations,
            stores.gateway_documents,
            stores.registry,
            stores.directory,
            clock,
            secrets=_Secrets(stores.credentials, tokens),
            salt=lambda gateway: hmac.digest(pepper, _SALT + gateway.to_bytes(8, "big"), "sha256"),
            send=connections.notify,
            is_there=lambda gateway: bool(connections.of(gateway)),
        )
        self.translators: dict[Purpose, Translator] = {
            Purpose.CHUNKS: BulkTelemetry(self.service.standings, self.lanes, self.seen),
            Purpose.REPORT: GatewayReports(self.service.reported),
        }

    def seen(self, gateway: Device, devices: Sequence[Standing]) -> None:
        """Something came of these through that gateway."""
        those = [(it.device.key, it.profile.expected_interval_s) for it in devices]
        self._sessions.through(gateway.id, those, self._clock.now_ms())


class _Secrets:
    """The SHA-256 of tokens, unsealed for as long as a roster is made."""

    def __init__(self, credentials: Credentials, tokens: TokenDigest) -> None:
        self._credentials = credentials
        self._tokens = tokens

    async def __call__(self, devices: Sequence[DeviceKey]) -> Mapping[DeviceKey, Sequence[bytes]]:
        sealed = await self._credentials.sealed(devices)
        return {key: [self._tokens.unseal(it.digest, it.sealed) for it in those] for key, those in sealed.items()}
