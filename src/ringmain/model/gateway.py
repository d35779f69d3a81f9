"""Gateways: what the platform tells an edge gateway, and what the gateway tells the platform of itself.

A gateway is a device with the profile `gateway`. It holds dated delegations for the meters behind it and may publish
for those alone. Two documents come down to it, each with a version of its own: the *roster* (whom it speaks for, and
how it recognises them while the uplink is dead) and its *settings*. Nothing here is secret but a roster's salt and
verifiers, which are of no use against the platform itself.
"""

import hashlib
import hmac
from enum import StrEnum
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from ringmain.model.device import LifecycleState, Profile
from ringmain.model.ids import DeviceId, DeviceKey, ProfileName, TenantId

GATEWAY_PROFILE = ProfileName("gateway")
SPEAKING_PROFILES = frozenset((GATEWAY_PROFILE, ProfileName("zigbee2mqtt"), ProfileName("chirpstack")))
"""Profiles whose devices may be given others to speak for: edge gateways, and bridges with a decoder."""

DELEGATIONS_MAX = 20_000
"""Meters behind one gateway: a data concentrator of a large building block serves some 2,000; its roster of 200
bytes each still fits into one packet."""


class Delegation(msgspec.Struct, frozen=True):
    """A gateway speaks for a device from `from_ms` until `to_ms` (None: until further notice), in *event time*: what
    a meter said before it was given to another gateway may still arrive through this one.
    """

    gateway: DeviceKey
    device: DeviceKey
    from_ms: int = 0
    to_ms: int | None = None

    def covers(self, at_ms: int) -> bool:
        """Whether a reading of that event time may come through the gateway."""
        return self.from_ms <= at_ms and (self.to_ms is None or at_ms < self.to_ms)


class RosterEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One delegated device. `verifiers` are `verifier(salt, sha256(token))` of its tokens in force."""

    key: DeviceKey
    id: DeviceId
    profile: ProfileName
    state: LifecycleState
    state_since_ms: int
    verifiers: tuple[bytes, ...] = ()
    from_ms: int = 0
    to_ms: int | None = None


class Roster(msgspec.Struct, frozen=True):
    """Whom a gateway speaks for. It replaces the one before it as a whole; `version` only grows."""

    version: int
    tenant: TenantId
    gateway: DeviceId
    salt: bytes
    profiles: tuple[Profile, ...] = ()
    entries: tuple[RosterEntry, ...] = ()


def verifier(salt: bytes, token_sha256: bytes) -> bytes:
    """What a gateway keeps of a device's token, so that it can check it without the platform: HMAC-SHA-256 (RFC 2104)
    of the token's SHA-256 under the roster's salt.
    """
    return hmac.digest(salt, token_sha256, "sha256")


def token_sha256(token: str) -> bytes:
    """The 32 bytes from which verifiers are made."""
    return hashlib.sha256(token.encode()).digest()


class DropPolicy(StrEnum):
    """What a full buffer does. REJECT: the doors stop acknowledging, meters keep what they have. DROP_OLDEST: the
    oldest readings go. DOWNSAMPLE: the oldest are thinned first. Every reading that goes is counted.
    """

    REJECT = "reject"
    DROP_OLDEST = "drop_oldest"
    DOWNSAMPLE = "downsample"


class GatewaySettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a gateway works. The platform gives them with a version; a gateway takes all of them or none."""

    platform_host: Annotated[
        str, Meta(max_length=253, description="Where the platform is; empty: where it was when the gateway joined.")
    ] = ""
    platform_port: Annotated[int, Meta(ge=0, le=65535, description="Its MQTT over TLS; 0: as when it joined.")] = 0
    keep_alive_s: Annotated[
        int, Meta(ge=5, le=1200, description="Keep-alive of the uplink: a dead one is noticed after 1.5 of it.")
    ] = 20
    answer_s: Annotated[
        int,
        Meta(
            ge=2,
            le=300,
            description="How long the answer to a message that has left may take before the uplink is dead.",
        ),
    ] = 15
    commit_every_ms: Annotated[
        int, Meta(ge=0, le=5000, description="How long readings gather before they are synced and acknowledged.")
    ] = 250
    send_every_ms: Annotated[int, Meta(ge=0, le=60_000, description="How long live readings gather into a chunk.")] = (
        1000
    )
    backlog_bytes_s: Annotated[
        int, Meta(ge=1000, le=1_000_000_000, description="At most so much of the backlog goes up each second.")
    ] = 500_000
    buffer_bytes_max: Annotated[
        int, Meta(ge=1_048_576, le=1 << 44, description="How large the buffer's file may grow.")
    ] = 8 << 30
    free_bytes_min: Annotated[int, Meta(ge=0, le=1 << 40, description="What the buffer leaves free on its disk.")] = (
        64 << 20
    )
    policy: DropPolicy = DropPolicy.REJECT
    downsample_s: Annotated[
        int, Meta(ge=1, le=86_400, description="DOWNSAMPLE keeps the last reading of each such step, per channel set.")
    ] = 60
    windows: Annotated[
        tuple[Literal["15m", "30m", "1h", "2h", "3h", "4h", "6h", "8h", "12h"], ...],
        Meta(max_length=4, description="Windows aggregated here and sent up in addition, such as `15m`."),
    ] = ()
    confirm_s: Annotated[
        int, Meta(ge=5, le=3600, description="New settings are taken back if the uplink is not up again by then.")
    ] = 120
    report_every_s: Annotated[int, Meta(ge=1, le=86_400, description="Between two reports of its state.")] = 30


class VersionedSettings(msgspec.Struct, frozen=True):
    """Settings as the platform hands them down."""

    version: int
    settings: GatewaySettings


class SettingsState(StrEnum):
    """DEFAULT: none were given yet. TRIAL: applied, the uplink is not back yet. CONFIRMED: it came back under them.
    REVERTED: it did not, and those before are in force again. INVALID: not understood, nothing was changed.
    """

    DEFAULT = "default"
    TRIAL = "trial"
    CONFIRMED = "confirmed"
    REVERTED = "reverted"
    INVALID = "invalid"


class Count(msgspec.Struct, frozen=True):
    """So many readings came to this outcome, for this reason (empty where none is needed)."""

    outcome: str
    reason: str
    count: int


class GatewayReport(msgspec.Struct, frozen=True):
    """What a gateway says of itself. `books` count readings since its buffer was made:
    `received = forwarded + buffered + dropped{reason} + rejected{reason} + dead_letter`.
    """

    version: str
    at_ms: int
    started_ms: int
    settings_version: int
    settings_state: SettingsState
    settings_detail: str
    roster_version: int
    meters_known: int
    meters_connected: int
    uplink: str
    uplink_since_ms: int
    uplink_connections: int
    buffered_readings: int
    buffered_bytes: int
    file_bytes: int
    in_flight: int
    backlog_readings: int
    backlog_bytes: int
    drain_s: float | None
    books: tuple[Count, ...] = ()
