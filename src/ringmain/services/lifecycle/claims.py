"""Claims: how a device comes in without anybody carrying its token: a one-time claim becomes its credentials.

An operator makes a claim for a registered device and puts it on a label or into a box; the device redeems it once, at
whichever door, or through a gateway. Redeeming is one transaction: a crash before it leaves the claim open, a crash
behind it leaves a device with credentials whose answer was lost. For that a claimant may name itself, by the key of
its CSR or by a nonce: the same one gets the same answer again for as long as the claim would have been valid. That
token is made of the claim and the pepper each time, so that it is kept nowhere. Every refusal is the same: nobody
learns whether a claim was unknown, used, replaced or expired.
"""

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from ringmain.model.device import PERMISSIONS, Device, LifecycleState, Telemetry
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceId, DeviceKey, TenantId
from ringmain.ports.claims import Claims as ClaimsPort
from ringmain.ports.claims import Redemption
from ringmain.ports.clock import Clock
from ringmain.ports.credentials import Certificate
from ringmain.ports.registry import Registry
from ringmain.services.lifecycle.service import Lifecycle
from ringmain.services.lifecycle.tokens import TokenDigest, is_claim, new_claim, new_token

TTL_S = 7 * 86_400
"""From the desk to the wall: a week."""

TTL_S_MAX = 90 * 86_400
"""A batch of meters that is shipped with its labels. A claim opens a door, so it does not lie about for years."""

TTL_S_MIN = 60

CSR_LENGTH_MAX = 8_192
"""Characters of a CSR in PEM; one of RSA 4096 with a long subject has some 2,000."""

NONCE_LENGTH_MIN, NONCE_LENGTH_MAX = 16, 128
"""A nonce is a secret of the claimant: who knows it and the claim gets its token once more."""


class ClaimRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a claimant brings. With neither it gets a token, once, and no second answer."""

    csr: (
        Annotated[
            str, Meta(min_length=1, max_length=CSR_LENGTH_MAX, description="A certificate request (PKCS #10) in PEM.")
        ]
        | None
    ) = None
    nonce: (
        Annotated[
            str,
            Meta(
                min_length=NONCE_LENGTH_MIN,
                max_length=NONCE_LENGTH_MAX,
                description="Random text; the same one, or the key of the same CSR, gets the same answer again.",
            ),
        ]
        | None
    ) = None


class OpenedClaim(msgspec.Struct, frozen=True):
    """A claim that was just made. It is told once and kept nowhere."""

    claim: str
    expires_ms: int

    def __repr__(self) -> str:
        """Without the claim, which must not reach a log."""
        return f"OpenedClaim(expires_ms={self.expires_ms})"


class Provisioned(msgspec.Struct, frozen=True):
    """What a claimant gets."""

    device: Device
    token: str
    certificate: Certificate | None

    def __repr__(self) -> str:
        """Without the token, which must not reach a log."""
        return f"Provisioned({self.device.id!r})"


class Issued(msgspec.Struct, frozen=True):
    """A certificate, and the public key that it is for (SubjectPublicKeyInfo, DER)."""

    certificate: Certificate
    public_key: bytes


Issue = Callable[[str, Device, int], Issued]
"""Sign a CSR for a device at a time (ms). `Refused("unprocessable")` where it is none that can be signed."""

OnRedeemed = Callable[[Device, DeviceKey | None], Awaitable[None]]
"""Told of a device that has redeemed its claim, and through which gateway, before the claimant is answered; told again
where the answer is given again, so that a crash in between loses nothing.
"""


class Claims:
    """Makes claims and redeems them."""

    def __init__(
        self,
        lifecycle: Lifecycle,
        registry: Registry,
        claims: ClaimsPort,
        clock: Clock,
        tokens: TokenDigest,
        issue: Issue,
        on_redeemed: Sequence[OnRedeemed] = (),
    ) -> None:
        self._lifecycle = lifecycle
        self._registry = registry
        self._claims = claims
        self._clock = clock
        self._tokens = tokens
        self._issue = issue
        self._on_redeemed = on_redeemed

    async def open(
        self, tenant: TenantId, id: DeviceId, ttl_s: int = TTL_S, *, activate: bool = True, by: str = "operator"
    ) -> OpenedClaim:
        """A claim for a REGISTERED device; it replaces an open one. Redeemed, it leads to ACTIVE, or to PROVISIONED
        where it shall not `activate`.
        """
        if not TTL_S_MIN <= ttl_s <= TTL_S_MAX:
            raise Refused(
                "unprocessable",
                f"A claim can not be valid for {ttl_s} s. No claim was made.",
                f"Choose {TTL_S_MIN} to {TTL_S_MAX} s.",
            )
        async with self._lifecycle.one_at_a_time:
            device = await self._registry.device(tenant, id)
            if device is None:
                raise Refused("not_found", f"There is no device {id[:64]!r}.", "Register it first.")
            claim, now_ms = new_claim(), self._clock.now_ms()
            becomes = LifecycleState.ACTIVE if activate else LifecycleState.PROVISIONED
            expires_ms = now_ms + ttl_s * 1000
            await self._claims.open(
                device.key, self._tokens.of(claim), becomes, at_ms=now_ms, expires_ms=expires_ms, by=by
            )
        return OpenedClaim(claim, expires_ms)

    async def redeem(self, claim: str, request: ClaimRequest, via: DeviceKey | None = None) -> Provisioned:
        """Turn a claim into credentials. `via` is the gateway that passes it on; it must be ACTIVE and of the device's
        tenant. `Refused("bad_credentials")` for every claim that is not good, `Refused("unprocessable")` for a CSR
        that is not; then the claim is still open.
        """
        async with self._lifecycle.one_at_a_time:
            now_ms = self._clock.now_ms()
            digest = self._tokens.of(claim) if is_claim(claim) else b""
            device = await self._claims.look(digest, now_ms) if digest else None
            if device is None or not await self._may_pass(via, device):
                raise _not_good()
            token, redemption = self._prepare(claim, request, device, now_ms)
            redeemed = await self._claims.redeem(digest, redemption, now_ms)
            if redeemed is None:
                raise _not_good()
            if redeemed.is_first:
                self._lifecycle.tell(redeemed.device, LifecycleState.REGISTERED)
        for listener in self._on_redeemed:
            await listener(redeemed.device, via)
        return Provisioned(redeemed.device, token, redeemed.certificate)

    def _prepare(self, claim: str, request: ClaimRequest, device: Device, now_ms: int) -> tuple[str, Redemption]:
        """The token, and what is to be stored. Nothing is stored yet."""
        try:
            issued = None if request.csr is None else self._issue(request.csr, device, now_ms)
        except Refused:
            if device.state is LifecycleState.REGISTERED:
                raise
            raise _not_good() from None  # only who holds a claim that is still open hears of his CSR
        name = None
        if issued is not None or request.nonce is not None:
            name = self._tokens.of_request(issued.public_key if issued else b"", request.nonce or "")
        token = new_token() if name is None else self._tokens.claimed(claim, name)
        digest, sealed = self._tokens.of(token), self._tokens.seal(token)
        if issued is None:
            return token, Redemption(name, digest, sealed)
        certificate_digest = self._tokens.of_certificate(issued.certificate.der)
        return token, Redemption(name, digest, sealed, issued.certificate, certificate_digest)

    async def _may_pass(self, via: DeviceKey | None, device: Device) -> bool:
        """A gateway brings in devices of its own tenant alone, and none once it is suspended."""
        if via is None:
            return True
        gateway = await self._registry.by_key(via)
        return (
            gateway is not None
            and gateway.tenant == device.tenant
            and PERMISSIONS[gateway.state].telemetry is Telemetry.ACCEPTED
        )


def _not_good() -> Refused:
    return Refused(
        "bad_credentials",
        "The claim is not valid: it is unknown, used, replaced or expired. Nothing was changed.",
        "Ask for a new claim. Who was answered before repeats the request with the same CSR or nonce.",
    )
