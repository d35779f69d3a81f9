"""One run of the bench of edge gateways: all of them side by side, under one load, through cuts of the same moments.

Each gateway has a way to its platform through a relay, which black-holes it: connections stay open, and what either
side says is read and lost. When it passes again, the connections of before stay dead (`silent`), or are reset (`reset`:
as behind a modem that comes back with another address, where the server answers what it does not know). New ones work.
"""

import contextlib
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import msgspec
from bench import edge_measure, edge_sensors
from bench.edge_child import Child
from bench.edge_judge import Arrivals, Cut, Verdict, judge

DRAIN_S_MAX = {"reset": 70.0, "silent": 260.0}
"""How long a gateway is waited for after a cut. ThingsBoard's, as shipped, takes 240 s to find out that a silent
connection is dead: two keep-alives of 120 s."""

FLAT_S = 8.0
"""A gateway has drained when what is missing stands still for so long while readings arrive."""

FLAT_READINGS = 300
"""What counts as standing still: a second and a half of the street, for packs that are under way."""

PAUSE_S = 10.0
"""Between the end of one cut's drain and the next cut."""

END_S_MAX = 30.0
"""After the last reading: what may still arrive."""

POLL_S = 1.0

RELAY = "ringmain.apps.lab.relay"


class Counts(msgspec.Struct, frozen=True):
    """What a platform has of a gateway so far."""

    distinct: int
    connections: int | None = None


class Contender(Protocol):
    """A gateway that runs, with its platform. `pid` is the root of all its processes."""

    name: str

    @property
    def pid(self) -> int: ...

    @property
    def alive(self) -> bool: ...

    @property
    def target(self) -> edge_sensors.Target: ...

    def counts(self) -> Counts: ...

    def arrivals(self) -> tuple[Arrivals, int | None]: ...


class Recovery(msgspec.Struct, frozen=True):
    """After a cut of so many seconds, counted from its end: when the first reading arrived, and when all that was to
    arrive had. None: not within the bound.
    """

    cut_seconds: int
    first_arrival_s: float | None
    drained_s: float | None
    missing_at_end_of_cut: int


class Outcome(msgspec.Struct, frozen=True):
    """One gateway's run."""

    name: str
    verdict: Verdict
    usage: edge_measure.Usage
    recoveries: tuple[Recovery, ...]
    uplink_connections: int | None


class Run(msgspec.Struct, frozen=True):
    """All gateways' run. `aside` are processes that a gateway needs beside it, not counted as its own."""

    started_first: str
    end_of_cut: str
    seconds: float
    outcomes: tuple[Outcome, ...]
    aside: Mapping[str, edge_measure.Usage]


class Cuts:
    """The relays, commanded together."""

    def __init__(self, relays: Sequence[Child]) -> None:
        self._relays = relays

    def all(self, command: str) -> None:
        """The same to all of them, one right after the other."""
        for relay in self._relays:
            relay.say(command)
        for relay in self._relays:
            relay.hear(10)


def side_by_side(
    contenders: Sequence[Contender],
    relays: Sequence[Child],
    aside: Mapping[str, int],
    *,
    sensors: int,
    settle_s: int,
    holes_s: Sequence[int],
    end_of_cut: str,
    directory: Path,
    tell: Callable[[str], None],
) -> Run:
    """Load, cuts, drains; then every reading is judged. The contenders are signed in at their platforms already."""
    began = time.monotonic()
    plan = edge_sensors.Plan(tuple(contender.target for contender in contenders), sensors)
    # two gateways behind one broker hear the same sensors
    plan = msgspec.structs.replace(plan, targets=tuple({target.name: target for target in plan.targets}.values()))
    with contextlib.ExitStack() as stack:
        street = stack.enter_context(Child("sensors", [edge_sensors.__file__], directory))
        street.say(msgspec.json.encode(plan).decode())
        if street.hear() != {"event": "up"}:
            raise RuntimeError("the sensors did not sign in")
        meter = edge_measure.Meter({one.name: one.pid for one in contenders} | dict(aside))
        marks = {"start": (time.monotonic(), meter.cpu_s())}
        watch = _Watch(contenders, street)
        tell(f"{sensors} sensors, a reading a second each; {settle_s} s to settle")
        watch.sleep(settle_s)
        marks["settled"] = (time.monotonic(), meter.cpu_s())
        cuts, recoveries = [], []
        for number, seconds in enumerate(holes_s):
            if number:
                watch.sleep(PAUSE_S)
            cuts.append(Cut(seconds, int(time.time() * 1000)))
            Cuts(relays).all("black-hole")
            tell(f"black hole of {seconds} s")
            watch.sleep(seconds)
            Cuts(relays).all("pass")
            if end_of_cut == "reset":
                Cuts(relays).all("cut")
            recoveries.append(watch.until_drained(seconds, DRAIN_S_MAX[end_of_cut]))
            tell("; ".join(_shown(name, recovery) for name, recovery in recoveries[-1].items()))
        marks["end"] = (time.monotonic(), meter.cpu_s())
        usage = meter.stop(marks)
        last = street.ask("stop")
        watch.until_quiet(last["sent"])
        outcomes = [
            _outcome(one, plan, last, cuts, usage, tuple(found[one.name] for found in recoveries)) for one in contenders
        ]
    return Run(
        started_first=contenders[0].name,
        end_of_cut=end_of_cut,
        seconds=time.monotonic() - began,
        outcomes=tuple(outcomes),
        aside={name: usage[name] for name in aside},
    )


def _shown(name: str, recovery: Recovery) -> str:
    if recovery.drained_s is None:
        return f"{name}: not drained in time"
    return f"{name}: first reading after {recovery.first_arrival_s:.0f} s, drained after {recovery.drained_s:.0f} s"


def _outcome(
    one: Contender,
    plan: edge_sensors.Plan,
    last: Mapping[str, object],
    cuts: Sequence[Cut],
    usage: Mapping[str, edge_measure.Usage],
    recoveries: tuple[Recovery, ...],
) -> Outcome:
    arrived, again = one.arrivals()
    left = msgspec.convert(last["unacknowledged"], dict[str, dict[int, list[int]]], strict=False)
    verdict = judge(
        plan.sensors,
        plan.every_ms,
        msgspec.convert(last["base_ms"], int),
        msgspec.convert(last["sent"], int),
        left.get(one.target.name, {}),
        arrived,
        again,
        cuts,
    )
    return Outcome(one.name, verdict, usage[one.name], recoveries, one.counts().connections)


class _Watch:
    """Looks at all gateways every second; whoever dies ends the run."""

    def __init__(self, contenders: Sequence[Contender], street: Child) -> None:
        self._contenders, self._street = contenders, street

    def look(self) -> tuple[float, int, dict[str, int]]:
        """(now, readings sent so far, distinct ones arrived by gateway)."""
        for one in self._contenders:
            if not one.alive:
                raise RuntimeError(f"{one.name} has ended")
        arrived = {one.name: one.counts().distinct for one in self._contenders}
        return time.monotonic(), self._street.ask("counts", 10)["sent"], arrived

    def sleep(self, seconds: float) -> None:
        """Wait, and look meanwhile that all are alive."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            time.sleep(min(left, POLL_S))
            if left > POLL_S:
                self.look()

    def until_drained(self, cut_seconds: int, seconds_max: float) -> dict[str, Recovery]:
        """From the end of a cut until nothing that was missing comes any more, for every gateway."""
        ended, sent, before = self.look()
        missing = {name: sent - count for name, count in before.items()}
        first: dict[str, float] = {}
        drained: dict[str, float] = {}
        history: dict[str, deque[tuple[float, int, int]]] = {name: deque() for name in before}
        while len(drained) < len(before) and time.monotonic() - ended < seconds_max:
            time.sleep(POLL_S)
            now, sent, arrived = self.look()
            for name, count in arrived.items():
                if count > before[name]:
                    first.setdefault(name, now - ended)
                line = history[name]
                line.append((now, sent - count, count))
                while line and now - line[0][0] > FLAT_S + POLL_S / 2:
                    line.popleft()
                if name in drained or name not in first or now - line[0][0] < FLAT_S - POLL_S / 2:
                    continue
                levels = [level for _, level, _ in line]
                if max(levels) - min(levels) <= FLAT_READINGS and count > line[0][2]:
                    drained[name] = line[0][0] - ended
        return {name: Recovery(cut_seconds, first.get(name), drained.get(name), missing[name]) for name in before}

    def until_quiet(self, sent: int) -> None:
        """After the last reading: until all have all, or nothing has come for a while."""
        until, quiet_since, last = time.monotonic() + END_S_MAX, time.monotonic(), {}
        while time.monotonic() < until and time.monotonic() - quiet_since < FLAT_S:
            time.sleep(POLL_S)
            _, _, arrived = self.look()
            if all(count >= sent for count in arrived.values()):
                return
            if arrived != last:
                quiet_since, last = time.monotonic(), arrived
