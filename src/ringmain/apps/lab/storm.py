"""The storm: a plan's faults, done to the running boxes, with proof for each kill that it hit unacknowledged records.

Two tracks and a watch run side by side, each a generator that yields while it waits; one loop, no thread, so that the
order in which a seed's faults begin is the plan's. It must never count a kill that hit nothing.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol

import msgspec

from ringmain.apps.lab.box import Box
from ringmain.apps.lab.edge import EdgeStatus
from ringmain.apps.lab.faults import EDGE, Kill, LinkFault, Plan
from ringmain.apps.lab.processes import Child, StepFailed
from ringmain.apps.lab.relay import Stats
from ringmain.simulator.progress import entries, last_entry, unacknowledged_at

TICK_S = 0.005
"""How often each track is looked at: shorter than the edge gathers readings before it acknowledges them."""

LOOK_EVERY_S = 0.05
WATCH_EVERY_S = 0.25

ARM_S_MAX = 45.0
"""How long a kill waits for its victim to have unacknowledged records: longer than any fault of the link, with the
reconnection after it."""

MISSES_MAX = 10
"""Kills that hit nothing unacknowledged, after all; each is repeated. More mean that the lab does not see right."""


class Relay(Protocol):
    """What is told to the relay."""

    def tell(self, command: str) -> Stats: ...


class Damage(msgspec.Struct):
    """What was done. `unacknowledged_at_kill` has an item for each kill that counts: messages of the meter for the
    edge, readings in the edge's buffer for the platform.
    """

    faults: dict[str, int] = msgspec.field(default_factory=dict)
    unacknowledged_at_kill: dict[str, list[int]] = msgspec.field(default_factory=lambda: {"edge": [], "platform": []})
    kills_idle: int = 0
    edge_backlog_max: int = 0
    forwarded_at_fault: int = 0
    seconds: float = 0.0


class Town(msgspec.Struct, frozen=True):
    """Everything that is there to be hurt, and how to look at it."""

    platform: Box
    edge: Box
    relay: Relay
    relay_child: Child
    meter: Child
    diary: Path
    edge_status: Callable[[], EdgeStatus | None]


Track = Iterator[None]


def storm(plan: Plan, town: Town, say: Callable[[str], None]) -> Damage:
    """Do all of the plan. StepFailed where a box does not come back, or a process ends that was not killed."""
    started = time.monotonic()
    damage = Damage()
    links = _faults_of_the_link(plan.link, town, damage, say)
    kills = _kills(plan.kills, town, damage, say)
    watch = _watch(town, damage)
    open_tracks = [links, kills]
    while open_tracks:
        next(watch)
        open_tracks = [track for track in open_tracks if next(track, _DONE) is not _DONE]
        _check(town)
        time.sleep(TICK_S)
    town.relay.tell("pass")
    damage.seconds = time.monotonic() - started
    return damage


_DONE = object()


def _check(town: Town) -> None:
    for child in (town.relay_child, town.edge.child, town.platform.child):
        child.check_alive()
    if town.meter.exit_code() is not None:
        raise town.meter.failed("was done before the storm was: a kill found nothing to hit any more")


def _pause(seconds: float) -> Track:
    """At least one look."""
    until = time.monotonic() + seconds
    yield
    while time.monotonic() < until:
        yield


def _faults_of_the_link(faults: tuple[LinkFault, ...], town: Town, damage: Damage, say: Callable[[str], None]) -> Track:
    for fault in faults:
        yield from _pause(fault.after_s)
        for _ in _armed("the uplink did not come back"):
            stats = town.relay.tell("stats")
            if stats.open > stats.dead and (not fault.carrying or _has_carried(town, damage)):
                break
            yield from _pause(LOOK_EVERY_S)
        _settle(town, damage)
        for command in fault.commands:
            town.relay.tell(command)
        damage.faults[fault.kind] = damage.faults.get(fault.kind, 0) + 1
        say(f"uplink: {', '.join(fault.commands)}; all passes again in {fault.hold_s:.1f} s")
        yield from _pause(fault.hold_s)
        town.relay.tell("pass")


def _kills(kills: tuple[Kill, ...], town: Town, damage: Damage, say: Callable[[str], None]) -> Track:
    for kill in kills:
        yield from _pause(kill.after_s)
        lost: list[int] = []
        while not lost:
            yield from _kill_edge(town, lost) if kill.box == EDGE else _kill_platform(town, damage, lost)
            if not lost:
                damage.kills_idle += 1
                if damage.kills_idle > MISSES_MAX:
                    raise StepFailed(f"{damage.kills_idle} kills hit nothing unacknowledged", "run it again, alone")
        damage.unacknowledged_at_kill[kill.box] += lost
        unit = "messages of the meter" if kill.box == EDGE else "readings of the edge"
        say(f"{kill.box} killed with {lost[0]:,} {unit} unacknowledged, and back")


def _kill_edge(town: Town, lost: list[int]) -> Track:
    """When the meter has said something that has no answer yet. `lost` gets what never had one, if anything."""
    connection = 0
    for _ in _armed("the meter had nothing unacknowledged"):
        last = last_entry(town.diary)
        if last and last.connected and last.sent > last.acknowledged:
            connection = last.connection
            break
        yield
    killed_at_s = town.edge.child.kill()
    town.edge.start()
    while not town.edge.is_ready():
        yield
    for _ in _armed("the meter did not come back to the edge"):
        last = last_entry(town.diary)
        if last and last.connection > connection:
            break
        yield
    unacknowledged = unacknowledged_at(entries(town.diary), killed_at_s)
    lost += [unacknowledged] if unacknowledged else []


def _kill_platform(town: Town, damage: Damage, lost: list[int]) -> Track:
    """When the edge has sent something that has no answer yet. `lost` gets how many readings never had one."""
    before: EdgeStatus | None = None
    for _ in _armed("the edge had nothing on its way"):
        before = town.edge_status()
        if before and before.uplink_is_up and before.in_flight and before.forwarded > damage.forwarded_at_fault:
            break
        yield
    assert before is not None
    _settle(town, damage)
    town.platform.child.kill()
    town.platform.start()
    forwarded = before.forwarded
    while not town.platform.is_ready():
        after = town.edge_status()
        if after and after.uplink_connections == before.uplink_connections:
            forwarded = after.forwarded
        yield from _pause(WATCH_EVERY_S)
    unacknowledged = before.taken - forwarded
    lost += [unacknowledged] if unacknowledged > 0 else []


def _has_carried(town: Town, damage: Damage) -> bool:
    """Whether readings reached the platform since the fault before: each fault is to hit something that works."""
    status = town.edge_status()
    return status is not None and status.forwarded > damage.forwarded_at_fault


def _settle(town: Town, damage: Damage) -> None:
    """Remember how far the uplink has come when a fault begins."""
    status = town.edge_status()
    if status:
        damage.forwarded_at_fault = max(damage.forwarded_at_fault, status.forwarded)


def _armed(trouble: str) -> Iterator[None]:
    """Items until it takes too long: StepFailed with `trouble`."""
    until = time.monotonic() + ARM_S_MAX
    while time.monotonic() < until:
        yield
    raise StepFailed(f"{trouble} within {ARM_S_MAX:g} s", "the logs say who was not there")


def _watch(town: Town, damage: Damage) -> Track:
    while True:
        status = town.edge_status()
        if status:
            damage.edge_backlog_max = max(damage.edge_backlog_max, status.buffered)
        yield from _pause(WATCH_EVERY_S)
