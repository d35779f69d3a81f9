"""One run of the lab, step by step: read, start, provision, replay, bill, judge, stop.

It wires processes together and believes none of them: every figure of the report comes from the checking process,
and no step is taken for done because nobody complained.
"""

import platform as python_platform
import time
from collections.abc import Callable, Sequence
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import TypeVar

import msgspec

from ringmain import __version__
from ringmain.apps.lab import check, provision
from ringmain.apps.lab.api import Api
from ringmain.apps.lab.platform import Platform, platform_blamed, start_platform
from ringmain.apps.lab.processes import POLL_S, Child, Family, StepFailed, sigterm_interrupts
from ringmain.apps.lab.report import Report
from ringmain.apps.lab.source import civil_year
from ringmain.metering.interval_file import FileRow, read_interval_file
from ringmain.model.errors import Refused
from ringmain.model.time import format_rfc3339
from ringmain.simulator import replay

TOPIC = "telemetry"
ZONE = "Europe/London"
"""Where the household of the trial lives. Its tariff switches by this clock."""

REPLAY_S_MAX = 120.0
CHECK_S_MAX = 60.0
STORE_S_MAX = 20.0
"""Steps take a few seconds; a machine ten times slower than ours still gets through."""


Output = TypeVar("Output", bound=msgspec.Struct)


class Options(msgspec.Struct, frozen=True):
    """What to run. `storage_dir` is the platform's directory; `work_dir` holds logs and hand-overs of this run."""

    data: Path
    year: int
    seed: int
    storage_dir: Path
    work_dir: Path
    kept: bool
    config: tuple[str, ...] = ()


class _Issued(msgspec.Struct):
    number: int
    sha256: str


def rows_of_year(source: Path | Traversable, year: int) -> list[FileRow]:
    """The file's rows of one year, all of them read and found sound. `Refused` with line and field, or where the
    year has none.
    """
    span = civil_year(year, ZONE)
    rows = list(read_interval_file(source))
    chosen = [row for row in rows if span.start_ms <= row.start_ms < span.end_ms]
    if not chosen:
        stamps = [row.start_ms for row in rows]
        covered = f"it covers {_day(min(stamps))} to {_day(max(stamps))}" if stamps else "it has none at all"
        raise Refused(
            "unprocessable",
            f"{source.name}: no rows in {year}; {covered}; nothing was started",
            "Choose another --year.",
        )
    return chosen


def run(options: Options, rows: Sequence[FileRow], say: Callable[[str], None]) -> Report:
    """The whole run; `say` hears of each step when it is done. StepFailed, or ApiError, where it does not come to
    its end; all children are ended either way.
    """
    started = time.monotonic()
    step: Callable[[str], None] = lambda text: say(f"{time.monotonic() - started:5.1f} s  {text}")
    start_ms = civil_year(options.year, ZONE).start_ms
    series = _write_series(options.work_dir / "series.csv", rows)
    with sigterm_interrupts(), Family(options.work_dir) as family:
        platform = start_platform(family, options.storage_dir, ZONE, options.config)
        step(f"platform is up: process {platform.child.pid}, MQTT over TLS on port {platform.ports.mqtts}")
        with platform_blamed(platform):
            provisioned = _provision(platform, format_rfc3339(start_ms))
            tenant, token = provisioned.tenant.tenant, provisioned.tenant.token
            step(f"tenant {tenant} has a meter, a home and two accounts")
            replayed = _replay(family, platform, provisioned, series, options.seed)
            step(f"meter: {replayed.messages:,} messages acknowledged, {replayed.resent:,} sent again")
            _until_stored(platform, token, len(rows))
            bills = _bill_twice(platform, token, options.year)
            step("both bills are issued, twice each with the same bytes")
            verdict = _check(family, platform, token, options, bills, replayed)
            step(f"checking process: {len(verdict.complaints)} complaints")
        platform.box.stop()
        step("platform has ended in order")
    return _report(options, tenant, replayed, verdict, time.monotonic() - started)


def _write_series(path: Path, rows: Sequence[FileRow]) -> Path:
    lines = "".join(f"{row.start_ms},{row.energy_wh}\n" for row in rows)
    path.write_text(f"at_ms,{provision.CHANNEL}\n{lines}", encoding="ascii")
    return path


def _provision(platform: Platform, from_: str) -> provision.Provisioned:
    operator = Api(platform.ports.http, platform.operator_token)
    try:
        return provision.provision(operator, platform.ports.http, ZONE, from_)
    finally:
        operator.close()


def _replay(
    family: Family, platform: Platform, provisioned: provision.Provisioned, series: Path, seed: int
) -> replay.Result:
    """The meter process. StepFailed unless the platform acknowledged everything."""
    arguments = {
        "--series": series,
        "--port": platform.ports.mqtts,
        "--ca": platform.ca,
        "--client-id": provision.DEVICE,
        "--user": provisioned.meter_user,
        "--topic": TOPIC,
        "--seed": seed,
        "--seconds-max": REPLAY_S_MAX - 5,
    }
    token = {replay.TOKEN_VARIABLE: provisioned.meter_token}
    meter = family.start("meter", "ringmain.simulator.replay", _flat(arguments), token)
    if meter.wait(REPLAY_S_MAX, while_alive=[platform.child]) != 0:
        raise meter.failed("could not deliver everything")
    return _result(meter, replay.Result)


def _until_stored(platform: Platform, token: str, rows: int) -> None:
    """Wait until the store has read what the log acknowledged: a bill rests on the store. Where that does not
    happen, go on: the judge will say what is lost.
    """
    api = Api(platform.ports.http, token)
    until = time.monotonic() + STORE_S_MAX
    try:
        while time.monotonic() < until:
            if api.get(f"/api/v1/devices/{provision.DEVICE}/tally", check.Tally).received >= rows:
                return
            time.sleep(POLL_S)
    finally:
        api.close()


def _bill_twice(platform: Platform, token: str, year: int) -> tuple[int, int]:
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


def _check(
    family: Family, platform: Platform, token: str, options: Options, bills: tuple[int, int], replayed: replay.Result
) -> check.Verdict:
    """The checking process. A verdict with complaints is a verdict; StepFailed where there is none."""
    arguments = {
        "--data": options.data,
        "--year": options.year,
        "--zone": ZONE,
        "--port": platform.ports.http,
        "--device": provision.DEVICE,
        "--channel": provision.CHANNEL,
        "--flat-bill": bills[0],
        "--tou-bill": bills[1],
        "--resent-max": replayed.resent * replayed.rows_per_message_max,
    }
    judge = family.start("check", "ringmain.apps.lab.check", _flat(arguments), {check.TOKEN_VARIABLE: token})
    if judge.wait(CHECK_S_MAX, while_alive=[platform.child]) not in (0, 1):
        raise judge.failed("came to no verdict")
    return _result(judge, check.Verdict)


def _report(options: Options, tenant: str, replayed: replay.Result, verdict: check.Verdict, seconds: float) -> Report:
    return Report(
        year=options.year,
        faults="none",
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


def _result(child: Child, type_: type[Output]) -> Output:
    """The one line that a child wrote to its standard output."""
    try:
        return msgspec.json.decode(child.output(), type=type_)
    except msgspec.DecodeError as error:
        raise child.failed(f"gave no result that can be read ({error})") from error


def _flat(arguments: dict[str, object]) -> list[str]:
    return [part for name, value in arguments.items() for part in (name, str(value))]


def _day(at_ms: int) -> str:
    return format_rfc3339(at_ms)[:10]
