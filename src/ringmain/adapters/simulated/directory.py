"""Directory, simulated: tenants, sites and profiles in plain dicts, with the refusals of the real one."""

from collections.abc import Sequence

from ringmain.model.device import BUILT_IN_PROFILES, ChannelKind, Profile
from ringmain.model.errors import Refused
from ringmain.model.ids import ProfileName, TenantId
from ringmain.model.site import Site
from ringmain.ports.directory import built_in_profile, check_profile, check_site, check_tenant


class Directory:
    """Home of `ports.directory.Directory`."""

    def __init__(self) -> None:
        self._sites: dict[TenantId, dict[str, Site]] = {}
        self._profiles: dict[tuple[TenantId, ProfileName], Profile] = {}
        self._kinds: dict[tuple[TenantId, ProfileName], dict[str, ChannelKind]] = {}

    async def add_tenant(self, tenant: TenantId, at_ms: int) -> None:  # noqa: ARG002 - twins keep no history
        check_tenant(tenant)
        if tenant in self._sites:
            raise Refused("already_exists", f"There is a tenant {tenant} already.", "Use it, or choose another name.")
        self._sites[tenant] = {"main": Site("main", "UTC")}

    async def tenants(self) -> Sequence[TenantId]:
        return sorted(self._sites)

    async def put_site(self, tenant: TenantId, site: Site) -> None:
        check_site(site)
        self.require(tenant)
        self._sites[tenant][site.id] = site

    async def sites(self, tenant: TenantId) -> Sequence[Site]:
        return [site for _, site in sorted(self._sites.get(tenant, {}).items())]

    async def put_profile(self, tenant: TenantId, profile: Profile) -> None:
        self.require(tenant)
        built_in = built_in_profile(profile.name)
        kinds = {} if built_in is None else {channel.name: channel.kind for channel in built_in.channels}
        kinds |= self._kinds.get((tenant, profile.name), {})
        check_profile(profile, kinds)
        self._profiles[tenant, profile.name] = profile
        self._kinds[tenant, profile.name] = kinds | {channel.name: channel.kind for channel in profile.channels}

    async def profile(self, tenant: TenantId, name: ProfileName) -> Profile | None:
        return self._profiles.get((tenant, name)) or built_in_profile(name)

    async def profiles(self, tenant: TenantId) -> Sequence[Profile]:
        known = {profile.name: profile for profile in BUILT_IN_PROFILES}
        known |= {name: profile for (owner, name), profile in self._profiles.items() if owner == tenant}
        return [known[name] for name in sorted(known)]

    def require(self, tenant: TenantId) -> None:
        """Refuse what names a tenant that does not exist; for the twins that stand beside this one."""
        if tenant not in self._sites:
            raise Refused("not_found", f"There is no tenant {tenant[:64]!r}. Nothing was changed.", "Make it first.")
