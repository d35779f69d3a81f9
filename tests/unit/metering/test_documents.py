"""Documents: what refers to nothing is refused, nothing is written by a refusal, every change is a version."""

from datetime import UTC, date, datetime
from decimal import Decimal

import pytest

from ringmain.metering.installation import Account, Installation, Installations, UsagePoint
from ringmain.metering.tariffs import Tariff, TariffVersion
from ringmain.model.errors import Refused

TARIFF = Tariff("flat", "Flat", "GBP", (TariffVersion(date(2012, 1, 1), price=Decimal("0.1")),))
LINKS = Installations("up", (Installation("m1", "energy_wh", datetime(2013, 1, 1, tzinfo=UTC)),))


async def refusal(awaitable):
    with pytest.raises(Refused) as refused:
        await awaitable
    assert refused.value.hint
    return refused.value.code, refused.value.detail


async def test_what_refers_to_nothing_is_refused_and_nothing_is_written(house):
    documents, tenant = house.documents, house.tenant
    assert await refusal(documents.put_usage_point(tenant, UsagePoint("up", "nowhere"))) == (
        "unprocessable",
        "there is no site nowhere",
    )
    assert (await refusal(documents.put_installations(tenant, LINKS)))[1] == "there is no usage point up"
    assert (await refusal(documents.put_account(tenant, Account("a", "up", "flat"))))[1] == "there is no usage point up"
    await documents.put_usage_point(tenant, UsagePoint("up", "london"))
    assert (await refusal(documents.put_installations(tenant, LINKS)))[1] == "there is no device m1"
    assert (await refusal(documents.put_account(tenant, Account("a", "up", "flat"))))[1] == "there is no tariff flat"
    assert [kind for _, kind, _ in house.ledger.documents] == ["usage_point"]


async def test_what_has_a_fault_is_refused_with_its_path(house):
    documents, tenant = house.documents, house.tenant
    assert "$.id" in (await refusal(documents.put_usage_point(tenant, UsagePoint("/"))))[1]
    assert "$.usage_point" in (await refusal(documents.put_installations(tenant, Installations("/", ()))))[1]
    assert "$.versions" in (await refusal(documents.put_tariff(tenant, Tariff("t", "T", "GBP", ()))))[1]
    assert "$.tariff" in (await refusal(documents.put_account(tenant, Account("a", "up", "/"))))[1]
    assert house.ledger.documents == {}


@pytest.mark.parametrize("kind", ["usage_point", "installations", "tariff", "account"])
async def test_what_is_not_there_is_not_found(house, kind):
    code, detail = await refusal(getattr(house.documents, kind)(house.tenant, "x"))
    assert code == "not_found"
    assert detail.endswith(" x")


async def test_documents_come_back_page_by_page_and_another_tenant_sees_none(house):
    documents, tenant = house.documents, house.tenant
    house.registry.register("m1")
    for id in ("up", "up2"):
        await documents.put_usage_point(tenant, UsagePoint(id, "london"))
    await documents.put_tariff(tenant, TARIFF)
    await documents.put_installations(tenant, LINKS)
    await documents.put_account(tenant, Account("a", "up", "flat"))
    assert await documents.tariff(tenant, "flat") == TARIFF
    assert await documents.installations(tenant, "up") == LINKS
    assert await documents.accounts(tenant, after=None, limit=9) == [Account("a", "up", "flat")]
    assert await documents.tariffs(tenant, after="flat", limit=9) == []
    assert [each.id for each in await documents.usage_points(tenant, after=None, limit=1)] == ["up"]
    assert [each.id for each in await documents.usage_points(tenant, after="up", limit=10**9)] == ["up2"]
    assert await documents.zone(tenant, UsagePoint("up", "london")) == "Europe/London"
    assert (await refusal(documents.tariff("other", "flat")))[0] == "not_found"


async def test_a_change_is_a_new_version_and_no_change_is_none(house):
    one = await house.documents.put_tariff(house.tenant, TARIFF)
    again = await house.documents.put_tariff(house.tenant, TARIFF)
    changed = await house.documents.put_tariff(house.tenant, Tariff("flat", "Other", "GBP", TARIFF.versions))
    assert (one.version, again.version, changed.version) == (1, 1, 2)
