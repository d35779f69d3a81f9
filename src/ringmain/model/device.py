"""Devices: their lifecycle as one table, what each state permits, and the profile that says what they measure."""

from enum import StrEnum

import msgspec

from ringmain.model.ids import DeviceId, DeviceKey, ProfileName, TenantId


class LifecycleState(StrEnum):
    """Where a device stands. `DECOMMISSIONED` is terminal: its id is never given to another device."""

    REGISTERED = "registered"
    PROVISIONED = "provisioned"
    ACTIVE = "active"
    SUSPENDED = "suspended"
    DECOMMISSIONED = "decommissioned"


class LifecycleEvent(StrEnum):
    """What an operator, or the claim of a device, does to it."""

    PROVISION = "provision"
    ACTIVATE = "activate"
    SUSPEND = "suspend"
    DECOMMISSION = "decommission"


LIFECYCLE: dict[tuple[LifecycleState, LifecycleEvent], LifecycleState] = {
    (LifecycleState.REGISTERED, LifecycleEvent.PROVISION): LifecycleState.PROVISIONED,
    (LifecycleState.REGISTERED, LifecycleEvent.DECOMMISSION): LifecycleState.DECOMMISSIONED,
    (LifecycleState.PROVISIONED, LifecycleEvent.ACTIVATE): LifecycleState.ACTIVE,
    (LifecycleState.PROVISIONED, LifecycleEvent.DECOMMISSION): LifecycleState.DECOMMISSIONED,
    (LifecycleState.ACTIVE, LifecycleEvent.SUSPEND): LifecycleState.SUSPENDED,
    (LifecycleState.ACTIVE, LifecycleEvent.DECOMMISSION): LifecycleState.DECOMMISSIONED,
    (LifecycleState.SUSPENDED, LifecycleEvent.ACTIVATE): LifecycleState.ACTIVE,
    (LifecycleState.SUSPENDED, LifecycleEvent.DECOMMISSION): LifecycleState.DECOMMISSIONED,
}


class Telemetry(StrEnum):
    """What becomes of a reading."""

    ACCEPTED = "accepted"
    QUARANTINED = "quarantined"
    REFUSED = "refused"


class Permission(msgspec.Struct, frozen=True):
    """One row of the permission matrix."""

    connect: bool
    telemetry: Telemetry
    commands: str
    billed: str


PERMISSIONS: dict[LifecycleState, Permission] = {
    LifecycleState.REGISTERED: Permission(False, Telemetry.REFUSED, "no", "no"),
    LifecycleState.PROVISIONED: Permission(True, Telemetry.QUARANTINED, "provisioning only", "no"),
    LifecycleState.ACTIVE: Permission(True, Telemetry.ACCEPTED, "yes", "yes"),
    LifecycleState.SUSPENDED: Permission(False, Telemetry.REFUSED, "held", "by policy"),
    LifecycleState.DECOMMISSIONED: Permission(False, Telemetry.REFUSED, "cancelled", "final bill"),
}


class ChannelKind(StrEnum):
    """EXACT values are integers (registers, energy in Wh, counts) and stay integers in every store and on
    every bill; MEASURED ones are IEEE 754 doubles.
    """

    EXACT = "exact"
    MEASURED = "measured"


class Channel(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One thing a device measures. `unit` is a UCUM symbol such as `Wh`, `V`, `Cel`."""

    name: str
    unit: str = ""
    kind: ChannelKind = ChannelKind.MEASURED
    obis: str = ""


class Profile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is common to a kind of device. A channel that a profile does not name is accepted as MEASURED;
    names ending in `_wh` are EXACT everywhere, so that energy is an integer even for a profile unheard of.

    `decoder` names what reads the topics and payloads that its devices have of their own; empty: they speak ours.
    """

    name: ProfileName
    expected_interval_s: int = 60
    channels: tuple[Channel, ...] = ()
    decoder: str = ""

    def is_exact(self, channel: str) -> bool:
        """Whether values of `channel` must be integers."""
        for known in self.channels:
            if known.name == channel:
                return known.kind is ChannelKind.EXACT
        return channel.endswith("_wh")


GENERIC_PROFILE = Profile(ProfileName("generic"))
METER_PROFILE = Profile(
    ProfileName("meter"),
    expected_interval_s=1800,
    channels=(
        Channel("energy_wh", "Wh", ChannelKind.EXACT, "1-0:1.29.0"),
        Channel("import_wh", "Wh", ChannelKind.EXACT, "1-0:1.8.0"),
        Channel("export_wh", "Wh", ChannelKind.EXACT, "1-0:2.8.0"),
        Channel("power_w", "W", ChannelKind.MEASURED, "1-0:1.7.0"),
        Channel("voltage_v", "V", ChannelKind.MEASURED, "1-0:32.7.0"),
    ),
)
EDGE_PROFILE = Profile(ProfileName("gateway"), expected_interval_s=60)
"""Of edge gateways: whoever has it may be given devices to speak for (see `model.gateway`)."""
DECODED_PROFILES = (
    Profile(ProfileName("shelly"), decoder="shelly-gen2"),
    Profile(ProfileName("shelly-gen1"), decoder="shelly-gen1"),
    Profile(ProfileName("tasmota"), expected_interval_s=300, decoder="tasmota"),
    Profile(ProfileName("zigbee2mqtt"), expected_interval_s=3600, decoder="zigbee2mqtt"),
    Profile(ProfileName("chirpstack"), expected_interval_s=3600, decoder="chirpstack-v4"),
)
"""Of devices with a firmware of their own, and of bridges that speak for many. Their intervals are the defaults of that
firmware: Tasmota reports each 300 s; who is behind a bridge has a profile of its own."""
BUILT_IN_PROFILES = (GENERIC_PROFILE, METER_PROFILE, EDGE_PROFILE, *DECODED_PROFILES)


class Device(msgspec.Struct, frozen=True):
    """A device as the registry holds it."""

    key: DeviceKey
    tenant: TenantId
    id: DeviceId
    profile: ProfileName
    state: LifecycleState
    site: str
    created_ms: int
    state_since_ms: int


class Principal(msgspec.Struct, frozen=True):
    """Who signed in as a device: the device, its profile and the zone its days are counted in."""

    device: Device
    profile: Profile
