"""One suite over every home of the ledger."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringmain.adapters.embedded.database import Database
from ringmain.adapters.embedded.ledger import Ledger as EmbeddedLedger
from ringmain.adapters.simulated.ledger import Ledger as SimulatedLedger
from ringmain.ports.ledger import BillRecord, Ledger, Record

YEAR = (1_356_998_400_000, 1_388_534_400_000)


@pytest.fixture(params=["embedded", "simulated"])
async def ledger(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Ledger]:
    if request.param == "simulated":
        yield SimulatedLedger()
        return
    database = await Database.open(tmp_path / "registry.sqlite")
    yield EmbeddedLedger(database)
    await database.close()


async def test_what_was_never_written_is_none(ledger: Ledger):
    await ledger.put("a", "tariff", "flat", b"1", 1)
    for tenant, kind, id, version in (
        ("b", "tariff", "flat", None),
        ("a", "account", "flat", None),
        ("a", "tariff", "tou", None),
        ("a", "tariff", "flat", 0),
        ("a", "tariff", "flat", -1),
        ("a", "tariff", "flat", 2),
    ):
        assert await ledger.get(tenant, kind, id, version) is None
    assert list(await ledger.page("b", "tariff", after=None, limit=9)) == []
    assert await ledger.bill("a", 1) is None
    assert await ledger.bill("a", 0) is None
    assert list(await ledger.bills("a", None, after=0, limit=9)) == []


async def test_the_newest_body_again_is_the_same_version_and_an_older_one_is_a_change_back(ledger: Ledger):
    first = await ledger.put("a", "tariff", "flat", b"1", 1)
    assert first == await ledger.put("a", "tariff", "flat", b"1", 2) == Record("tariff", "flat", 1, b"1")
    second = await ledger.put("a", "tariff", "flat", b"2", 3)
    third = await ledger.put("a", "tariff", "flat", b"1", 4)
    assert [second.version, third.version] == [2, 3]
    assert await ledger.get("a", "tariff", "flat") == third
    assert await ledger.get("a", "tariff", "flat", 2) == second
    assert await ledger.get("a", "tariff", "flat", 1) == first


async def test_pages_hold_the_newest_versions_in_order_of_id(ledger: Ledger):
    for id in ("c", "a", "B", "a"):
        await ledger.put("a", "tariff", id, f"{id}{id == 'a'}".encode(), 1)
    changed = await ledger.put("a", "tariff", "a", b"changed", 2)
    await ledger.put("b", "tariff", "d", b"", 1)
    await ledger.put("a", "account", "e", b"", 1)
    page = await ledger.page("a", "tariff", after=None, limit=9)
    assert [record.id for record in page] == ["B", "a", "c"]
    assert page[1] == changed
    assert [record.id for record in await ledger.page("a", "tariff", after="B", limit=1)] == ["a"]
    assert list(await ledger.page("a", "tariff", after="c", limit=1)) == []


async def test_bills_are_numbered_without_gaps_per_tenant(ledger: Ledger):
    for at in range(3):
        issued = await ledger.add_bill("a", f"acc-{at % 2}", YEAR, f"{at:064}", b"%d" % at, at)
        assert issued == BillRecord(f"acc-{at % 2}", at + 1, *YEAR, f"{at:064}", b"%d" % at, at)
    assert (await ledger.add_bill("b", "acc-0", YEAR, "0" * 64, b"0", 9)).number == 1
    assert [bill.number for bill in await ledger.bills("a", None, after=0, limit=9)] == [1, 2, 3]


async def test_the_same_bill_again_is_the_same_row_and_uses_no_number(ledger: Ledger):
    first = await ledger.add_bill("a", "acc", YEAR, "0" * 64, b"body", 1)
    assert await ledger.add_bill("a", "acc", YEAR, "0" * 64, b"body", 2) == first
    others = [
        await ledger.add_bill("a", "acc", YEAR, "1" * 64, b"other", 3),
        await ledger.add_bill("a", "acc", (YEAR[0], YEAR[1] - 1), "0" * 64, b"body", 3),
        await ledger.add_bill("a", "acc-2", YEAR, "0" * 64, b"body", 3),
    ]
    assert [bill.number for bill in others] == [2, 3, 4]
    assert await ledger.bill("a", 1) == first


async def test_bills_of_one_account_come_in_order_behind_a_number(ledger: Ledger):
    for at in range(6):
        await ledger.add_bill("a", f"acc-{at % 2}", YEAR, f"{at:064}", b"", at)

    async def numbers(account, after, limit):
        return [bill.number for bill in await ledger.bills("a", account, after=after, limit=limit)]

    assert await numbers("acc-1", 0, 9) == [2, 4, 6]
    assert await numbers("acc-1", 2, 1) == [4]
    assert await numbers(None, 4, 9) == [5, 6]
    assert await numbers("acc-9", 0, 9) == []


async def test_the_ledger_survives_a_restart(tmp_path: Path):
    database = await Database.open(tmp_path / "registry.sqlite")
    record = await EmbeddedLedger(database).put("a", "tariff", "flat", b"\x00\xff", 1)
    bill = await EmbeddedLedger(database).add_bill("a", "acc", YEAR, "0" * 64, b"\x00\xff", 1)
    await database.close()
    database = await Database.open(tmp_path / "registry.sqlite")
    assert await EmbeddedLedger(database).get("a", "tariff", "flat") == record
    assert await EmbeddedLedger(database).bill("a", 1) == bill
    await database.close()
