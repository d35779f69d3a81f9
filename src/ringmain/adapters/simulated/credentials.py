"""Credentials, simulated: the tokens in force in one dict."""

from collections.abc import Mapping, Sequence

from ringmain.adapters.simulated.directory import Directory
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceKey
from ringmain.ports.credentials import Holder


class Credentials:
    """Home of `ports.credentials.Credentials`."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory
        self._holders: dict[bytes, Holder] = {}

    async def holder(self, digest: bytes) -> Holder | None:
        return self._holders.get(digest)

    async def holders(self, digests: Sequence[bytes]) -> Mapping[bytes, Holder]:
        return {digest: self._holders[digest] for digest in digests if digest in self._holders}

    async def grant(self, digest: bytes, holder: Holder, at_ms: int) -> None:  # noqa: ARG002 - twins keep no history
        self._directory.require(holder.tenant)
        if digest in self._holders:
            raise Refused(
                "already_exists",
                "The token is in use already. Nothing was changed.",
                "Tokens are unique over all devices, users and tenants: choose another.",
            )
        self._holders[digest] = holder

    async def replace(self, digest: bytes, holder: Holder, at_ms: int) -> int:
        before = dict(self._holders)
        revoked = 0 if holder.device is None else await self.revoke_device(holder.device, at_ms)
        try:
            await self.grant(digest, holder, at_ms)
        except Refused:
            self._holders = before
            raise
        return revoked

    async def revoke_device(self, device: DeviceKey, at_ms: int) -> int:  # noqa: ARG002 - twins keep no history
        revoked = [digest for digest, holder in self._holders.items() if holder.device == device]
        for digest in revoked:
            del self._holders[digest]
        return len(revoked)
