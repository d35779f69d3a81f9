"""Credentials, embedded: digests of tokens in the registry database; those in use answered from memory.

A lookup stands at every CONNECT and every HTTP request. A holder is cached when it is first asked for, and dropped
in the thread that committed its revocation, before that call returns: a revoked token never works again. Unknown
digests are not cached, so that guessing fills no memory.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, insert, select, update

from ringmain.adapters.embedded.database import IN_CLAUSE_MAX, Database, remember
from ringmain.adapters.embedded.database_schema import credentials
from ringmain.adapters.embedded.directory import require_tenant
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceKey, TenantId
from ringmain.ports.credentials import Holder, Role

HOLDERS_CACHED_MAX = 250_000
"""Tokens known by heart, some 300 bytes each: 75 MB at most, one for each device of `DEVICES_CACHED_MAX`."""

_c = credentials.c
_columns = (_c.digest, _c.tenant, _c.name, _c.device, _c.role)


class Credentials:
    """Home of `ports.credentials.Credentials`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._holders: dict[bytes, Holder] = {}

    async def holder(self, digest: bytes) -> Holder | None:
        known = self._holders.get(digest)
        if known is not None:
            return known

        def committed(found: dict[bytes, Holder]) -> None:
            for holder in found.values():
                remember(self._holders, digest, holder, HOLDERS_CACHED_MAX)

        found = await self._database.run(lambda connection: _find(connection, [digest]), committed)
        return found.get(digest)

    async def holders(self, digests: Sequence[bytes]) -> Mapping[bytes, Holder]:
        return await self._database.run(lambda connection: _find(connection, digests))

    async def grant(self, digest: bytes, holder: Holder, at_ms: int) -> None:
        await self._database.run(lambda connection: _grant(connection, digest, holder, at_ms))

    async def replace(self, digest: bytes, holder: Holder, at_ms: int) -> int:
        def work(connection: Connection) -> list[bytes]:
            revoked = _revoke(connection, _c.device == holder.device, at_ms)
            _grant(connection, digest, holder, at_ms)
            return revoked

        revoked = await self._database.run(work, self._forget)
        return len(revoked)

    async def revoke_device(self, device: DeviceKey, at_ms: int) -> int:
        def work(connection: Connection) -> list[bytes]:
            return _revoke(connection, _c.device == device, at_ms)

        revoked = await self._database.run(work, self._forget)
        return len(revoked)

    def _forget(self, digests: list[bytes]) -> None:
        for digest in digests:
            self._holders.pop(digest, None)


def _find(connection: Connection, digests: Sequence[bytes]) -> dict[bytes, Holder]:
    found: dict[bytes, Holder] = {}
    for at in range(0, len(digests), IN_CLAUSE_MAX):
        where = _c.digest.in_(digests[at : at + IN_CLAUSE_MAX]) & _c.revoked_ms.is_(None)
        for digest, tenant, name, device, role in connection.execute(select(*_columns).where(where)):
            found[digest] = Holder(
                TenantId(tenant),
                name,
                device=None if device is None else DeviceKey(device),
                role=None if role is None else Role(role),
            )
    return found


def _grant(connection: Connection, digest: bytes, holder: Holder, at_ms: int) -> None:
    require_tenant(connection, holder.tenant)
    row = {
        "digest": digest,
        "tenant": holder.tenant,
        "name": holder.name,
        "device": holder.device,
        "role": None if holder.role is None else holder.role.value,
        "granted_ms": at_ms,
    }
    if _find(connection, [digest]):
        raise Refused(
            "already_exists",
            "The token is in use already. Nothing was changed.",
            "Tokens are unique over all devices, users and tenants: choose another.",
        )
    connection.execute(insert(credentials).values(row))


def _revoke(connection: Connection, whose: ColumnElement[bool], at_ms: int) -> list[bytes]:
    in_force = whose & _c.revoked_ms.is_(None)
    revoked = list(connection.scalars(select(_c.digest).where(in_force)))
    connection.execute(update(credentials).where(in_force).values(revoked_ms=at_ms))
    return revoked
