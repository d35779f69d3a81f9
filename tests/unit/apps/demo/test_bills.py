"""The bill run: which periods, when they are due, and that every home gets its bill once."""

from datetime import date
from itertools import islice, pairwise

import pytest
from tests.unit.apps.demo.played import PlayedApi, fleet, full, gateway

from ringmain.apps.demo import bills
from ringmain.apps.demo.bills import BillRun, periods
from ringmain.apps.demo.plan import Kept
from ringmain.apps.lab.api import ApiError
from ringmain.model.time import parse_rfc3339

SUNDAY = parse_rfc3339("2026-10-25T00:00:00Z")
KEPT = Kept("", "", SUNDAY, 3, 1)
BUSY = ApiError(409, "the store is not there yet")


class Ledger:
    """Issues bills; `refusals` are raised instead, first come first served."""

    def __init__(self):
        self.issued = []
        self.refusals = []
        self.api = PlayedApi(self.answer)

    def answer(self, method, path, body):
        if path == "/api/v1/bills":
            return [{"number": n, "account": a, "from": f"{f}T00:00:00Z"} for n, (a, f) in enumerate(self.issued, 1)]
        if method == "POST":
            if self.refusals and (refusal := self.refusals.pop(0)):
                return refusal
            self.issued.append((path.split("/")[4], body["from"]))
            return {"number": len(self.issued)}
        return {"total": f"{int(path.split('/')[-1])}.10", "energy_kwh": "1.000"}


def figures_at(virtual):
    figures = full()
    figures.homes, figures.edge = fleet(virtual=virtual, behind=0), gateway(backlog_readings=0)
    figures.bills, figures.bills_issued = (), 0
    return figures


@pytest.fixture
def ledger():
    return Ledger()


@pytest.fixture
def figures():
    return figures_at("2026-10-26T04:00:00Z")


def test_periods_are_the_sunday_and_then_whole_weeks_without_a_gap():
    first, *weeks = islice(periods(SUNDAY), 5)
    assert first == (date(2026, 10, 25), date(2026, 10, 26))
    assert [(end - start).days for start, end in weeks] == [7] * 4
    assert all(start.strftime("%A") == "Monday" for start, _ in weeks)
    assert weeks[0][0] == first[1]
    assert all(before[1] == after[0] for before, after in pairwise(weeks))


@pytest.mark.parametrize(
    ("virtual", "due"),
    [("2026-10-25T23:59:59Z", False), ("2026-10-26T02:59:59Z", False), ("2026-10-26T03:00:00Z", True)],
)
def test_a_bill_is_due_three_hours_after_the_period_has_ended(ledger, virtual, due):
    assert BillRun(ledger.api, KEPT, figures_at(virtual)).is_due() is due


@pytest.mark.parametrize(
    "missing",
    [
        {"homes": None},
        {"edge": None},
        {"platform_answers": False},
        {"edge_answers": False},
        {"edge": gateway(backlog_readings=1)},
        {"homes": fleet(virtual="2026-10-26T04:00:00Z", behind=KEPT.homes + 1)},
    ],
)
def test_no_bill_while_something_may_be_on_its_way(ledger, figures, missing):
    for name, value in missing.items():
        setattr(figures, name, value)
    run = BillRun(ledger.api, KEPT, figures)
    assert not run.is_due()
    assert run.step() is False
    assert ledger.api.asked == []


def test_every_home_gets_its_bill_once_and_then_the_week_is_waited_for(ledger, figures):
    run = BillRun(ledger.api, KEPT, figures)
    assert [run.step() for _ in range(5)] == [True, True, True, False, False]
    assert ledger.issued == [(f"home-000{n}", "2026-10-25") for n in (1, 2, 3)]
    assert [(bill.number, bill.period, bill.total) for bill in figures.bills] == [
        (3, "25 Oct", "3.10"),
        (2, "25 Oct", "2.10"),
        (1, "25 Oct", "1.10"),
    ]
    assert figures.bills_issued == 3
    figures.homes = fleet(virtual="2026-11-02T03:00:00Z", behind=0)
    assert run.step()
    assert ledger.issued[-1] == ("home-0001", "2026-10-26")
    assert figures.bills[0].period == "26 Oct-1 Nov"


def test_a_refused_bill_is_tried_again_after_the_others(ledger, figures):
    ledger.refusals = [BUSY]
    run = BillRun(ledger.api, KEPT, figures)
    assert run.step() is False
    assert run.trouble == "the bill of home-0001 waits: the store is not there yet"
    assert [run.step() for _ in range(3)] == [True] * 3
    assert run.trouble == ""
    assert [account for account, _ in ledger.issued] == ["home-0002", "home-0003", "home-0001"]


def test_one_home_that_is_always_refused_does_not_stop_the_others(ledger, figures):
    run = BillRun(ledger.api, Kept("", "", SUNDAY, 1, 1), figures)
    ledger.refusals = [BUSY] * bills.ROUNDS_MAX
    for _ in range(bills.ROUNDS_MAX):
        run.step()
    assert ledger.issued == []
    assert not run.is_due(), "the next period is looked at"


def test_where_nobody_answers_the_same_home_is_tried_again(ledger, figures):
    ledger.refusals = [None, ApiError(0, "no answer")]
    run = BillRun(ledger.api, KEPT, figures)
    assert run.step()
    with pytest.raises(ApiError):
        run.step()
    assert run.step()
    assert [account for account, _ in ledger.issued] == ["home-0001", "home-0002"]


def test_a_second_run_goes_on_and_shows_what_the_first_one_issued(ledger, figures):
    first = BillRun(ledger.api, KEPT, figures)
    first.step()
    first.step()
    ledger.api.asked.clear()
    later = figures_at("2026-10-26T05:00:00Z")
    second = BillRun(ledger.api, KEPT, later)
    assert [second.step() for _ in range(4)] == [True, True, True, False]
    assert [path for method, path, _ in ledger.api.asked if method == "POST"] == ["/api/v1/accounts/home-0003/bills"]
    assert [(bill.number, bill.period) for bill in later.bills] == [(n, "25 Oct") for n in (3, 2, 1)]
    assert later.bills_issued == 3
