"""Authenticator: who is at the door. Asked once per connection, or per request where there is none.

It fails closed: whatever goes wrong in here is a refusal, and where it went wrong on our side the refusal says no
more than that we can not look now. A refusal never says which half was wrong.
"""

import logging
from collections.abc import Collection
from typing import Protocol

from ringmain.gateway.broker.access import Access, ConsumerAccess, OpenAccess
from ringmain.model.device import PERMISSIONS, Device, LifecycleState, Principal
from ringmain.model.errors import Refused
from ringmain.model.ids import DEFAULT_TENANT, DeviceId, TenantId
from ringmain.ports.clock import Clock
from ringmain.ports.credentials import Credentials, Holder
from ringmain.ports.directory import Directory
from ringmain.ports.registry import Registry

log = logging.getLogger(__name__)

_WRONG = "unknown device or wrong token"
_WRONG_CERTIFICATE = "unknown or revoked certificate, or one of another device"
_HINT_CERTIFICATE = (
    "leave the user name empty or sign in as tenant/device; the certificate comes from redeeming a claim"
)
_HINT = "sign in as tenant/device (or the bare id in the default tenant) with the token as password"


class NotPermitted(Refused):
    """The token is right, but the state of the device permits no connection."""

    def __init__(self, device: Device, code: str, detail: str, hint: str) -> None:
        super().__init__(code, detail, hint)
        self.device = device


class SignIn(Protocol):
    """What a door asks for each connection."""

    async def sign_in(
        self, user_name: str | None, password: bytes | None, certificate: bytes | None = None
    ) -> Principal | Access:
        """The device that user name, password and client certificate (DER, its chain and validity checked by TLS)
        stand for, or what somebody who is no device may do. `Refused` otherwise, and for every error.
        """
        ...


class OpenSignIn:
    """Of the open door: anybody, in a tenant that holds nothing else. It has nothing to check, and so no error."""

    def __init__(self, tenant: TenantId, denied: Collection[str]) -> None:
        """`denied` are filters that are refused, as test suites expect it."""
        self._tenant = tenant
        self._denied = frozenset(denied)

    async def sign_in(
        self,
        user_name: str | None,  # noqa: ARG002 - anybody
        password: bytes | None,  # noqa: ARG002
        certificate: bytes | None = None,  # noqa: ARG002
    ) -> Access:
        """See `SignIn`."""
        return OpenAccess(self._tenant, self._denied)


class Digests(Protocol):
    """Under which digests credentials are found."""

    def of(self, token: str) -> bytes:
        """Of a token."""
        ...

    def of_certificate(self, der: bytes) -> bytes:
        """Of a certificate."""
        ...


class CertificateRules(Protocol):
    """What is to be known of a client's certificate (DER) beyond whether somebody holds it."""

    def is_revoked(self, der: bytes) -> bool:
        """Whether it is on a revocation list now, whatever the list was when its handshake was made."""
        ...

    def names(self, der: bytes) -> tuple[TenantId, DeviceId] | None:
        """The device that a certificate of a further CA names, whose word is as good as ours; None where it is no such
        certificate.
        """
        ...


class Granted:
    """`CertificateRules` where there is no further CA and no list: only those count that were granted."""

    def is_revoked(self, der: bytes) -> bool:  # noqa: ARG002 - the port's name
        """No list, so it is on none."""
        return False

    def names(self, der: bytes) -> None:
        """Nobody's word but ours."""


class Authenticator:
    """`SignIn` against the credentials port, and the device's state against the permission matrix."""

    def __init__(
        self,
        credentials: Credentials,
        registry: Registry,
        directory: Directory,
        digests: Digests,
        clock: Clock,
        rules: CertificateRules | None = None,
    ) -> None:
        self._credentials = credentials
        self._registry = registry
        self._directory = directory
        self._digests = digests
        self._clock = clock
        self._rules = rules or Granted()

    async def sign_in(
        self, user_name: str | None, password: bytes | None, certificate: bytes | None = None
    ) -> Principal | Access:
        """The device that a user name and password stand for: `tenant/device` or the bare id of the default
        tenant with the token as password, or the token alone as user name. With a certificate and no password the
        certificate alone decides, and a user name must be its device's. With both, both must be right and of one
        device. A token of the API is a back-end program's, and its user name is as its holder's. `Refused` otherwise.
        """
        try:
            if certificate is not None:
                return await self._certified(user_name or "", password, certificate)
            if password:
                return await self._named(user_name or "", password.decode())
            return await self._token(user_name or "")
        except Refused:
            raise
        except UnicodeDecodeError as error:
            raise Refused("bad_credentials", _WRONG, _HINT) from error
        except Exception as error:
            log.exception("a sign-in could not be checked; refused")
            raise Refused("unavailable", "sign-ins can not be checked now", "try again later") from error

    async def bearer(self, token: str) -> Principal:
        """The device a bare token stands for."""
        found = await self.sign_in(token, None)
        if not isinstance(found, Principal):
            raise Refused("bad_credentials", _WRONG, "this is a token of the API; send the device's own")
        return found

    async def _certified(self, user_name: str, password: bytes | None, certificate: bytes) -> Principal:
        named = self._rules.names(certificate)
        if named:
            principal = await self._admitted(await self._registry.device(*named), _WRONG_CERTIFICATE)
        else:
            holder = await self._credentials.holder(self._digests.of_certificate(certificate))
            principal = await self._principal(holder, _WRONG_CERTIFICATE)
        if password:
            other = await self._named(user_name, password.decode())
            if not isinstance(other, Principal) or other.device.key != principal.device.key:
                raise Refused("bad_credentials", _WRONG_CERTIFICATE, _HINT_CERTIFICATE)
        elif user_name and not _is_named(user_name, principal.device):
            raise Refused("bad_credentials", _WRONG_CERTIFICATE, _HINT_CERTIFICATE)
        if self._rules.is_revoked(certificate):  # last: a list may have come while the others were looked up
            raise Refused("bad_credentials", _WRONG_CERTIFICATE, _HINT_CERTIFICATE)
        return principal

    async def _named(self, user_name: str, token: str) -> Principal | Access:
        found = await self._token(token)
        if isinstance(found, Principal):
            if not _is_named(user_name, found.device):
                raise Refused("bad_credentials", _WRONG, _HINT)
        elif user_name not in (
            f"{found.tenant}/{found.owner.removeprefix('user/')}",
            found.owner.removeprefix("user/"),
        ):
            raise Refused("bad_credentials", _WRONG, _HINT)
        return found

    async def _token(self, token: str) -> Principal | Access:
        if not token:
            raise Refused("bad_credentials", _WRONG, _HINT)
        holder = await self._credentials.holder(self._digests.of(token))
        if holder is not None and holder.device is None and holder.role is not None:
            return ConsumerAccess(holder.tenant, holder.name, holder.role)
        return await self._principal(holder, _WRONG)

    async def _principal(self, holder: Holder | None, wrong: str) -> Principal:
        hint = _hint_of(wrong)
        if holder is None or holder.device is None:
            raise Refused("bad_credentials", wrong, hint)
        # TLS checks it at the handshake, but a resumed session brings an old handshake along (RFC 8446 §2.2).
        if holder.expires_ms is not None and self._clock.now_ms() >= holder.expires_ms:
            raise Refused("bad_credentials", wrong, hint)
        return await self._admitted(await self._registry.by_key(holder.device), wrong)

    async def _admitted(self, device: Device | None, wrong: str) -> Principal:
        hint = _hint_of(wrong)
        if device is None:
            raise Refused("bad_credentials", wrong, hint)
        _permitted(device)
        profile = await self._directory.profile(device.tenant, device.profile)
        if profile is None:
            raise Refused("bad_credentials", wrong, hint)
        return Principal(device, profile)


def _hint_of(wrong: str) -> str:
    return _HINT if wrong is _WRONG else _HINT_CERTIFICATE


def _is_named(user_name: str, device: Device) -> bool:
    tenant, slash, device_id = user_name.rpartition("/")
    return (tenant if slash else DEFAULT_TENANT) == device.tenant and device_id == device.id


def _permitted(device: Device) -> None:
    if PERMISSIONS[device.state].connect:
        return
    if device.state is LifecycleState.SUSPENDED:
        hint = "an operator can activate it again"
        raise NotPermitted(device, "device_suspended", f"device {device.id} is suspended", hint)
    hint = "it may not connect in this state"
    raise NotPermitted(device, "device_not_active", f"device {device.id} is {device.state}", hint)
