"""Delegations, embedded: rows of the registry database, whose devices they refer to."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select, update

from ringmain.adapters.embedded.database import IN_CLAUSE_MAX, Database
from ringmain.adapters.embedded.database_schema import delegations, devices
from ringmain.model.device import Device, LifecycleState
from ringmain.model.gateway import Delegation
from ringmain.model.ids import DeviceKey
from ringmain.ports.delegations import check_gateway, check_pair, check_span, merged

_d = delegations.c
_columns = select(_d.number, _d.gateway, _d.device, _d.from_ms, _d.to_ms).order_by(_d.gateway, _d.device, _d.from_ms)


class Delegations:
    """Home of `ports.delegations.Delegations`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, delegations: Sequence[Delegation], at_ms: int) -> None:
        for each in delegations:
            check_span(each)

        def work(connection: Connection) -> None:
            known = _devices(connection, {key for each in delegations for key in (each.gateway, each.device)})
            for each in delegations:
                check_pair(known.get(each.gateway), known.get(each.device))
            for gateway in {each.gateway for each in delegations}:
                _put(connection, gateway, [each for each in delegations if each.gateway == gateway], at_ms)

        await self._database.run(work)

    async def end(self, gateway: DeviceKey, device: DeviceKey, at_ms: int) -> int:
        open_then = (_d.gateway == gateway) & (_d.device == device) & (_d.to_ms.is_(None) | (_d.to_ms > at_ms))

        def work(connection: Connection) -> int:
            never = connection.execute(delete(delegations).where(open_then, _d.from_ms >= at_ms)).rowcount
            return never + connection.execute(update(delegations).where(open_then).values(to_ms=at_ms)).rowcount

        return await self._database.run(work)

    async def of_gateway(self, gateway: DeviceKey) -> Sequence[Delegation]:
        return await self._those(_d.gateway == gateway)

    async def of_device(self, device: DeviceKey) -> Sequence[Delegation]:
        return await self._those(_d.device == device)

    async def all(self) -> Sequence[Delegation]:
        return await self._those()

    async def _those(self, *where: ColumnElement[bool]) -> Sequence[Delegation]:
        statement = _columns.where(*where)
        return await self._database.run(lambda connection: [_delegation(row) for row in connection.execute(statement)])


def _delegation(row: Sequence[Any]) -> Delegation:
    _, gateway, device, from_ms, to_ms = row
    return Delegation(gateway, device, from_ms, to_ms)


def _put(connection: Connection, gateway: DeviceKey, new: Sequence[Delegation], at_ms: int) -> None:
    held = {_delegation(row): row.number for row in connection.execute(_columns.where(_d.gateway == gateway))}
    go, come = merged(held, new)
    check_gateway((held.keys() - go) | come, at_ms)
    numbers = [held[each] for each in go]
    for at in range(0, len(numbers), IN_CLAUSE_MAX):
        connection.execute(delete(delegations).where(_d.number.in_(numbers[at : at + IN_CLAUSE_MAX])))
    if come:
        rows = [
            {"gateway": gateway, "device": it.device, "from_ms": it.from_ms, "to_ms": it.to_ms, "created_ms": at_ms}
            for it in come
        ]
        connection.execute(insert(delegations), rows)


def _devices(connection: Connection, keys: set[DeviceKey]) -> dict[DeviceKey, Device]:
    found, asked = {}, list(keys)
    for at in range(0, len(asked), IN_CLAUSE_MAX):
        among = devices.c.key.in_(asked[at : at + IN_CLAUSE_MAX])
        for key, tenant, id, profile, state, *rest in connection.execute(select(devices).where(among)):
            found[key] = Device(key, tenant, id, profile, LifecycleState(state), *rest)
    return found
