"""Credentials, simulated: those in force in dicts by their digest."""

from collections.abc import Mapping, Sequence

from ringmain.adapters.simulated.directory import Directory
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceKey
from ringmain.ports.credentials import Certificate, Holder, SealedToken


class Credentials:
    """Home of `ports.credentials.Credentials`."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._holders: dict[bytes, Holder] = {}
        self._sealed: dict[bytes, bytes] = {}
        self._certificates: dict[bytes, Certificate] = {}

    async def holder(self, digest: bytes) -> Holder | None:
        return self._holders.get(digest)

    async def holders(self, digests: Sequence[bytes]) -> Mapping[bytes, Holder]:
        return {digest: self._holders[digest] for digest in digests if digest in self._holders}

    async def grant(
        self,
        digest: bytes,
        holder: Holder,
        at_ms: int,  # noqa: ARG002 - twins keep no history
        *,
        sealed: bytes | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        self._directory.require(holder.tenant)
        if digest in self._holders:
            raise Refused(
                "already_exists",
                "The token is in use already. Nothing was changed.",
                "Tokens are unique over all devices, users and tenants: choose another.",
            )
        expires_ms = None if certificate is None else certificate.expires_ms
        self._holders[digest] = Holder(holder.tenant, holder.name, holder.device, holder.role, expires_ms)
        if sealed is not None:
            self._sealed[digest] = sealed
        if certificate is not None:
            self._certificates[digest] = certificate

    async def replace(self, digest: bytes, holder: Holder, at_ms: int, *, sealed: bytes | None = None) -> int:
        kept = dict(self._holders), dict(self._sealed)
        revoked = [] if holder.device is None else self._of(holder.device, tokens=True, certificates=False)
        self._forget(revoked)
        try:
            await self.grant(digest, holder, at_ms, sealed=sealed)
        except Refused:
            self._holders, self._sealed = kept
            raise
        return len(revoked)

    async def revoke_device(
        self,
        device: DeviceKey,
        at_ms: int,  # noqa: ARG002 - twins keep no history
        *,
        serial: str | None = None,
    ) -> int:
        revoked = self._of(device, tokens=serial is None, certificates=True)
        if serial is not None:
            revoked = [digest for digest in revoked if self._certificates[digest].serial == serial]
        self._forget(revoked)
        return len(revoked)

    async def sealed(self, devices: Sequence[DeviceKey]) -> Mapping[DeviceKey, Sequence[SealedToken]]:
        found: dict[DeviceKey, list[SealedToken]] = {}
        for digest, sealed in self._sealed.items():
            device = self._holders[digest].device
            if device is not None and device in devices:
                found.setdefault(device, []).append(SealedToken(digest, sealed))
        return found

    async def certificates(self, device: DeviceKey) -> Sequence[Certificate]:
        return [self._certificates[digest] for digest in self._of(device, tokens=False, certificates=True)]

    def _of(self, device: DeviceKey, *, tokens: bool, certificates: bool) -> list[bytes]:
        return [
            digest
            for digest, holder in self._holders.items()
            if holder.device == device and (certificates if digest in self._certificates else tokens)
        ]

    def _forget(self, digests: Sequence[bytes]) -> None:
        for digest in digests:
            del self._holders[digest]
            self._sealed.pop(digest, None)
            self._certificates.pop(digest, None)
