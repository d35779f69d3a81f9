"""Directory: tenants with their sites and profiles, the small facts that everything else refers to.

The refusals below stand beside the protocol because every home must refuse the same things in the same words.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from ringmain.model.device import BUILT_IN_PROFILES, ChannelKind, Profile
from ringmain.model.errors import Refused
from ringmain.model.ids import ProfileName, TenantId, is_channel, is_name
from ringmain.model.site import Site, zone_of

CHANNELS_MAX = 256
"""Channels of one profile; LwM2M gateways with the most resources we know of publish some 120."""

EXPECTED_INTERVAL_S_MAX = 366 * 86_400
"""A device that reports once a year is the slowest whose silence can still be noticed."""


class Directory(Protocol):
    """Tenants, sites and profiles. Refusals are `Refused("already_exists" | "not_found" | "unprocessable")`."""

    async def add_tenant(self, tenant: TenantId, at_ms: int) -> None:
        """Make a tenant with a site `main` in UTC. `already_exists` where there is one of that name."""
        ...

    async def tenants(self) -> Sequence[TenantId]:
        """All tenants, in order of name."""
        ...

    async def put_site(self, tenant: TenantId, site: Site) -> None:
        """Create or change a site."""
        ...

    async def sites(self, tenant: TenantId) -> Sequence[Site]:
        """All sites of a tenant, in order of id."""
        ...

    async def put_profile(self, tenant: TenantId, profile: Profile) -> None:
        """Create or change a profile. A channel's kind can not be changed once it is set."""
        ...

    async def profile(self, tenant: TenantId, name: ProfileName) -> Profile | None:
        """A profile of the tenant, or a built-in one."""
        ...

    async def profiles(self, tenant: TenantId) -> Sequence[Profile]:
        """All profiles a tenant can use, in order of name."""
        ...


def built_in_profile(name: ProfileName) -> Profile | None:
    """The built-in profile of that name."""
    return next((profile for profile in BUILT_IN_PROFILES if profile.name == name), None)


def check_tenant(tenant: TenantId) -> None:
    """Refuse a tenant that cannot be named so."""
    if not is_name(tenant):
        raise Refused("unprocessable", f"{tenant!r} cannot name a tenant.", _NAME_HINT)


def check_site(site: Site) -> None:
    """Refuse a site that cannot be named so, or whose zone nobody knows."""
    if not is_name(site.id):
        raise Refused("unprocessable", f"{site.id!r} cannot name a site.", _NAME_HINT)
    try:
        zone_of(site.zone)
    except ValueError as error:
        raise Refused("unprocessable", f"{error}.", "Give the site an IANA zone such as Europe/London.") from error


def check_profile(profile: Profile, kinds: Mapping[str, ChannelKind]) -> None:
    """Refuse a profile that is not sound, or that would change the kind of a channel. `kinds` holds every channel
    that the profile ever named: integers and floats of one channel cannot be told apart afterwards, so leaving
    a channel out does not free its kind either.
    """
    if not is_name(profile.name):
        raise Refused("unprocessable", f"{profile.name!r} cannot name a profile.", _NAME_HINT)
    if profile.decoder and not is_name(profile.decoder):
        raise Refused("unprocessable", f"{profile.decoder!r} cannot name a decoder.", _NAME_HINT)
    if not 1 <= profile.expected_interval_s <= EXPECTED_INTERVAL_S_MAX:
        raise Refused(
            "unprocessable",
            f"Profile {profile.name}: expected_interval_s is {profile.expected_interval_s}.",
            f"Say how often its devices report, from 1 to {EXPECTED_INTERVAL_S_MAX} seconds.",
        )
    if len(profile.channels) > CHANNELS_MAX:
        raise Refused(
            "unprocessable", f"Profile {profile.name} names more than {CHANNELS_MAX} channels.", "Name fewer channels."
        )
    names = [channel.name for channel in profile.channels]
    for name in names:
        if not is_channel(name) or names.count(name) > 1:
            raise Refused(
                "unprocessable",
                f"Profile {profile.name}: {name!r} cannot name a channel, or names two.",
                "A channel is 1-64 characters, starts with a letter or `_`, and stands once.",
            )
    for name, kind in kinds.items():
        if profile.is_exact(name) is not (kind is ChannelKind.EXACT):
            raise Refused(
                "unprocessable",
                f"Profile {profile.name}: channel {name} is {kind.value} since it was set. Nothing changed.",
                "Keep its kind, or give the other kind a channel name of its own.",
            )


_NAME_HINT = "A name is 1-64 of A-Z a-z 0-9 . _ : @ ~ - and starts with a letter or digit."
