"""Credentials: who a token belongs to. Only HMAC-SHA-256 digests are kept, keyed with the installation's pepper."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from ringmain.model.ids import DeviceKey, TenantId


class Role(StrEnum):
    """What a token of the API may do within its tenant. An OPERATOR of the platform also makes tenants."""

    VIEWER = "viewer"
    ADMIN = "admin"
    OPERATOR = "operator"


class Holder(msgspec.Struct, frozen=True):
    """Whom a token stands for: a device (`device` is set) or a user of the API (`role` is set)."""

    tenant: TenantId
    name: str
    device: DeviceKey | None = None
    role: Role | None = None


class Credentials(Protocol):
    """Tokens are unique over all tenants, so a token alone says who comes."""

    async def holder(self, digest: bytes) -> Holder | None:
        """Whose valid token has this digest; None for an unknown or revoked one."""
        ...

    async def holders(self, digests: Sequence[bytes]) -> Mapping[bytes, Holder]:
        """`holder` for a whole file at once; unknown and revoked ones are left out."""
        ...

    async def grant(self, digest: bytes, holder: Holder, at_ms: int) -> None:
        """Add a token. `Refused("already_exists")` if its digest is in use, by whomever, and `Refused("not_found")`
        where there is no such tenant. A revoked token may be granted again.
        """
        ...

    async def replace(self, digest: bytes, holder: Holder, at_ms: int) -> int:
        """Revoke all tokens of the holder's device and grant this one, in one transaction, so that no crash leaves
        it with none; how many were revoked. Refusals as of `grant`, and then nothing was revoked.
        """
        ...

    async def revoke_device(self, device: DeviceKey, at_ms: int) -> int:
        """Revoke all tokens of a device; how many there were."""
        ...
