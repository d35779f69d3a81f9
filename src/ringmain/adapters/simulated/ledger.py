"""Ledger, simulated: documents and bills in lists that only grow."""

from collections.abc import Sequence

from ringmain.model.ids import TenantId
from ringmain.ports.ledger import BillRecord, Record


class Ledger:
    """Home of `ports.ledger.Ledger`."""

    def __init__(self) -> None:
        self._records: dict[tuple[TenantId, str, str], list[Record]] = {}
        self._bills: dict[TenantId, list[BillRecord]] = {}

    async def put(self, tenant: TenantId, kind: str, id: str, body: bytes, at_ms: int) -> Record:  # noqa: ARG002 - twins keep no history
        versions = self._records.setdefault((tenant, kind, id), [])
        if not versions or versions[-1].body != body:
            versions.append(Record(kind, id, len(versions) + 1, body))
        return versions[-1]

    async def get(self, tenant: TenantId, kind: str, id: str, version: int | None = None) -> Record | None:
        versions = self._records.get((tenant, kind, id), [])
        if version is None:
            return versions[-1] if versions else None
        return versions[version - 1] if 1 <= version <= len(versions) else None

    async def page(self, tenant: TenantId, kind: str, *, after: str | None, limit: int) -> Sequence[Record]:
        newest = {
            id: versions[-1]
            for (owner, its_kind, id), versions in self._records.items()
            if owner == tenant and its_kind == kind and (after is None or id > after)
        }
        return [newest[id] for id in sorted(newest)][:limit]

    async def add_bill(
        self, tenant: TenantId, account: str, period: tuple[int, int], sha256: str, body: bytes, at_ms: int
    ) -> BillRecord:
        issued = self._bills.setdefault(tenant, [])
        for bill in issued:
            if (bill.account, bill.period_start_ms, bill.period_end_ms, bill.sha256) == (account, *period, sha256):
                return bill
        issued.append(BillRecord(account, len(issued) + 1, *period, sha256, body, at_ms))
        return issued[-1]

    async def bill(self, tenant: TenantId, number: int) -> BillRecord | None:
        issued = self._bills.get(tenant, [])
        return issued[number - 1] if 1 <= number <= len(issued) else None

    async def bills(self, tenant: TenantId, account: str | None, *, after: int, limit: int) -> Sequence[BillRecord]:
        issued = self._bills.get(tenant, [])
        return [bill for bill in issued if bill.number > after and account in {None, bill.account}][:limit]
