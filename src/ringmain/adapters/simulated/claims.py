"""Claims, simulated: in one dict by their digest. Nothing here waits, so that every call is one act."""

import msgspec

from ringmain.adapters.simulated.credentials import Credentials
from ringmain.adapters.simulated.registry import Registry
from ringmain.model.device import Device, LifecycleState
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceKey
from ringmain.ports.claims import BY, STEPS, Redeemed, Redemption
from ringmain.ports.credentials import Certificate, Holder


class _Claim(msgspec.Struct):
    device: DeviceKey
    becomes: LifecycleState
    expires_ms: int
    replaced: bool = False
    used: bool = False
    request: bytes | None = None
    serial: str | None = None


class Claims:
    """Home of `ports.claims.Claims`."""

    def __init__(self, registry: Registry, credentials: Credentials) -> None:
        self._registry = registry
        self._credentials = credentials
        self._claims: dict[bytes, _Claim] = {}

    async def open(
        self,
        device: DeviceKey,
        digest: bytes,
        becomes: LifecycleState,
        *,
        at_ms: int,  # noqa: ARG002 - twins keep no history
        expires_ms: int,
        by: str,  # noqa: ARG002 - twins keep no history
    ) -> None:
        known = await self._registry.by_key(device)
        if known is None:
            raise Refused("not_found", f"There is no device with the key {device}.", "Register it first.")
        if known.state is not LifecycleState.REGISTERED:
            raise Refused("invalid_transition", f"The device is {known.state.value}. No claim was made.")
        if digest in self._claims:
            raise Refused("already_exists", "That claim was made before. No claim was made.", "Make a fresh one.")
        for claim in self._claims.values():
            claim.replaced |= claim.device == device and not claim.used
        self._claims[digest] = _Claim(device, becomes, expires_ms)

    async def look(self, digest: bytes, at_ms: int) -> Device | None:
        claim = self._valid(digest, at_ms)
        return None if claim is None else await self._registry.by_key(claim.device)

    async def redeem(self, digest: bytes, redemption: Redemption, at_ms: int) -> Redeemed | None:
        claim = self._valid(digest, at_ms)
        if claim is None:
            return None
        device = await self._registry.by_key(claim.device)
        assert device is not None, "a claim is made for a device, and devices stay"
        return (
            await self._again(claim, device, redemption)
            if claim.used
            else await self._first(claim, device, redemption, at_ms)
        )

    async def _first(self, claim: _Claim, device: Device, redemption: Redemption, at_ms: int) -> Redeemed | None:
        if device.state is not LifecycleState.REGISTERED:
            return None
        held = await self._credentials.holder(redemption.token_digest)
        if held is not None and held.device != device.key:
            raise Refused("already_exists", "The token is in use already. Nothing was changed.", "Make a fresh one.")
        await self._credentials.revoke_device(device.key, at_ms)
        holder, certificate = Holder(device.tenant, device.id, device=device.key), redemption.certificate
        await self._credentials.grant(redemption.token_digest, holder, at_ms, sealed=redemption.token_sealed)
        if certificate is not None and redemption.certificate_digest is not None:
            await self._credentials.grant(redemption.certificate_digest, holder, at_ms, certificate=certificate)
            claim.serial = certificate.serial
        for seen, to in STEPS[claim.becomes]:
            device = await self._registry.move(device.key, seen, to, at_ms, BY)
        claim.used, claim.request = True, redemption.request
        return Redeemed(device, certificate, is_first=True)

    async def _again(self, claim: _Claim, device: Device, redemption: Redemption) -> Redeemed | None:
        if redemption.request is None or claim.request != redemption.request:
            return None
        holder = await self._credentials.holder(redemption.token_digest)
        if holder is None or holder.device != device.key:
            return None
        certificate: Certificate | None = None
        if claim.serial is not None:
            held = await self._credentials.certificates(device.key)
            certificate = next((it for it in held if it.serial == claim.serial), None)
            if certificate is None:
                return None
        return Redeemed(device, certificate, is_first=False)

    def _valid(self, digest: bytes, at_ms: int) -> _Claim | None:
        claim = self._claims.get(digest)
        return None if claim is None or claim.replaced or at_ms >= claim.expires_ms else claim
