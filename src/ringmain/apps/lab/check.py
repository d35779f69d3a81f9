"""The checking process: reads the data file itself, asks the API for everything, and says whether they agree.

`python -m ringmain.apps.lab.check …`. One line of JSON on standard output; exit code 1 if anything differs. It
knows the platform by its API only, and takes none of its counters for granted.
"""

import argparse
import hashlib
import os
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import msgspec

from ringmain.apps.lab.api import Api, ApiError, decoded
from ringmain.apps.lab.arithmetic import Expected, flat, time_of_use
from ringmain.apps.lab.bills import ServedBill, Truth, bill_complaints
from ringmain.apps.lab.comparison import Comparison, compare, complaints
from ringmain.apps.lab.source import Source, SourceError, Year, civil_year, read_source
from ringmain.apps.lab.windows import ServedWindow, days_of, window_complaints

TOKEN_VARIABLE = "CHECK_TOKEN"  # noqa: S105 - the variable's name; on the command line anyone could read it

SMALL_PAGE = 1_000
"""The most that every list but that of readings gives at once."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

SETTLE_S = 30.0
"""How long what is missing may take to appear: three times what a window that was just revised waits for its next
revision (`services.aggregation`).
"""

RETRY_S = 0.1
"""Pause before looking again: what was acknowledged is durable at once, and queryable when the store has read it."""


class Reading(msgspec.Struct, frozen=True):
    """As the API serves it. A value of `210` is an int, one of `210.0` a float and wrong."""

    at: Annotated[datetime, msgspec.Meta(tz=True)]
    value: int | float


class TallyItem(msgspec.Struct, frozen=True):
    outcome: str
    count: int


class Tally(msgspec.Struct, frozen=True):
    """The platform's own books of the meter: here to be checked, not to be believed."""

    received: int
    items: tuple[TallyItem, ...]

    def count(self, outcome: str) -> int:
        """All records of one outcome."""
        return sum(item.count for item in self.items if item.outcome == outcome)


class Verdict(msgspec.Struct, frozen=True):
    """What the judge found. Figures are what the API served; `complaints` is empty where all of it is borne out.
    `duplicates_resent` are what the platform received beyond the source's own rows, `duplicates` all others.
    """

    intervals: int
    missing: int
    energy_kwh: str
    duplicates: int
    duplicates_resent: int
    conflicts: int
    lost: int
    amount: str
    amount_tou: str
    currency: str
    bill_sha256: str
    complaints: tuple[str, ...]


class Case(msgspec.Struct, frozen=True):
    """What is to be checked against what."""

    data: Path
    year: int
    zone: str
    device: str
    channel: str
    flat_bill: int
    tou_bill: int
    resent_max: int
    settle_s: float


def judge(api: Api, case: Case) -> Verdict:
    """The whole check."""
    year = civil_year(case.year, case.zone)
    source = read_source(case.data, year)
    until = time.monotonic() + case.settle_s
    comparison = _settled_comparison(api, case, source, until)
    found = complaints(comparison)
    found += _settled_window_complaints(api, case, source, year, until)
    tally = api.get(f"/api/v1/devices/{case.device}/tally", Tally)
    conflicts = sum(1 for _ in api.pages("/api/v1/conflicts", msgspec.Raw, SMALL_PAGE, device=case.device))
    found += book_complaints(tally, conflicts, source, case.resent_max)
    resent = max(0, tally.received - source.rows)
    truth = Truth(source, year, case.zone)
    flat_bill, flat_sha256 = _bill(api, case.flat_bill, flat(source.values), truth, found)
    tou_bill, _ = _bill(api, case.tou_bill, time_of_use(source.values, case.zone), truth, found)
    return Verdict(
        intervals=comparison.equal,
        missing=year.intervals - len(source.values),
        energy_kwh=f"{flat_bill.energy_kwh:.3f}",
        duplicates=tally.count("duplicate") - resent,
        duplicates_resent=resent,
        conflicts=conflicts,
        lost=len(comparison.missing) + len({each.at_ms for each in comparison.different}),
        amount=str(flat_bill.total),
        amount_tou=str(tou_bill.total),
        currency=flat_bill.currency,
        bill_sha256=flat_sha256,
        complaints=tuple(found),
    )


def _settled_comparison(api: Api, case: Case, source: Source, until: float) -> Comparison:
    """Looks again for a while where readings are only missing: any other difference can not heal."""
    path = f"/api/v1/devices/{case.device}/readings"
    while True:
        served = api.pages(path, Reading, channel=case.channel)
        comparison = compare(source.values, ((_milliseconds(each.at), each.value) for each in served))
        if not comparison.missing or time.monotonic() >= until:
            return comparison
        time.sleep(RETRY_S)


def _settled_window_complaints(api: Api, case: Case, source: Source, year: Year, until: float) -> list[str]:
    """Looks again for a while: a window that has closed is revised a moment after its late reading is stored."""
    expected = days_of(source.values, case.zone)
    span = {"from": _rfc3339(year.start_ms), "to": _rfc3339(year.end_ms)}
    path = f"/api/v1/devices/{case.device}/windows"
    while True:
        served = list(api.pages(path, ServedWindow, SMALL_PAGE, channel=case.channel, size="day", **span))
        found = window_complaints(expected, served)
        if not found or time.monotonic() >= until:
            return found
        time.sleep(RETRY_S)


def book_complaints(tally: Tally, conflicts: int, source: Source, resent_max: int) -> list[str]:
    """The platform's books beside the source. Rows in messages that were sent again may be duplicates once more."""
    stored, duplicates, again = tally.count("stored"), tally.count("duplicate"), tally.received - source.rows
    found = []
    if not 0 <= again <= resent_max:
        found.append(
            f"books: {tally.received} received, where the source has {source.rows} and {resent_max} went again"
        )
    if stored != len(source.values):
        found.append(f"books: {stored} stored, where the source has {len(source.values)} stamps")
    if duplicates != source.duplicates + again:
        found.append(f"books: {duplicates} duplicates, where the source has {source.duplicates} and {again} came again")
    if conflicts != len(source.conflicts):
        found.append(f"books: {conflicts} conflicts, where the source has {len(source.conflicts)}")
    if tally.received != sum(item.count for item in tally.items):
        found.append(f"books: {tally.received} received do not come to {[(i.outcome, i.count) for i in tally.items]}")
    return found


def _bill(api: Api, number: int, expected: Expected, truth: Truth, found: list[str]) -> tuple[ServedBill, str]:
    """One issued bill and its SHA-256 as served; what is wrong with it is added to `found`."""
    answer = api.raw("GET", f"/api/v1/bills/{number}")
    sha256 = hashlib.sha256(answer.body).hexdigest()
    if answer.headers.get("x-bill-sha256") != sha256:
        found.append(f"bill {number}: its hash is {sha256}, the API says {answer.headers.get('x-bill-sha256')}")
    bill = decoded("GET", f"/api/v1/bills/{number}", answer, ServedBill)
    found += [f"bill {number}: {line}" for line in bill_complaints(bill, expected, truth)]
    return bill, sha256


def _milliseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(milliseconds=1)


def _rfc3339(at_ms: int) -> str:
    return (_EPOCH + timedelta(milliseconds=at_ms)).isoformat().replace("+00:00", "Z")


def _arguments(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="check", description="Compare a data file with what the API returns.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--year", type=int, required=True)
    parser.add_argument("--zone", required=True)
    parser.add_argument(
        "--port", type=int, required=True, help=f"of the HTTP API; the token is read from ${TOKEN_VARIABLE}"
    )
    parser.add_argument("--device", required=True)
    parser.add_argument("--channel", required=True)
    parser.add_argument("--flat-bill", type=int, required=True, help="number of the bill at the flat price")
    parser.add_argument("--tou-bill", type=int, required=True, help="number of the bill at the time-of-use prices")
    parser.add_argument("--resent-max", type=int, default=0, help="rows that may have been sent more than once")
    parser.add_argument("--settle-s", type=float, default=SETTLE_S, help="how long missing readings may take to appear")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    """The process: 0 where everything agrees, 1 where it does not, 2 where it could not be checked."""
    arguments = vars(_arguments(sys.argv[1:] if argv is None else argv))
    api = Api(arguments.pop("port"), os.environ.get(TOKEN_VARIABLE, ""))
    try:
        verdict = judge(api, Case(**arguments))
    except (ApiError, SourceError, OSError) as error:
        sys.stderr.write(f"it could not be checked: {error}\n")
        return 2
    finally:
        api.close()
    sys.stdout.write(msgspec.json.encode(verdict).decode() + "\n")
    return 1 if verdict.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
