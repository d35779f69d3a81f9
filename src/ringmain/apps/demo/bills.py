"""The bill run of a demo: when a period has ended on the platform for everybody, every home gets its bill.

One home a step, so that the view goes on meanwhile. A bill that cannot be issued yet is tried again; one that was
issued before is the same bill.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta

import msgspec

from ringmain.apps.demo.plan import Kept
from ringmain.apps.demo.scene import home
from ringmain.apps.demo.watch import BILLS_SHOWN, Bill, Figures
from ringmain.apps.lab.api import Api, ApiError
from ringmain.model.time import DAY_MS

GRACE_MS = DAY_MS // 8
"""Three hours of the street's time: by then all have reported, drifting clocks and a short cut included."""


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


class BillRun:
    """Steps through homes and periods."""

    def __init__(self, api: Api, kept: Kept, figures: Figures) -> None:
        self._api = api
        self._kept = kept
        self._figures = figures
        self._periods = periods(kept.began_ms)
        self._period = next(self._periods)
        self._next_home = 1
        self.trouble = ""

    def is_due(self) -> bool:
        """Whether the present period has ended for everybody, and nothing of it is on its way."""
        at_ms = self._figures.virtual_ms
        if at_ms is None or not self._figures.platform_answers:
            return False
        end_ms = int(datetime.combine(self._period[1], datetime.min.time(), UTC).timestamp() * 1000)
        edge = self._figures.edge
        behind = edge is None or edge.backlog_readings > 0
        return at_ms >= end_ms + GRACE_MS and not behind

    def step(self) -> None:
        """One home's bill, if there is one to make."""
        if not self.is_due():
            return
        start, end = self._period
        account = home(self._next_home)
        try:
            body = {"from": start.isoformat(), "to": end.isoformat()}
            number = self._api.send("POST", f"/api/v1/accounts/{account}/bills", _Issued, body).number
            self._show(number, account)
            self.trouble = ""
        except ApiError as error:
            self.trouble = f"the bill of {account} waits: {error.detail}"
            if error.status == 0:
                return
        self._next_home += 1
        if self._next_home > self._kept.homes:
            self._next_home = 1
            self._period = next(self._periods)

    def _show(self, number: int, account: str) -> None:
        body = self._api.get(f"/api/v1/bills/{number}", _Body)
        start, end = self._period
        bill = Bill(number, account, f"{start:%d %b} to {end - timedelta(days=1):%d %b}", body.energy_kwh, body.total)
        self._figures.bills = (bill, *self._figures.bills)[:BILLS_SHOWN]
        self._figures.bills_issued = max(self._figures.bills_issued, number)
