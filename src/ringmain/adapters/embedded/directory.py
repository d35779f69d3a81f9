"""Directory, embedded: tenants, sites and profiles in the registry database; profiles answered from memory."""

from collections.abc import Sequence

import msgspec
from sqlalchemy import Connection, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from ringmain.adapters.embedded.database import Database, remember
from ringmain.adapters.embedded.database_schema import profile_channels, profiles, sites, tenants
from ringmain.model.device import BUILT_IN_PROFILES, ChannelKind, Profile
from ringmain.model.errors import Refused
from ringmain.model.ids import ProfileName, TenantId
from ringmain.model.site import Site
from ringmain.ports.directory import built_in_profile, check_profile, check_site, check_tenant

PROFILES_CACHED_MAX = 10_000
"""Kinds of devices seen lately; a platform has tens of them."""

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Profile).decode


class Directory:
    """Home of `ports.directory.Directory`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._profiles: dict[tuple[TenantId, ProfileName], Profile] = {}

    async def add_tenant(self, tenant: TenantId, at_ms: int) -> None:
        check_tenant(tenant)

        def work(connection: Connection) -> None:
            if connection.execute(select(tenants.c.id).where(tenants.c.id == tenant)).first() is not None:
                raise Refused(
                    "already_exists", f"There is a tenant {tenant} already.", "Use it, or choose another name."
                )
            connection.execute(insert(tenants).values(id=tenant, created_ms=at_ms))
            connection.execute(insert(sites).values(tenant=tenant, id="main", zone="UTC"))

        await self._database.run(work)

    async def tenants(self) -> Sequence[TenantId]:
        def work(connection: Connection) -> list[TenantId]:
            return [TenantId(id) for id in connection.scalars(select(tenants.c.id).order_by(tenants.c.id))]

        return await self._database.run(work)

    async def put_site(self, tenant: TenantId, site: Site) -> None:
        check_site(site)

        def work(connection: Connection) -> None:
            require_tenant(connection, tenant)
            statement = upsert(sites).values(tenant=tenant, id=site.id, zone=site.zone)
            connection.execute(statement.on_conflict_do_update(set_={"zone": site.zone}))

        await self._database.run(work)

    async def sites(self, tenant: TenantId) -> Sequence[Site]:
        def work(connection: Connection) -> list[Site]:
            rows = connection.execute(
                select(sites.c.id, sites.c.zone).where(sites.c.tenant == tenant).order_by(sites.c.id)
            )
            return [Site(id, zone) for id, zone in rows]

        return await self._database.run(work)

    async def put_profile(self, tenant: TenantId, profile: Profile) -> None:
        def work(connection: Connection) -> None:
            require_tenant(connection, tenant)
            check_profile(profile, _kinds(connection, tenant, profile.name))
            row = upsert(profiles).values(tenant=tenant, name=profile.name, body=_encode(profile))
            connection.execute(row.on_conflict_do_update(set_={"body": row.excluded.body}))
            if profile.channels:
                named = [
                    {"tenant": tenant, "profile": profile.name, "channel": channel.name, "kind": channel.kind.value}
                    for channel in profile.channels
                ]
                connection.execute(upsert(profile_channels).on_conflict_do_nothing(), named)

        def committed(_: None) -> None:
            remember(self._profiles, (tenant, profile.name), profile, PROFILES_CACHED_MAX)

        await self._database.run(work, committed)

    async def profile(self, tenant: TenantId, name: ProfileName) -> Profile | None:
        known = self._profiles.get((tenant, name))
        if known is not None:
            return known

        def work(connection: Connection) -> Profile | None:
            where = (profiles.c.tenant == tenant) & (profiles.c.name == name)
            body = connection.scalar(select(profiles.c.body).where(where))
            return built_in_profile(name) if body is None else _decode(body)

        def committed(profile: Profile | None) -> None:
            if profile is not None:
                remember(self._profiles, (tenant, name), profile, PROFILES_CACHED_MAX)

        return await self._database.run(work, committed)

    async def profiles(self, tenant: TenantId) -> Sequence[Profile]:
        def work(connection: Connection) -> list[Profile]:
            known = {profile.name: profile for profile in BUILT_IN_PROFILES}
            for body in connection.scalars(select(profiles.c.body).where(profiles.c.tenant == tenant)):
                profile = _decode(body)
                known[profile.name] = profile
            return [known[name] for name in sorted(known)]

        return await self._database.run(work)


def require_tenant(connection: Connection, tenant: TenantId) -> None:
    """Refuse what names a tenant that does not exist."""
    if connection.execute(select(tenants.c.id).where(tenants.c.id == tenant)).first() is None:
        raise Refused("not_found", f"There is no tenant {tenant[:64]!r}. Nothing was changed.", "Make it first.")


def _kinds(connection: Connection, tenant: TenantId, name: ProfileName) -> dict[str, ChannelKind]:
    """Every channel the profile ever named, those of the built-in one that it stands in for included."""
    built_in = built_in_profile(name)
    kinds = {} if built_in is None else {channel.name: channel.kind for channel in built_in.channels}
    where = (profile_channels.c.tenant == tenant) & (profile_channels.c.profile == name)
    for channel, kind in connection.execute(select(profile_channels.c.channel, profile_channels.c.kind).where(where)):
        kinds[channel] = ChannelKind(kind)
    return kinds
