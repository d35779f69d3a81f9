"""Documents of the vertical: usage points, installations, tariffs and accounts, checked before the ledger keeps them.

A document that refers to another is refused while the other does not exist, so that a bill never finds a hole. The
ledger keeps every version; a change is a new version, never an overwrite.
"""

from typing import TypeVar

import msgspec

from ringmain.metering.canonical import Noun, canonical, read_back, refuse_faults
from ringmain.metering.installation import Account, Installations, UsagePoint
from ringmain.metering.tariffs import Tariff
from ringmain.model.errors import Refused
from ringmain.model.ids import DeviceId, TenantId
from ringmain.ports.clock import Clock
from ringmain.ports.directory import Directory
from ringmain.ports.ledger import Ledger, Record
from ringmain.ports.registry import Registry

USAGE_POINT = "usage_point"
INSTALLATION = "installation"
TARIFF = "tariff"
ACCOUNT = "account"

PAGE_MAX = 1_000
"""Documents in one page, as the API's other lists."""

NounT = TypeVar("NounT", bound=msgspec.Struct)


class Documents:
    """Put and get. Each `put_...` returns the ledger's record, whose version says whether anything changed."""

    def __init__(self, ledger: Ledger, registry: Registry, directory: Directory, clock: Clock) -> None:
        self._ledger = ledger
        self._registry = registry
        self._directory = directory
        self._clock = clock

    async def put_usage_point(self, tenant: TenantId, usage_point: UsagePoint) -> Record:
        """Keep a usage point. Its site must exist."""
        refuse_faults(usage_point, "Correct the field and put the usage point again.")
        await self.zone(tenant, usage_point)
        return await self._put(tenant, USAGE_POINT, usage_point.id, usage_point)

    async def put_installations(self, tenant: TenantId, installations: Installations) -> Record:
        """Keep the links of a usage point, under its id. The usage point and every meter must exist."""
        refuse_faults(installations, "Correct the field and put the installations again.")
        await self._expect(tenant, USAGE_POINT, installations.usage_point)
        for device in dict.fromkeys(link.device for link in installations.links):
            if await self._registry.device(tenant, DeviceId(device)) is None:
                raise Refused("unprocessable", f"there is no device {device}", "Register the meter first.")
        return await self._put(tenant, INSTALLATION, installations.usage_point, installations)

    async def put_tariff(self, tenant: TenantId, tariff: Tariff) -> Record:
        """Keep a tariff with all its versions."""
        refuse_faults(tariff, "Correct the field and put the tariff again; docs/tariffs.md describes the format.")
        return await self._put(tenant, TARIFF, tariff.id, tariff)

    async def put_account(self, tenant: TenantId, account: Account) -> Record:
        """Keep an account. Its usage point and tariff must exist."""
        refuse_faults(account, "Correct the field and put the account again.")
        await self._expect(tenant, USAGE_POINT, account.usage_point)
        await self._expect(tenant, TARIFF, account.tariff)
        return await self._put(tenant, ACCOUNT, account.id, account)

    async def usage_point(self, tenant: TenantId, id: str) -> UsagePoint:
        """A usage point; `Refused("not_found")` where there is none."""
        return await self._get(tenant, USAGE_POINT, id, UsagePoint)

    async def installations(self, tenant: TenantId, usage_point: str) -> Installations:
        """The links of a usage point; `Refused("not_found")` where none were put."""
        return await self._get(tenant, INSTALLATION, usage_point, Installations)

    async def tariff(self, tenant: TenantId, id: str) -> Tariff:
        """A tariff; `Refused("not_found")` where there is none."""
        return await self._get(tenant, TARIFF, id, Tariff)

    async def account(self, tenant: TenantId, id: str) -> Account:
        """An account; `Refused("not_found")` where there is none."""
        return await self._get(tenant, ACCOUNT, id, Account)

    async def tariffs(self, tenant: TenantId, *, after: str | None, limit: int) -> list[Tariff]:
        """Tariffs in order of id, behind `after`."""
        return await self._page(tenant, TARIFF, Tariff, after, limit)

    async def accounts(self, tenant: TenantId, *, after: str | None, limit: int) -> list[Account]:
        """Accounts in order of id, behind `after`."""
        return await self._page(tenant, ACCOUNT, Account, after, limit)

    async def usage_points(self, tenant: TenantId, *, after: str | None, limit: int) -> list[UsagePoint]:
        """Usage points in order of id, behind `after`."""
        return await self._page(tenant, USAGE_POINT, UsagePoint, after, limit)

    async def all_installations(self, tenant: TenantId, *, after: str | None, limit: int) -> list[Installations]:
        """The links of every usage point that has any, in order of usage point, behind `after`."""
        return await self._page(tenant, INSTALLATION, Installations, after, limit)

    async def zone(self, tenant: TenantId, usage_point: UsagePoint) -> str:
        """The zone in which a usage point's days begin; `Refused("unprocessable")` where its site does not exist."""
        for site in await self._directory.sites(tenant):
            if site.id == usage_point.site:
                return site.zone
        raise Refused("unprocessable", f"there is no site {usage_point.site}", "Put the site first.")

    async def _put(self, tenant: TenantId, kind: str, id: str, document: Noun) -> Record:
        return await self._ledger.put(tenant, kind, id, canonical(document), self._clock.now_ms())

    async def _get(self, tenant: TenantId, kind: str, id: str, noun: type[NounT]) -> NounT:
        record = await self._ledger.get(tenant, kind, id)
        if record is None:
            raise Refused("not_found", f"there is no {_TITLE[kind]} {id}", f"Put the {_TITLE[kind]} first.")
        return read_back(record.body, noun)

    async def _page(self, tenant: TenantId, kind: str, noun: type[NounT], after: str | None, limit: int) -> list[NounT]:
        records = await self._ledger.page(tenant, kind, after=after, limit=min(limit, PAGE_MAX))
        return [read_back(record.body, noun) for record in records]

    async def _expect(self, tenant: TenantId, kind: str, id: str) -> None:
        if await self._ledger.get(tenant, kind, id) is None:
            raise Refused("unprocessable", f"there is no {_TITLE[kind]} {id}", f"Put the {_TITLE[kind]} first.")


_TITLE = {USAGE_POINT: "usage point", INSTALLATION: "installation at", TARIFF: "tariff", ACCOUNT: "account"}
