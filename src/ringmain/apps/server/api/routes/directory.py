"""Directory: sites with their time zones, and profiles of devices."""

import msgspec

from ringmain.apps.server.api.context import Context
from ringmain.apps.server.api.kit.declaration import Call, Route
from ringmain.apps.server.api.kit.problems import Rejected
from ringmain.apps.server.api.paging import Page
from ringmain.apps.server.api.words import Name
from ringmain.model.device import Channel, Profile
from ringmain.model.ids import ProfileName
from ringmain.model.site import Site
from ringmain.ports.credentials import Role


class SiteParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    id: Name


class ProfileParams(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    name: Name


class SiteToPut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`zone` is an IANA name such as `Europe/London`."""

    zone: str


class ProfileToPut(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is common to a kind of device. The kind of a channel cannot be changed once it is set. `decoder` names what
    reads the topics and payloads that its devices have of their own.
    """

    expected_interval_s: int = 60
    channels: tuple[Channel, ...] = ()
    decoder: str = ""


async def list_sites(context: Context, call: Call[msgspec.Struct, None]) -> Page[Site]:
    """In the order of their ids."""
    return Page(list(await context.directory.sites(call.caller.tenant)), None)


async def put_site(context: Context, call: Call[SiteParams, SiteToPut]) -> Site:
    """Days and tariffs of the devices there are counted in its zone."""
    site = Site(call.params.id, call.body.zone)
    await context.directory.put_site(call.caller.tenant, site)
    return site


async def list_profiles(context: Context, call: Call[msgspec.Struct, None]) -> Page[Profile]:
    """The tenant's own and the built-in ones, in the order of their names."""
    return Page(list(await context.directory.profiles(call.caller.tenant)), None)


async def get_profile(context: Context, call: Call[ProfileParams, None]) -> Profile:
    profile = await context.directory.profile(call.caller.tenant, ProfileName(call.params.name))
    if profile is None:
        raise Rejected(
            "not_found", f"There is no profile {call.params.name}.", "GET /api/v1/profiles lists those there are."
        )
    return profile


async def put_profile(context: Context, call: Call[ProfileParams, ProfileToPut]) -> Profile:
    """Channels it does not name are still taken, as measured values."""
    body = call.body
    profile = Profile(ProfileName(call.params.name), body.expected_interval_s, body.channels, body.decoder)
    await context.directory.put_profile(call.caller.tenant, profile)
    return profile


_TAG = "Directory"
_SITE = "/api/v1/sites/{id}"
_PROFILE = "/api/v1/profiles/{name}"
ROUTES = (
    Route("GET", "/api/v1/sites", list_sites, "List sites", _TAG, Page[Site]),
    Route(
        "PUT",
        _SITE,
        put_site,
        "Create or change a site",
        _TAG,
        Site,
        Role.ADMIN,
        SiteParams,
        SiteToPut,
        body_example={"zone": "Europe/London"},
        problems=("not_found", "unprocessable"),
    ),
    Route("GET", "/api/v1/profiles", list_profiles, "List profiles", _TAG, Page[Profile]),
    Route(
        "GET",
        _PROFILE,
        get_profile,
        "Show a profile",
        _TAG,
        Profile,
        params=ProfileParams,
        problems=("not_found",),
    ),
    Route(
        "PUT",
        _PROFILE,
        put_profile,
        "Create or change a profile",
        _TAG,
        Profile,
        Role.ADMIN,
        ProfileParams,
        ProfileToPut,
        body_example={"expected_interval_s": 1800, "channels": [{"name": "energy_wh", "unit": "Wh", "kind": "exact"}]},
        problems=("not_found", "already_exists", "unprocessable"),
    ),
)
