"""The bill run of a demo: when a period has ended on the platform for everybody, every home gets its bill.

One home a step. A bill that cannot be issued yet is tried again after all the others; one that was issued before is
the same bill.
"""

from collections import deque
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import takewhile
from zoneinfo import ZoneInfo

import msgspec

from ringmain.apps.demo.plan import ZONE, Kept
from ringmain.apps.demo.scene import home
from ringmain.apps.demo.watch import BILLS_SHOWN, Bill, Figures
from ringmain.apps.lab.api import Api, ApiError
from ringmain.model.time import DAY_MS, parse_rfc3339

GRACE_MS = DAY_MS // 8
"""Three hours of the street's time: by then all have reported, drifting clocks and a short cut included."""

ROUNDS_MAX = 20
"""So often a refused bill is tried again, then its home is left out of this period: one must not stop the others."""


PAGE = 500


class _Issued(msgspec.Struct, frozen=True):
    number: int


class _Body(msgspec.Struct, frozen=True):
    total: str
    energy_kwh: str


def periods(began_ms: int) -> Iterator[tuple[date, date]]:
    """[from, to) of each bill: first the one Sunday, then week by week from Monday on."""
    first = datetime.fromtimestamp(began_ms / 1000, UTC).date()
    yield first, first + timedelta(days=1)
    start = first + timedelta(days=1)
    while True:
        yield start, start + timedelta(days=7)
        start += timedelta(days=7)


class _Listed(msgspec.Struct, frozen=True):
    number: int
    account: str
    from_: str = msgspec.field(name="from")

    def begins(self) -> date:
        """The first day, by the clock of the homes."""
        return datetime.fromtimestamp(parse_rfc3339(self.from_) / 1000, ZoneInfo(ZONE)).date()


def _day(day: date) -> str:
    return f"{day.day} {day:%b}"


class BillRun:
    """Steps through homes and periods."""

    def __init__(self, api: Api, kept: Kept, figures: Figures) -> None:
        self._api = api
        self._kept = kept
        self._figures = figures
        self._periods = periods(kept.began_ms)
        self._period = next(self._periods)
        self._homes = self._all()
        self._issued: set[tuple[str, date]] | None = None
        self.trouble = ""

    def _all(self) -> deque[tuple[int, int]]:
        """Every home, with how often it was refused."""
        return deque((number, 0) for number in range(1, self._kept.homes + 1))

    def is_due(self) -> bool:
        """Whether the present period has ended for everybody, and nothing of it is on its way."""
        figures = self._figures
        at_ms, edge, homes = figures.virtual_ms, figures.edge, figures.homes
        if at_ms is None or edge is None or homes is None or not (figures.platform_answers and figures.edge_answers):
            return False
        end_ms = int(datetime.combine(self._period[1], datetime.min.time(), UTC).timestamp() * 1000)
        on_its_way = edge.backlog_readings > 0 or homes.behind > self._kept.homes
        return at_ms >= end_ms + GRACE_MS and not on_its_way

    def step(self) -> bool:
        """One home's bill, if there is one to make; whether one was issued. `ApiError` where nobody answers."""
        if not self.is_due():
            return False
        if self._issued is None:
            self._issued = self._look_back()
        start, end = self._period
        number, refused = self._homes.popleft()
        account = home(number)
        issued = (account, start) in self._issued
        try:
            body = {"from": start.isoformat(), "to": end.isoformat()}
            if not issued:
                path = f"/api/v1/accounts/{account}/bills"
                self._show(self._api.send("POST", path, _Issued, body).number, account, start, end)
            self.trouble, issued = "", True
        except ApiError as error:
            if error.status == 0:
                self._homes.appendleft((number, refused))
                raise
            self.trouble = f"the bill of {account} waits: {error.detail}"
            if refused + 1 < ROUNDS_MAX:
                self._homes.append((number, refused + 1))
        if not self._homes:
            self._homes, self._period = self._all(), next(self._periods)
        return issued

    def _look_back(self) -> set[tuple[str, date]]:
        """What an earlier run issued; the newest of them are shown."""
        listed = list(self._api.pages("/api/v1/bills", _Listed, limit=PAGE))
        ends = dict(takewhile(lambda span: span[0] <= self._today(), periods(self._kept.began_ms)))
        for each in listed[-BILLS_SHOWN:]:
            first = each.begins()
            self._show(each.number, each.account, first, ends.get(first, first + timedelta(days=1)))
        return {(each.account, each.begins()) for each in listed}

    def _today(self) -> date:
        return datetime.fromtimestamp((self._figures.virtual_ms or 0) / 1000, UTC).date()

    def _show(self, number: int, account: str, start: date, end: date) -> None:
        body = self._api.get(f"/api/v1/bills/{number}", _Body)
        last = end - timedelta(days=1)
        period = _day(start) if last == start else f"{_day(start)}-{_day(last)}"
        bill = Bill(number, account, period, body.energy_kwh, body.total)
        self._figures.bills = (bill, *self._figures.bills)[:BILLS_SHOWN]
        self._figures.bills_issued = max(self._figures.bills_issued, number)
