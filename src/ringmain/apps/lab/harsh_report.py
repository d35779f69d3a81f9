"""The report of a run with faults: that of a run without, and what it went through."""

import msgspec

from ringmain.apps.lab.edge import EdgeStatus
from ringmain.apps.lab.relay import Stats
from ringmain.apps.lab.report import Report
from ringmain.apps.lab.storm import Damage


class HarshReport(Report, frozen=True, kw_only=True):
    """In addition, what a run with faults went through. Each kill counted hit unacknowledged records, and
    `unacknowledged_at_kill` says how many: messages of the meter for the edge, readings in the edge's buffer for the
    platform. `duplicates_resent` are readings that the platform received again and recognised.
    """

    kills_edge: int
    kills_platform: int
    kills_idle: int
    unacknowledged_at_kill: dict[str, list[int]]
    cuts: int
    black_holes: int
    half_opens: int
    delays: int
    refusals: int
    uplink_connections: int
    uplink_bytes_lost: int
    edge_backlog_max: int
    duplicates_resent: int
    storm_seconds: float
    liveness_seconds: float

    def more_rows(self) -> list[tuple[str, str]]:
        """What the run went through."""
        kills = f"{self.kills_edge} of the edge, {self.kills_platform} of the platform, each amid unanswered records"
        uplink = (
            f"{self.cuts} cuts, {self.black_holes} black holes, {self.half_opens} half-open, {self.delays} delayed,"
            f" {self.refusals} refused; {self.uplink_connections} connections"
        )
        edge = f"{self.edge_backlog_max:,} readings waited at most, none {self.liveness_seconds:.1f} s after the storm"
        again = f"{self.duplicates_resent:,} readings, recognised"
        return [("kills", kills), ("uplink", uplink), ("edge", edge), ("came again", again)]


def harsh_report(
    calm: Report, damage: Damage, relay: Stats, edge: EdgeStatus, duplicates_resent: int, liveness_s: float
) -> HarshReport:
    """`calm` with what was done to the run. Readings that the edge gave up are complaints, whatever the judge says."""
    given_up = (f"the edge gave up {edge.given_up} readings",) if edge.given_up else ()
    fields = {**msgspec.structs.asdict(calm), "complaints": (*calm.complaints, *given_up)}
    kills = damage.unacknowledged_at_kill
    return HarshReport(
        **fields,
        kills_edge=len(kills["edge"]),
        kills_platform=len(kills["platform"]),
        kills_idle=damage.kills_idle,
        unacknowledged_at_kill=kills,
        cuts=damage.faults.get("cut", 0),
        black_holes=damage.faults.get("black-hole", 0),
        half_opens=damage.faults.get("half-open", 0),
        delays=damage.faults.get("delay", 0),
        refusals=damage.faults.get("refuse", 0),
        uplink_connections=relay.accepted,
        uplink_bytes_lost=relay.lost_bytes_up + relay.lost_bytes_down,
        edge_backlog_max=damage.edge_backlog_max,
        duplicates_resent=duplicates_resent,
        storm_seconds=round(damage.seconds, 3),
        liveness_seconds=round(liveness_s, 3),
    )
