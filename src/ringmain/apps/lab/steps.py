"""The steps of every run: provision, replay, wait for the store, bill, judge, report.

Each believes nobody: every figure of the report comes from the checking process, and no step is taken for done
because nobody complained.
"""

import platform as python_platform
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec

from ringmain import __version__
from ringmain.apps.lab import check, provision
from ringmain.apps.lab.api import Api
from ringmain.apps.lab.platform import Platform
from ringmain.apps.lab.processes import POLL_S, Child, Family, StepFailed
from ringmain.apps.lab.report import Report
from ringmain.apps.lab.source import civil_year
from ringmain.metering.interval_file import FileRow
from ringmain.model.time import format_rfc3339
from ringmain.simulator import replay

TOPIC = "telemetry"
ZONE = "Europe/London"
"""Where the household of the trial lives. Its tariff switches by this clock."""

CHECK_S_MAX = 60.0
STORE_S_MAX = 20.0
"""Steps take a few seconds; a machine ten times slower than ours still gets through."""

Step = Callable[[str], None]
"""Told of each step when it is done."""

Output = TypeVar("Output", bound=msgspec.Struct)


class Options(msgspec.Struct, frozen=True):
    """What to run. `storage_dir` is the platform's directory; `work_dir` holds logs and hand-overs of this run."""

    data: Path
    year: int
    seed: int
    storage_dir: Path
    work_dir: Path
    kept: bool
    faults: str = "none"
    config: tuple[str, ...] = ()


class _Issued(msgspec.Struct):
    number: int
    sha256: str


def write_series(path: Path, rows: Sequence[FileRow]) -> Path:
    """The rows as the meter reads them, in the file's order."""
    lines = "".join(f"{row.start_ms},{row.energy_wh}\n" for row in rows)
    path.write_text(f"at_ms,{provision.CHANNEL}\n{lines}", encoding="ascii")
    return path


def provisioned_for(platform: Platform, year: int) -> provision.Provisioned:
    """A tenant with a meter, a home and two accounts. The meter was there when the year began."""
    operator = Api(platform.ports.http, platform.operator_token)
    try:
        from_ = format_rfc3339(civil_year(year, ZONE).start_ms)
        return provision.provision(operator, platform.ports.http, ZONE, from_)
    finally:
        operator.close()


def start_meter(
    family: Family, provisioned: provision.Provisioned, series: Path, seed: int, link: dict[str, object]
) -> Child:
    """The meter process; `link` are its arguments that say where to connect and how fast."""
    arguments = {
        "--series": series,
        "--client-id": provision.DEVICE,
        "--user": provisioned.meter_user,
        "--topic": TOPIC,
        "--seed": seed,
        **link,
    }
    token = {replay.TOKEN_VARIABLE: provisioned.meter_token}
    return family.start("meter", "ringmain.simulator.replay", flat(arguments), token)


def delivered(meter: Child, seconds_max: float, *, while_alive: Sequence[Child]) -> replay.Result:
    """What the meter did. StepFailed unless everything was acknowledged to it."""
    if meter.wait(seconds_max, while_alive=while_alive) != 0:
        raise meter.failed("could not deliver everything")
    return result_of(meter, replay.Result)


def until_stored(platform: Platform, token: str, enough: Callable[[check.Tally], bool]) -> bool:
    """Wait until the store has read what the log acknowledged: a bill rests on the store. Where that does not
    happen, go on: the judge will say what is lost.
    """
    api = Api(platform.ports.http, token)
    until = time.monotonic() + STORE_S_MAX
    try:
        while time.monotonic() < until:
            if enough(api.get(f"/api/v1/devices/{provision.DEVICE}/tally", check.Tally)):
                return True
            time.sleep(POLL_S)
    finally:
        api.close()
    return False


def bill_twice(platform: Platform, token: str, year: int) -> tuple[int, int]:
    """The numbers of both accounts' bills, each issued twice: the second time it has to be the same one."""
    api = Api(platform.ports.http, token)
    try:
        return _issue(api, provision.FLAT_ACCOUNT, year), _issue(api, provision.TOU_ACCOUNT, year)
    finally:
        api.close()


def _issue(api: Api, account: str, year: int) -> int:
    period = {"from": f"{year}-01-01", "to": f"{year + 1}-01-01"}
    bills = []
    for _ in range(2):
        issued = api.send("POST", f"/api/v1/accounts/{account}/bills", _Issued, period)
        bills.append((issued.number, issued.sha256, api.raw("GET", f"/api/v1/bills/{issued.number}").body))
    if bills[0] != bills[1]:
        raise StepFailed(
            f"account {account}: the same bill issued again is another one: numbers {bills[0][0]} and {bills[1][0]},"
            f" hashes {bills[0][1]} and {bills[1][1]}"
        )
    return bills[0][0]


def judged(
    family: Family, platform: Platform, token: str, options: Options, bills: tuple[int, int], resent_max: int
) -> check.Verdict:
    """The checking process. A verdict with complaints is a verdict; StepFailed where there is none. `resent_max` are
    the rows that may have come more than once.
    """
    arguments = {
        "--data": options.data,
        "--year": options.year,
        "--zone": ZONE,
        "--port": platform.ports.http,
        "--device": provision.DEVICE,
        "--channel": provision.CHANNEL,
        "--flat-bill": bills[0],
        "--tou-bill": bills[1],
        "--resent-max": resent_max,
        "--settle-s": check.SETTLE_S,
    }
    judge = family.start("check", "ringmain.apps.lab.check", flat(arguments), {check.TOKEN_VARIABLE: token})
    if judge.wait(CHECK_S_MAX, while_alive=[platform.child]) not in (0, 1):
        raise judge.failed("came to no verdict")
    return result_of(judge, check.Verdict)


def report_of(options: Options, tenant: str, replayed: replay.Result, verdict: check.Verdict, seconds: float) -> Report:
    """The report of a run."""
    return Report(
        year=options.year,
        faults=options.faults,
        seed=options.seed,
        intervals=verdict.intervals,
        missing=verdict.missing,
        energy_kwh=float(verdict.energy_kwh),
        energy_kwh_exact=verdict.energy_kwh,
        amount=float(verdict.amount),
        amount_exact=verdict.amount,
        amount_tou=float(verdict.amount_tou),
        amount_tou_exact=verdict.amount_tou,
        currency=verdict.currency,
        duplicates_dropped=verdict.duplicates,
        conflicts=verdict.conflicts,
        lost=verdict.lost,
        bill_sha256=verdict.bill_sha256,
        messages=replayed.messages,
        resent=replayed.resent,
        seconds=round(seconds, 3),
        replay_seconds=replayed.seconds,
        tenant=tenant,
        storage_dir=str(options.storage_dir) if options.kept else "",
        ringmain=__version__,
        python=python_platform.python_version(),
        complaints=verdict.complaints,
    )


def result_of(child: Child, type_: type[Output]) -> Output:
    """The one line that a child wrote to its standard output."""
    try:
        return msgspec.json.decode(child.output(), type=type_)
    except msgspec.DecodeError as error:
        raise child.failed(f"gave no result that can be read ({error})") from error


def flat(arguments: dict[str, object]) -> list[str]:
    """Names and values as a command line."""
    return [part for name, value in arguments.items() for part in (name, str(value))]
