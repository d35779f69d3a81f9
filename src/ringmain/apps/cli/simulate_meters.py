"""What `ringmain simulate meters` does with its options: read the files, make the street, run the fleet, report."""

import asyncio
import gc
import resource
import signal
import time
from collections.abc import Mapping
from pathlib import Path

import click
import msgspec
import uvloop

from ringmain.apps.cli.exits import CommandError, Exit
from ringmain.apps.cli.simulate_files import from_tokens, instant, last_stamps, replay_file
from ringmain.model.ids import is_name
from ringmain.model.time import DAY_MS
from ringmain.simulator.fleet import Fleet, Manner
from ringmain.simulator.fleet_meter import Identity
from ringmain.simulator.fleet_report import FleetReport, write_progress
from ringmain.simulator.household.days import Place
from ringmain.simulator.payload import Form
from ringmain.simulator.publisher import Link
from ringmain.simulator.street import Street, StreetPlan
from ringmain.simulator.virtual_time import VirtualTime

COUNT_DEFAULT = 10

SPARE_FILES = 64
"""Descriptors beyond one for each meter."""

COUNTING_S = 0.5
"""Registers that take longer to count than this get a line about it."""


class Options(msgspec.Struct, frozen=True):
    """The command's options, as click has checked them."""

    first: int
    seed: int
    every_s: int
    speed: float
    then_real_time: bool
    drain_s: float
    host: str
    id_prefix: str
    client_id: str
    topic: str
    qos: int
    payload: str
    readings_max: int
    channels: str
    window: int
    pv: float
    zone: str
    latitude: float
    replay: tuple[Path, ...]
    drift_ppm: float
    reboot_every_h: float
    spread: float
    ramp: float
    retry_max_s: float
    keep_alive_s: int
    stall_s: float
    count: int | None = None
    start: str | None = None
    until: str | None = None
    for_s: float | None = None
    resume_after: Path | None = None
    resume_overlap: int = 0
    registers_from: str | None = None
    port: int | None = None
    ca: Path | None = None
    tokens: Path | None = None
    user: str | None = None
    password: str | None = None
    replay_homes: int | None = None
    progress: Path | None = None
    report: Path | None = None


def run(raw: Mapping[str, object]) -> int:
    """The command; its exit code."""
    options = Options(**raw)  # type: ignore[arg-type]  # click has checked each of them
    identities = _identities(options)
    last_ms = last_stamps(options.resume_after)
    start_ms = _start(options, {each.id for each in identities}, last_ms)
    _room_for(len(identities))
    try:
        street = Street(_plan(options, identities, start_ms, last_ms))
        clock = VirtualTime(
            start_ms,
            options.speed,
            then_real_time=options.then_real_time,
            monotonic_s=time.monotonic,
            wall_ms=_wall_ms,
        )
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    _count_registers(street, start_ms)
    fleet = Fleet(street.meters, street.banks, clock, _manner(options), _say)
    report = uvloop.run(_live(fleet))
    write_progress(options.report, report)
    click.echo(msgspec.json.encode(report).decode())
    if report.ended == "not drained":
        raise CommandError(
            Exit.UNAVAILABLE,
            f"{report.unacknowledged} messages were not acknowledged, {report.behind} readings not sent;"
            f" last trouble: {report.trouble or 'none'}",
            "look at the server, or give it longer with --drain-s",
        )
    return Exit.OK


def _say(text: str) -> None:
    click.echo(f"meters: {text}", err=True)


async def _live(fleet: Fleet) -> FleetReport:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    gc.freeze()
    return await fleet.run(stop)


def _wall_ms() -> int:
    return time.time_ns() // 1_000_000


def _manner(options: Options) -> Manner:
    port = options.port or (8883 if options.ca else 1883)
    return Manner(
        link=Link(options.host, port, options.ca),
        qos=options.qos,
        window=options.window,
        ramp_per_s=options.ramp,
        retry_s_max=options.retry_max_s,
        reboot_every_h=options.reboot_every_h,
        seconds_max=options.for_s or 0.0,
        drain_s=options.drain_s,
        progress=options.progress,
        seed=options.seed,
    )


def _plan(options: Options, identities: list[Identity], start_ms: int, last_ms: dict[str, int]) -> StreetPlan:
    if options.registers_from is not None:
        from_ms = instant("--registers-from", options.registers_from)
    elif options.resume_after is not None:
        raise click.UsageError("--resume-after needs --registers-from, the same in every run: registers go on counting")
    else:
        from_ms = start_ms // DAY_MS * DAY_MS
    if options.replay_homes and not options.replay:
        raise click.UsageError("--replay-homes needs --replay FILE")
    replaying = len(identities) if options.replay_homes is None else min(options.replay_homes, len(identities))
    return StreetPlan(
        identities=identities,
        start_ms=start_ms,
        from_ms=from_ms,
        every_ms=options.every_s * 1000,
        until_ms=instant("--until", options.until) if options.until else None,
        last_ms=last_ms,
        repeat=options.resume_overlap,
        seed=options.seed,
        first_home=options.first - 1,
        place=Place(options.zone, options.latitude),
        pv_share=options.pv,
        files=[replay_file(path) for path in options.replay],
        replaying=replaying if options.replay else 0,
        drift_ppm=options.drift_ppm,
        spread=options.spread,
        topic=options.topic,
        client_id=options.client_id,
        form=Form(options.payload),
        channels=[name.strip() for name in options.channels.split(",")],
        readings_max=options.readings_max,
        window=options.window,
        keep_alive_s=options.keep_alive_s,
        stall_s=options.stall_s,
    )


def _identities(options: Options) -> list[Identity]:
    if options.tokens is not None:
        return from_tokens(options.tokens, options.count, options.user or "{id}")
    user = options.user or ("{id}" if options.password else "")
    count = options.count or COUNT_DEFAULT
    names = [f"{options.id_prefix}{number}" for number in range(options.first, options.first + count)]
    if not is_name(names[-1]):
        raise click.UsageError(f"--id-prefix {options.id_prefix}: {names[-1]} can not name a device")
    return [Identity(name, user.replace("{id}", name), options.password or "") for name in names]


def _start(options: Options, ids: set[str], last_ms: Mapping[str, int]) -> int:
    """Where virtual time begins: at --start, or where the newest of the meters' stamps stands, if that is later."""
    newest = max((at_ms for name, at_ms in last_ms.items() if name in ids), default=None)
    given = instant("--start", options.start) if options.start else None
    if newest is None:
        return _wall_ms() if given is None else given
    return max(newest, given or 0)


def _room_for(meters: int) -> None:
    """Let the process open a socket for each meter, as far as the system allows."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = meters + SPARE_FILES
    if hard != resource.RLIM_INFINITY and needed > hard:
        raise CommandError(
            Exit.UNAVAILABLE, f"{meters} meters need {needed} open files, the system allows {hard}", "see `ulimit -n`"
        )
    if soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


def _count_registers(street: Street, at_ms: int) -> None:
    began, told = time.monotonic(), False
    for done, total in street.prepare(at_ms):
        if not told and time.monotonic() - began > COUNTING_S and done < total:
            told = True
            click.echo("counting registers up to the start (--registers-from says from when) ...", err=True)
