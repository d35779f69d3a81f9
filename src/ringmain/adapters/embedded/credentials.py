"""Credentials, embedded: digests of tokens and certificates in the registry database; those in force answered from
memory.

A lookup stands at every CONNECT and every HTTP request. The first one loads all tokens in force, a later miss those
granted since: when a whole fleet comes back at once, one query serves it. A revoked one is dropped in the thread
that committed it, before that call returns, and never works again. Unknown digests are not cached, so that guessing
fills no memory.
"""

from collections.abc import Mapping, Sequence

from sqlalchemy import ColumnElement, Connection, bindparam, insert, select, true, update

from ringmain.adapters.embedded.database import IN_CLAUSE_MAX, Database, remember
from ringmain.adapters.embedded.database_schema import credentials
from ringmain.adapters.embedded.directory import require_tenant
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceKey, TenantId
from ringmain.ports.credentials import Certificate, Holder, Role, SealedToken

HOLDERS_CACHED_MAX = 250_000
"""Credentials known by heart, some 300 bytes each: 75 MB at most, one for each device of `DEVICES_CACHED_MAX`."""

_c = credentials.c
_in_force = select(_c.number, _c.digest, _c.tenant, _c.name, _c.device, _c.role, _c.expires_ms).where(
    _c.revoked_ms.is_(None)
)
_granted_since = _in_force.where(_c.number > bindparam("since")).order_by(_c.number).limit(HOLDERS_CACHED_MAX)
_sealed = select(_c.device, _c.digest, _c.sealed).where(_c.revoked_ms.is_(None), _c.sealed.is_not(None))
_certificates = (
    select(_c.serial, _c.certificate, _c.expires_ms)
    .where(_c.revoked_ms.is_(None), _c.serial.is_not(None))
    .order_by(_c.number)
)
_of_digest = _in_force.where(_c.digest == bindparam("digest"))


class Credentials:
    """Home of `ports.credentials.Credentials`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._holders: dict[bytes, Holder] = {}
        self._loaded = 0
        """The greatest number of a grant that was loaded."""

    async def holder(self, digest: bytes) -> Holder | None:
        known = self._holders.get(digest)
        if known is not None:
            return known
        return await self._database.run(lambda connection: self._look_up(connection, digest))

    async def holders(self, digests: Sequence[bytes]) -> Mapping[bytes, Holder]:
        return await self._database.run(lambda connection: _find(connection, digests))

    async def grant(
        self,
        digest: bytes,
        holder: Holder,
        at_ms: int,
        *,
        sealed: bytes | None = None,
        certificate: Certificate | None = None,
    ) -> None:
        await self._database.run(
            lambda connection: grant(connection, digest, holder, at_ms, sealed=sealed, certificate=certificate)
        )

    async def replace(self, digest: bytes, holder: Holder, at_ms: int, *, sealed: bytes | None = None) -> int:
        def work(connection: Connection) -> list[bytes]:
            # A user's token replaces none: `device = NULL` would mean every user there is.
            revoked = [] if holder.device is None else revoke(connection, holder.device, at_ms, _c.serial.is_(None))
            grant(connection, digest, holder, at_ms, sealed=sealed)
            return revoked

        revoked = await self._database.run(work, self.forget)
        return len(revoked)

    async def revoke_device(self, device: DeviceKey, at_ms: int, *, serial: str | None = None) -> int:
        def work(connection: Connection) -> list[bytes]:
            return revoke(connection, device, at_ms, true() if serial is None else _c.serial == serial)

        revoked = await self._database.run(work, self.forget)
        return len(revoked)

    async def sealed(self, devices: Sequence[DeviceKey]) -> Mapping[DeviceKey, Sequence[SealedToken]]:
        def work(connection: Connection) -> dict[DeviceKey, list[SealedToken]]:
            found: dict[DeviceKey, list[SealedToken]] = {}
            for at in range(0, len(devices), IN_CLAUSE_MAX):
                among = _c.device.in_(devices[at : at + IN_CLAUSE_MAX])
                for device, digest, sealed in connection.execute(_sealed.where(among)):
                    found.setdefault(device, []).append(SealedToken(digest, sealed))
            return found

        return await self._database.run(work)

    async def certificates(self, device: DeviceKey) -> Sequence[Certificate]:
        return await self._database.run(lambda connection: certificates_of(connection, device))

    def forget(self, digests: Sequence[bytes]) -> None:
        """They are revoked. Only ever called in the registry's thread, after the commit."""
        for digest in digests:
            self._holders.pop(digest, None)

    def _look_up(self, connection: Connection, digest: bytes) -> Holder | None:
        """Reads only, so that what it caches is true whether or not its transaction commits."""
        if len(self._holders) < HOLDERS_CACHED_MAX:
            for row in connection.execute(_granted_since, {"since": self._loaded}):
                self._loaded = row[0]
                remember(self._holders, row[1], _holder(*row[2:]), HOLDERS_CACHED_MAX)
        known = self._holders.get(digest)
        if known is None:
            for row in connection.execute(_of_digest, {"digest": digest}):
                known = _holder(*row[2:])
                remember(self._holders, digest, known, HOLDERS_CACHED_MAX)
        return known


def _find(connection: Connection, digests: Sequence[bytes]) -> dict[bytes, Holder]:
    found: dict[bytes, Holder] = {}
    for at in range(0, len(digests), IN_CLAUSE_MAX):
        among = _c.digest.in_(digests[at : at + IN_CLAUSE_MAX])
        for _, digest, *rest in connection.execute(_in_force.where(among)):
            found[digest] = _holder(*rest)
    return found


def _holder(tenant: TenantId, name: str, device: DeviceKey | None, role: str | None, expires_ms: int | None) -> Holder:
    return Holder(tenant, name, device, None if role is None else Role(role), expires_ms)


def grant(
    connection: Connection,
    digest: bytes,
    holder: Holder,
    at_ms: int,
    *,
    sealed: bytes | None = None,
    certificate: Certificate | None = None,
) -> None:
    """The rest of `Credentials.grant`, within a transaction."""
    require_tenant(connection, holder.tenant)
    row = {
        "digest": digest,
        "tenant": holder.tenant,
        "name": holder.name,
        "device": holder.device,
        "role": None if holder.role is None else holder.role.value,
        "granted_ms": at_ms,
        "sealed": sealed,
    }
    if certificate is not None:
        row |= {"serial": certificate.serial, "certificate": certificate.der, "expires_ms": certificate.expires_ms}
    if connection.execute(_of_digest, {"digest": digest}).first() is not None:
        raise Refused(
            "already_exists",
            "The token is in use already. Nothing was changed.",
            "Tokens are unique over all devices, users and tenants: choose another.",
        )
    connection.execute(insert(credentials).values(row))


def revoke(connection: Connection, device: DeviceKey, at_ms: int, which: ColumnElement[bool]) -> list[bytes]:
    """Revoke those of a device's credentials, within a transaction; their digests, to be forgotten after it."""
    in_force = (_c.device == device) & _c.revoked_ms.is_(None) & which
    revoked = list(connection.scalars(select(_c.digest).where(in_force)))
    connection.execute(update(credentials).where(in_force).values(revoked_ms=at_ms))
    return revoked


def certificates_of(connection: Connection, device: DeviceKey) -> list[Certificate]:
    """The certificates of a device that are not revoked, oldest first."""
    return [Certificate(*row) for row in connection.execute(_certificates.where(_c.device == device))]
