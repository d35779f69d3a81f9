"""One harsh run: the meter speaks to an edge, the edge through a relay to the platform, and a storm goes over them.

meter --MQTT--> edge --TLS--> relay --> platform. It must never end the storm's damage for anybody: after it, the relay
passes everything again, and nothing else is repaired; what was lost is found by the checking process.
"""

import signal
import time
from collections.abc import Sequence
from pathlib import Path
from random import Random

import msgspec

from ringmain.apps.lab import provision
from ringmain.apps.lab.edge import SETTINGS, EdgePorts, EdgeStatus, ask, edge_box, edge_options, join
from ringmain.apps.lab.faults import DRIFT_MAX, LATE_PLACES_MAX, harsh
from ringmain.apps.lab.harsh_report import harsh_report
from ringmain.apps.lab.platform import Platform, Ports, platform_blamed, start_platform
from ringmain.apps.lab.ports import free_ports
from ringmain.apps.lab.processes import POLL_S, Family, StepFailed
from ringmain.apps.lab.relay_child import RelayChild
from ringmain.apps.lab.report import Report
from ringmain.apps.lab.steps import (
    ZONE,
    Options,
    Step,
    bill_twice,
    delivered,
    judged,
    provisioned_for,
    report_of,
    start_meter,
    until_stored,
    write_series,
)
from ringmain.apps.lab.storm import Town, storm
from ringmain.metering.interval_file import FileRow

IN_FLIGHT_READINGS_MAX = 40_000
"""What one connection of the uplink can leave unacknowledged, and so come again with the next: two rows of the backlog
and the live ones. A bound for the books, generous on purpose; the figure itself is in the report."""

PACE_S = 150.0
"""The meter spreads its year over so long; a storm takes about half of it, and then the meter is told to hurry."""

SECONDS_MAX = 175.0
"""For the whole run, from which the meter's own deadline follows."""

LIVENESS_S_MAX = 60.0
"""After the last fault: until the meter, the edge and the store are done. Longest is what the edge's backoff, a dead
connection it has not noticed yet, and its capped backlog rate add up to."""

EDGE_S_MAX = 20.0
"""Until a fresh edge knows its meter and its settings; it takes one connection."""


class Scene(msgspec.Struct, frozen=True):
    """Everything that runs, and what the steps need to know of it."""

    family: Family
    platform: Platform
    edge_dir: Path
    provisioned: provision.Provisioned
    relay: RelayChild
    town: Town


def run_harsh(family: Family, options: Options, rows: Sequence[FileRow], step: Step) -> Report:
    """The whole run. StepFailed, or ApiError, where it does not come to its end."""
    started = time.monotonic()
    scene = _set_up(family, options, rows, step)
    platform, town, token = scene.platform, scene.town, scene.provisioned.tenant.token
    damage = storm(harsh(options.seed), town, step)
    step(f"the storm is over after {damage.seconds:.1f} s")
    calm_at = time.monotonic()
    town.meter.signal(signal.SIGUSR1)
    meter = delivered(town.meter, LIVENESS_S_MAX, while_alive=[platform.child, town.edge.child, scene.relay.child])
    edge = _until_empty(scene, calm_at + LIVENESS_S_MAX)
    stamps = len({row.start_ms for row in rows})
    until_stored(platform, token, lambda tally: tally.count("stored") >= stamps)
    liveness_s = time.monotonic() - calm_at
    step(f"meter: {meter.messages:,} messages acknowledged, {meter.resent:,} sent again; edge: nothing waits")

    with platform_blamed(platform):
        bills = bill_twice(platform, token, options.year)
        step("both bills are issued, twice each with the same bytes")
        stats = scene.relay.tell("stats")
        resent_max = meter.resent * meter.rows_per_message_max + stats.accepted * IN_FLIGHT_READINGS_MAX
        verdict = judged(family, platform, token, options, bills, resent_max)
        step(f"checking process: {len(verdict.complaints)} complaints")
    town.edge.stop()
    platform.box.stop()
    step("edge and platform have ended in order")
    calm = report_of(options, scene.provisioned.tenant.tenant, meter, verdict, time.monotonic() - started)
    return harsh_report(calm, damage, stats, edge, verdict.duplicates_resent, liveness_s)


def _set_up(family: Family, options: Options, rows: Sequence[FileRow], step: Step) -> Scene:
    rng = Random(f"ports {options.seed}")  # noqa: S311 - where to look first; a port in use is passed over
    mqtt, mqtts, http, edge_mqtt, edge_mqtts = free_ports(5, rng)
    platform = start_platform(family, options.storage_dir, ZONE, options.config, Ports(mqtt, mqtts, http))
    step(f"platform is up: process {platform.child.pid}, MQTT over TLS on port {mqtts}")
    relay = RelayChild(family, mqtts, options.seed)
    with platform_blamed(platform):
        provisioned = provisioned_for(platform, options.year)
        claim = provision.gateway(http, provisioned.tenant.token, SETTINGS)
        step(
            f"tenant {provisioned.tenant.tenant} has a meter, a home, two accounts and a gateway that may speak for it"
        )
        edge_dir = options.work_dir / "edge"
        arguments = edge_options(edge_dir, options.config, EdgePorts(edge_mqtt, edge_mqtts))
        join(family, arguments, relay.port, platform.ca, claim)
        edge = edge_box(family, edge_dir, arguments)
        edge.start()
        edge.wait()
        _until_known(edge_dir)
    step(f"edge has joined through the relay and is up: process {edge.child.pid}, MQTT on port {edge_mqtt}")
    diary = options.work_dir / "meter.progress"
    link: dict[str, object] = {
        "--port": edge_mqtt,
        "--pace-s": PACE_S,
        "--drift-max": DRIFT_MAX,
        "--late-places-max": LATE_PLACES_MAX,
        "--progress": diary,
        "--seconds-max": SECONDS_MAX,
    }
    meter = start_meter(family, provisioned, write_series(options.work_dir / "series.csv", rows), options.seed, link)
    town = Town(platform.box, edge, relay, relay.child, meter, diary, lambda: ask(edge_dir))
    return Scene(family, platform, edge_dir, provisioned, relay, town)


def _until_known(edge_dir: Path) -> None:
    """Wait until the edge knows its meter and its settings: a meter that comes before is a stranger."""
    until = time.monotonic() + EDGE_S_MAX
    while time.monotonic() < until:
        status = ask(edge_dir)
        if status and status.roster_version and status.settings_version:
            return
        time.sleep(POLL_S)
    raise StepFailed(f"the edge did not learn of its meter and its settings within {EDGE_S_MAX:g} s", "see edge.log")


def _until_empty(scene: Scene, until: float) -> EdgeStatus:
    """Wait until all that the edge holds is acknowledged. StepFailed at `until`: that is the liveness it owes."""
    while True:
        scene.town.edge.child.check_alive()
        status = ask(scene.edge_dir)
        if status and not status.buffered:
            return status
        if time.monotonic() >= until:
            left = f"{status.buffered:,} readings" if status else "nobody knows how much"
            raise StepFailed(
                f"{left} still wait in the edge {LIVENESS_S_MAX:g} s after the last fault",
                "see edge.log and platform.log",
            )
        time.sleep(POLL_S)
