"""Gateway documents, embedded: versions in the registry database."""

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, func, insert, select

from ringmain.adapters.embedded.database import IN_CLAUSE_MAX, Database
from ringmain.adapters.embedded.database_schema import devices, gateway_documents
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceKey
from ringmain.ports.gateway_documents import GatewayDocument

_c = gateway_documents.c


class GatewayDocuments:
    """Home of `ports.gateway_documents.GatewayDocuments`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(
        self, kind: str, bodies: Mapping[DeviceKey, bytes], at_ms: int, *, keep: int
    ) -> Mapping[DeviceKey, GatewayDocument]:
        def work(connection: Connection) -> dict[DeviceKey, GatewayDocument]:
            _require(connection, list(bodies))
            return {gateway: _put(connection, kind, gateway, body, at_ms, keep) for gateway, body in bodies.items()}

        return await self._database.run(work)

    async def newest(self, kind: str) -> Mapping[DeviceKey, GatewayDocument]:
        last = select(_c.gateway, func.max(_c.version).label("version")).where(_c.kind == kind).group_by(_c.gateway)
        last_of = last.subquery()
        statement = select(_c.gateway, _c.version, _c.body, _c.created_ms).join(
            last_of, (_c.gateway == last_of.c.gateway) & (_c.version == last_of.c.version) & (_c.kind == kind)
        )

        def work(connection: Connection) -> dict[DeviceKey, GatewayDocument]:
            return {DeviceKey(gateway): GatewayDocument(*rest) for gateway, *rest in connection.execute(statement)}

        return await self._database.run(work)

    async def history(
        self, gateway: DeviceKey, kind: str, *, before: int | None = None, limit: int
    ) -> Sequence[GatewayDocument]:
        statement = select(_c.version, _c.body, _c.created_ms).where(_c.gateway == gateway, _c.kind == kind)
        if before is not None:
            statement = statement.where(_c.version < before)
        statement = statement.order_by(_c.version.desc()).limit(limit)
        return await self._database.run(
            lambda connection: [GatewayDocument(*row) for row in connection.execute(statement)]
        )


def _put(connection: Connection, kind: str, gateway: DeviceKey, body: bytes, at_ms: int, keep: int) -> GatewayDocument:
    mine = (_c.gateway == gateway) & (_c.kind == kind)
    document = GatewayDocument((connection.scalar(select(func.max(_c.version)).where(mine)) or 0) + 1, body, at_ms)
    row = {"gateway": gateway, "kind": kind, "version": document.version, "body": body, "created_ms": at_ms}
    connection.execute(insert(gateway_documents).values(row))
    connection.execute(delete(gateway_documents).where(mine, _c.version <= document.version - keep))
    return document


def _require(connection: Connection, gateways: list[DeviceKey]) -> None:
    known: set[int] = set()
    for at in range(0, len(gateways), IN_CLAUSE_MAX):
        among = devices.c.key.in_(gateways[at : at + IN_CLAUSE_MAX])
        known |= set(connection.scalars(select(devices.c.key).where(among)))
    if missing := set(gateways) - known:
        raise Refused("not_found", f"There is no gateway with the key {min(missing)}. Nothing was written.")
