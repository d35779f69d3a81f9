"""Credentials: who a token or a client certificate belongs to. They are found by HMAC-SHA-256 digests, keyed with the
installation's pepper; of a token nothing else is kept that is of use without it.
"""

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
    """Whom a credential stands for: a device (`device` is set) or a user of the API (`role` is set). `expires_ms` is
    the end of a certificate; a token has none.
    """

    tenant: TenantId
    name: str
    device: DeviceKey | None = None
    role: Role | None = None
    expires_ms: int | None = None


class Certificate(msgspec.Struct, frozen=True):
    """A client certificate of the installation's CA. `serial` is its number in lower-case hexadecimal digits."""

    serial: str
    der: bytes
    expires_ms: int


class SealedToken(msgspec.Struct, frozen=True):
    """A token in force as it is stored: who knows the pepper can make verifiers of it for a gateway, and no token."""

    digest: bytes
    sealed: bytes


class Credentials(Protocol):
    """Tokens and certificates are unique over all tenants, so a credential alone says who comes."""

    async def holder(self, digest: bytes) -> Holder | None:
        """Whose valid credential has this digest; None for an unknown or revoked one. Expiry is the caller's to
        check: there is no clock in here.
        """
        ...

    async def holders(self, digests: Sequence[bytes]) -> Mapping[bytes, Holder]:
        """`holder` for a whole file at once; unknown and revoked ones are left out."""
        ...

    async def grant(
        self,
        digest: bytes,
        holder: Holder,
        at_ms: int,
        *,
        sealed: bytes | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        """Add a token (with what it seals), or a certificate. `Refused("already_exists")` if its digest is in use, by
        whomever, and `Refused("not_found")` where there is no such tenant. A revoked one may be granted again.
        """
        ...

    async def replace(self, digest: bytes, holder: Holder, at_ms: int, *, sealed: bytes | None = None) -> int:
        """Revoke all tokens of the holder's device and grant this one, in one transaction, so that no crash leaves
        it with none; how many were revoked. Its certificates stay. Refusals as of `grant`, and then nothing was
        revoked.
        """
        ...

    async def revoke_device(self, device: DeviceKey, at_ms: int, *, serial: str | None = None) -> int:
        """Revoke all tokens and certificates of a device, or the one certificate with that serial; how many there
        were.
        """
        ...

    async def sealed(self, devices: Sequence[DeviceKey]) -> Mapping[DeviceKey, Sequence[SealedToken]]:
        """The tokens of these devices that are in force and can be told to a gateway. One that was granted before
        there were gateways can not, until it is replaced; a device without any is left out.
        """
        ...

    async def certificates(self, device: DeviceKey) -> Sequence[Certificate]:
        """The certificates of a device that are not revoked, oldest first; some of them may have expired."""
        ...
