"""Certificates of devices, as operators handle them: the next one before the last one ends, and the end of a lost one.

The first one comes with a claim (see `claims`). Never touches a private key: devices keep theirs.
"""

from collections.abc import Sequence

from ringmain.model.device import PERMISSIONS, Device
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceId, TenantId
from ringmain.ports.clock import Clock
from ringmain.ports.credentials import Certificate, Credentials, Holder
from ringmain.ports.registry import Registry
from ringmain.services.lifecycle.claims import Issue
from ringmain.services.lifecycle.service import Lifecycle
from ringmain.services.lifecycle.tokens import TokenDigest

CERTIFICATES_MAX = 8
"""Not revoked, of one device: one in use, one to follow, and room for mistakes."""


class Certificates:
    """Lists, issues and revokes."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        registry: Registry,
        credentials: Credentials,
        clock: Clock,
        tokens: TokenDigest,
        issue: Issue,
    ) -> None:
        self._lifecycle = lifecycle
        self._registry = registry
        self._credentials = credentials
        self._clock = clock
        self._tokens = tokens
        self._issue = issue

    async def of(self, tenant: TenantId, id: DeviceId) -> Sequence[Certificate]:
        """Those that are not revoked, oldest first."""
        return await self._credentials.certificates((await self._known(tenant, id)).key)

    async def issue(self, tenant: TenantId, id: DeviceId, csr: str) -> Certificate:
        """One more, beside those there are, so that a device changes over without a gap. Only for a device that may
        connect.
        """
        async with self._lifecycle.one_at_a_time:
            device = await self._known(tenant, id)
            if not PERMISSIONS[device.state].connect:
                raise Refused(
                    "invalid_transition",
                    f"A device that is {device.state.value} gets no certificate. Nothing was changed.",
                    "Make a claim for a registered device; activate a suspended one.",
                )
            if len(await self._credentials.certificates(device.key)) >= CERTIFICATES_MAX:
                raise Refused(
                    "already_exists",
                    f"The device has {CERTIFICATES_MAX} certificates already. Nothing was changed.",
                    "Revoke those that are not used.",
                )
            now_ms = self._clock.now_ms()
            certificate = self._issue(csr, device, now_ms).certificate
            digest = self._tokens.of_certificate(certificate.der)
            holder = Holder(device.tenant, device.id, device=device.key)
            await self._credentials.grant(digest, holder, now_ms, certificate=certificate)
        return certificate

    async def revoke(self, tenant: TenantId, id: DeviceId, serial: str) -> Device:
        """It ends with the call, and so do the device's connections; its token and its other certificates stay."""
        async with self._lifecycle.one_at_a_time:
            device = await self._known(tenant, id)
            if not await self._credentials.revoke_device(device.key, self._clock.now_ms(), serial=serial):
                raise Refused(
                    "not_found",
                    f"{id} has no certificate {serial[:64]!r} in force. Nothing was changed.",
                    "List its certificates.",
                )
            self._lifecycle.tell(device, device.state)
        return device

    async def _known(self, tenant: TenantId, id: DeviceId) -> Device:
        device = await self._registry.device(tenant, id)
        if device is None:
            raise Refused("not_found", f"There is no device {id[:64]!r}.", "Register it first.")
        return device
