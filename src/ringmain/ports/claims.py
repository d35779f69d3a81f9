"""Claims: one-time tokens by which a registered device gets its credentials. Only their digests are kept."""

from typing import Protocol

import msgspec

from ringmain.model.device import Device, LifecycleState
from ringmain.model.ids import DeviceKey
from ringmain.ports.credentials import Certificate

STEPS = {
    LifecycleState.PROVISIONED: ((LifecycleState.REGISTERED, LifecycleState.PROVISIONED),),
    LifecycleState.ACTIVE: (
        (LifecycleState.REGISTERED, LifecycleState.PROVISIONED),
        (LifecycleState.PROVISIONED, LifecycleState.ACTIVE),
    ),
}
"""What is journalled of a device whose claim is redeemed, by the state that the claim leads to."""

BY = "claim"
"""Who the journal says made these transitions."""


class Redemption(msgspec.Struct, frozen=True):
    """What a claimant gets. `request` is the digest of what it named itself by; without one it is never answered
    twice. `certificate_digest` is set where there is a certificate.
    """

    request: bytes | None
    token_digest: bytes
    token_sealed: bytes
    certificate: Certificate | None = None
    certificate_digest: bytes | None = None


class Redeemed(msgspec.Struct, frozen=True):
    """A device as it now is, and its certificate. `is_first`: the claim was used up by this; otherwise it had been
    before, by the same claimant.
    """

    device: Device
    certificate: Certificate | None
    is_first: bool


class Claims(Protocol):
    """A device has one open claim at most; a new one replaces it."""

    async def open(
        self, device: DeviceKey, digest: bytes, becomes: LifecycleState, *, at_ms: int, expires_ms: int, by: str
    ) -> None:
        """Make a claim, and void those of the device that are not used. `becomes` is a key of `STEPS`.
        `Refused("not_found")` where there is no such device, `Refused("invalid_transition")` where it is not
        REGISTERED, `Refused("already_exists")` where the digest was used before.
        """
        ...

    async def look(self, digest: bytes, at_ms: int) -> Device | None:
        """Whose claim this is, used or not; None for one that is unknown, replaced or expired."""
        ...

    async def redeem(self, digest: bytes, redemption: Redemption, at_ms: int) -> Redeemed | None:
        """Use the claim up, in one transaction: the device goes from REGISTERED to where the claim leads, with its
        entries in the journal; all it had to sign in with is revoked; the token and the certificate are granted.

        A used claim is answered again to the same `request` with the certificate of the first time, as long as that
        certificate and the token are in force. None, and nothing changed, in every other case: unknown, replaced,
        expired, used by another, or the device is not REGISTERED any more.
        """
        ...
