"""Authenticator: who is at the door. Asked once per connection, or per request where there is none.

It fails closed: whatever goes wrong in here is a refusal, and where it went wrong on our side the refusal says no
more than that we can not look now. A refusal never says which half was wrong.
"""

import logging
from collections.abc import Callable

from ringmain.model.device import PERMISSIONS, Device, LifecycleState, Principal
from ringmain.model.errors import Refused
from ringmain.model.ids import DEFAULT_TENANT
from ringmain.ports.credentials import Credentials
from ringmain.ports.directory import Directory
from ringmain.ports.registry import Registry

log = logging.getLogger(__name__)

_WRONG = "unknown device or wrong token"
_HINT = "sign in as tenant/device (or the bare id in the default tenant) with the token as password"


class NotPermitted(Refused):
    """The token is right, but the state of the device permits no connection."""

    def __init__(self, device: Device, code: str, detail: str, hint: str) -> None:
        super().__init__(code, detail, hint)
        self.device = device


class Authenticator:
    """Checks tokens against the credentials port and the device's state against the permission matrix."""

    def __init__(
        self, credentials: Credentials, registry: Registry, directory: Directory, digest: Callable[[str], bytes]
    ) -> None:
        self._credentials = credentials
        self._registry = registry
        self._directory = directory
        self._digest = digest

    async def sign_in(self, user_name: str | None, password: bytes | None) -> Principal:
        """The device that a user name and password stand for: `tenant/device` or the bare id of the default
        tenant with the token as password, or the token alone as user name. `Refused` otherwise.
        """
        try:
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
        return await self.sign_in(token, None)

    async def _named(self, user_name: str, token: str) -> Principal:
        tenant, slash, device_id = user_name.rpartition("/")
        principal = await self._token(token)
        device = principal.device
        if (tenant if slash else DEFAULT_TENANT) != device.tenant or device_id != device.id:
            raise Refused("bad_credentials", _WRONG, _HINT)
        return principal

    async def _token(self, token: str) -> Principal:
        holder = await self._credentials.holder(self._digest(token)) if token else None
        if holder is None or holder.device is None:
            raise Refused("bad_credentials", _WRONG, _HINT)
        device = await self._registry.by_key(holder.device)
        if device is None:
            raise Refused("bad_credentials", _WRONG, _HINT)
        _permitted(device)
        profile = await self._directory.profile(device.tenant, device.profile)
        if profile is None:
            raise Refused("bad_credentials", _WRONG, _HINT)
        return Principal(device, profile)


def _permitted(device: Device) -> None:
    if PERMISSIONS[device.state].connect:
        return
    if device.state is LifecycleState.SUSPENDED:
        hint = "an operator can activate it again"
        raise NotPermitted(device, "device_suspended", f"device {device.id} is suspended", hint)
    hint = "it may not connect in this state"
    raise NotPermitted(device, "device_not_active", f"device {device.id} is {device.state}", hint)
