"""Ledger, embedded: versioned documents and issued bills in the registry database. Nothing here is ever changed."""

from collections.abc import Sequence

from sqlalchemy import Connection, and_, func, insert, select

from ringmain.adapters.embedded.database import Database
from ringmain.adapters.embedded.database_schema import bills, records
from ringmain.model.ids import TenantId
from ringmain.ports.ledger import BillRecord, Record

_r, _b = records.c, bills.c
_record = (_r.kind, _r.id, _r.version, _r.body)
_bill = (_b.account, _b.number, _b.period_start_ms, _b.period_end_ms, _b.sha256, _b.body, _b.created_ms)


class Ledger:
    """Home of `ports.ledger.Ledger`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, tenant: TenantId, kind: str, id: str, body: bytes, at_ms: int) -> Record:
        def work(connection: Connection) -> Record:
            newest = _get(connection, tenant, kind, id, None)
            if newest is not None and newest.body == body:
                return newest
            record = Record(kind, id, 1 if newest is None else newest.version + 1, body)
            row = {"tenant": tenant, "kind": kind, "id": id, "version": record.version, "body": body}
            connection.execute(insert(records).values(created_ms=at_ms, **row))
            return record

        return await self._database.run(work)

    async def get(self, tenant: TenantId, kind: str, id: str, version: int | None = None) -> Record | None:
        return await self._database.run(lambda connection: _get(connection, tenant, kind, id, version))

    async def page(self, tenant: TenantId, kind: str, *, after: str | None, limit: int) -> Sequence[Record]:
        newest = select(_r.id, func.max(_r.version).label("version")).where(_r.tenant == tenant, _r.kind == kind)
        if after is not None:
            newest = newest.where(_r.id > after)
        page = newest.group_by(_r.id).order_by(_r.id).limit(limit).subquery()
        same = and_(_r.tenant == tenant, _r.kind == kind, _r.id == page.c.id, _r.version == page.c.version)
        statement = select(*_record).join(page, same).order_by(_r.id)
        return await self._database.run(lambda connection: [Record(*row) for row in connection.execute(statement)])

    async def add_bill(
        self, tenant: TenantId, account: str, period: tuple[int, int], sha256: str, body: bytes, at_ms: int
    ) -> BillRecord:
        start_ms, end_ms = period
        same = and_(
            _b.tenant == tenant,
            _b.account == account,
            _b.period_start_ms == start_ms,
            _b.period_end_ms == end_ms,
            _b.sha256 == sha256,
        )

        def work(connection: Connection) -> BillRecord:
            issued = connection.execute(select(*_bill).where(same)).first()
            if issued is not None:
                return BillRecord(*issued)
            # Gapless because rows never go, and because this thread writes alone.
            last = connection.scalar(select(func.max(_b.number)).where(_b.tenant == tenant))
            values = (account, (last or 0) + 1, start_ms, end_ms, sha256, body, at_ms)
            row = {column.name: value for column, value in zip(_bill, values, strict=True)}
            connection.execute(insert(bills).values(tenant=tenant, **row))
            return BillRecord(*values)

        return await self._database.run(work)

    async def bill(self, tenant: TenantId, number: int) -> BillRecord | None:
        def work(connection: Connection) -> BillRecord | None:
            row = connection.execute(select(*_bill).where(_b.tenant == tenant, _b.number == number)).first()
            return None if row is None else BillRecord(*row)

        return await self._database.run(work)

    async def bills(self, tenant: TenantId, account: str | None, *, after: int, limit: int) -> Sequence[BillRecord]:
        statement = select(*_bill).where(_b.tenant == tenant, _b.number > after).order_by(_b.number).limit(limit)
        if account is not None:
            statement = statement.where(_b.account == account)
        return await self._database.run(lambda connection: [BillRecord(*row) for row in connection.execute(statement)])


def _get(connection: Connection, tenant: TenantId, kind: str, id: str, version: int | None) -> Record | None:
    statement = select(*_record).where(_r.tenant == tenant, _r.kind == kind, _r.id == id)
    if version is None:
        statement = statement.order_by(_r.version.desc()).limit(1)
    else:
        statement = statement.where(_r.version == version)
    row = connection.execute(statement).first()
    return None if row is None else Record(*row)
