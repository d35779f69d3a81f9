"""Registry, embedded: devices in the registry database; single devices answered from memory.

The first question loads all devices, a later miss those made since: when a whole fleet comes back at once, one
query serves it. This process owns the database, so its caches are right as long as every write passes here: a
device that changed is replaced in the thread that committed the change, before the next job runs.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Select, bindparam, insert, select, update
from sqlalchemy.exc import IntegrityError

from ringmain.adapters.embedded.database import IN_CLAUSE_MAX, Database, remember
from ringmain.adapters.embedded.database_schema import credentials, devices, profiles, sites, transitions
from ringmain.adapters.embedded.directory import require_tenant
from ringmain.model.device import BUILT_IN_PROFILES, Device, LifecycleState
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceId, DeviceKey, TenantId
from ringmain.ports.registry import NewDevice

DEVICES_CACHED_MAX = 250_000
"""Devices known by heart, some 400 bytes each: 100 MB at most, and more than one process can serve at once."""

_all = select(devices)
_made_since = _all.where(devices.c.key > bindparam("since")).order_by(devices.c.key).limit(DEVICES_CACHED_MAX)
_of_key = _all.where(devices.c.key == bindparam("key"))
_of_id = _all.where(devices.c.tenant == bindparam("tenant"), devices.c.id == bindparam("id"))

Transition = tuple[int, LifecycleState, LifecycleState, str]


class Registry:
    """Home of `ports.registry.Registry`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_key: dict[DeviceKey, Device] = {}
        self._by_id: dict[tuple[TenantId, DeviceId], Device] = {}
        self._loaded = 0
        """The greatest key that was loaded."""

    async def add(self, tenant: TenantId, devices: Sequence[NewDevice], at_ms: int) -> Sequence[Device]:
        def work(connection: Connection) -> list[Device]:
            require_tenant(connection, tenant)
            _require_profiles_and_sites(connection, tenant, devices)
            try:
                with connection.begin_nested():
                    return _insert(connection, tenant, devices, at_ms)
            except IntegrityError as error:
                raise _refusal(connection, tenant, devices) from error

        return await self._database.run(work) if devices else []

    async def device(self, tenant: TenantId, id: DeviceId) -> Device | None:
        known = self._by_id.get((tenant, id))
        if known is not None:
            return known

        def work(connection: Connection) -> Device | None:
            self._load(connection)
            return self._by_id.get((tenant, id)) or self._one(connection, _of_id, {"tenant": tenant, "id": id})

        return await self._database.run(work)

    async def devices(self, tenant: TenantId, ids: Sequence[DeviceId]) -> Sequence[Device]:
        def work(connection: Connection) -> list[Device]:
            return [
                device_of(row)
                for at in range(0, len(ids), IN_CLAUSE_MAX)
                for row in connection.execute(
                    select(devices).where(devices.c.tenant == tenant, devices.c.id.in_(ids[at : at + IN_CLAUSE_MAX]))
                )
            ]

        return await self._database.run(work)

    async def by_key(self, key: DeviceKey) -> Device | None:
        known = self._by_key.get(key)
        if known is not None:
            return known

        def work(connection: Connection) -> Device | None:
            self._load(connection)
            return self._by_key.get(key) or self._one(connection, _of_key, {"key": key})

        return await self._database.run(work)

    async def page(
        self, tenant: TenantId, *, after: DeviceId | None, limit: int, state: LifecycleState | None = None
    ) -> Sequence[Device]:
        statement = select(devices).where(devices.c.tenant == tenant).order_by(devices.c.id).limit(limit)
        if after is not None:
            statement = statement.where(devices.c.id > after)
        if state is not None:
            statement = statement.where(devices.c.state == state.value)
        return await self._database.run(lambda connection: [device_of(row) for row in connection.execute(statement)])

    async def move(self, key: DeviceKey, seen: LifecycleState, to: LifecycleState, at_ms: int, by: str) -> Device:
        def work(connection: Connection) -> Device:
            where = (devices.c.key == key) & (devices.c.state == seen.value)
            values = {"state": to.value, "state_since_ms": at_ms}
            moved = connection.execute(update(devices).where(where).values(values)).rowcount
            row = connection.execute(select(devices).where(devices.c.key == key)).first()
            if row is None:
                raise Refused("not_found", f"There is no device with the key {key}.", "Register it first.")
            if not moved:
                raise Refused(
                    "invalid_transition",
                    f"The device is {row.state} by now, not {seen.value}. Its state is unchanged.",
                    "Look at it again, then decide anew.",
                )
            entry = {"device": key, "at_ms": at_ms, "seen": seen.value, "became": to.value, "by": by}
            connection.execute(insert(transitions).values(entry))
            return device_of(row)

        return await self._database.run(work, self.remember)

    async def journal(self, key: DeviceKey) -> Sequence[Transition]:
        t = transitions.c
        statement = select(t.at_ms, t.seen, t.became, t.by).where(t.device == key).order_by(t.number)

        def work(connection: Connection) -> list[Transition]:
            return [(at, LifecycleState(a), LifecycleState(b), by) for at, a, b, by in connection.execute(statement)]

        return await self._database.run(work)

    def _load(self, connection: Connection) -> None:
        """Like `_one`, this only reads: what it caches is true whether or not its transaction commits."""
        if len(self._by_key) < DEVICES_CACHED_MAX:
            for row in connection.execute(_made_since, {"since": self._loaded}):
                device = device_of(row)
                self._loaded = device.key
                self.remember(device)

    def _one(self, connection: Connection, statement: Select[Any], values: dict[str, Any]) -> Device | None:
        row = connection.execute(statement, values).first()
        if row is None:
            return None
        device = device_of(row)
        self.remember(device)
        return device

    def remember(self, device: Device) -> None:
        """The device as it now is. Only ever called in the registry's thread, after the commit."""
        remember(self._by_key, device.key, device, DEVICES_CACHED_MAX)
        remember(self._by_id, (device.tenant, device.id), device, DEVICES_CACHED_MAX)


def device_of(row: Sequence[Any]) -> Device:
    """A row of the table as a device."""
    key, tenant, id, profile, state, site, created_ms, state_since_ms = row
    return Device(key, tenant, id, profile, LifecycleState(state), site, created_ms, state_since_ms)


def _insert(connection: Connection, tenant: TenantId, new: Sequence[NewDevice], at_ms: int) -> list[Device]:
    rows = [
        {
            "tenant": tenant,
            "id": it.id,
            "profile": it.profile,
            "state": it.state.value,
            "site": it.site,
            "created_ms": at_ms,
            "state_since_ms": at_ms,
        }
        for it in new
    ]
    made = connection.execute(insert(devices).returning(devices.c.id, devices.c.key), rows)
    keys = {row.id: row.key for row in made}
    tokens = [
        {
            "digest": it.token_digest,
            "tenant": tenant,
            "name": it.id,
            "device": keys[it.id],
            "granted_ms": at_ms,
            "sealed": it.token_sealed,
        }
        for it in new
        if it.token_digest is not None
    ]
    if tokens:
        connection.execute(insert(credentials), tokens)
    return [Device(keys[it.id], tenant, it.id, it.profile, it.state, it.site, at_ms, at_ms) for it in new]


def _require_profiles_and_sites(connection: Connection, tenant: TenantId, new: Sequence[NewDevice]) -> None:
    known = set(connection.scalars(select(profiles.c.name).where(profiles.c.tenant == tenant)))
    known |= {profile.name for profile in BUILT_IN_PROFILES}
    if missing := {it.profile for it in new} - known:
        raise Refused("not_found", f"There is no profile {min(missing)[:64]!r}. No device was made.", "Make it first.")
    places = set(connection.scalars(select(sites.c.id).where(sites.c.tenant == tenant)))
    if missing_sites := {it.site for it in new} - places:
        raise Refused(
            "not_found", f"There is no site {min(missing_sites)[:64]!r}. No device was made.", "Make it first."
        )


def _refusal(connection: Connection, tenant: TenantId, new: Sequence[NewDevice]) -> Refused:
    """Why the unique constraints refused: the first id that was used before, else a token."""
    seen: set[DeviceId] = set()
    for at in range(0, len(new), IN_CLAUSE_MAX):
        ids = [it.id for it in new[at : at + IN_CLAUSE_MAX]]
        used = set(connection.scalars(select(devices.c.id).where(devices.c.tenant == tenant, devices.c.id.in_(ids))))
        for id in ids:
            if id in used or id in seen:
                return Refused(
                    "already_exists",
                    f"The id {id} was given to a device before, and ids are never reused. No device was made.",
                    "Choose another id.",
                )
            seen.add(id)
    return Refused(
        "already_exists",
        "A token is in use by another device. No device was made.",
        "Give each device a token of its own, or let the platform make them.",
    )
