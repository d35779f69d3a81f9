"""The report of a demo that ran without anybody looking: what came of it, for tests and scripts."""

import msgspec

from ringmain.apps.demo.situation import Situation
from ringmain.apps.demo.watch import Figures


class Report(msgspec.Struct, frozen=True):
    """`first_reading_s` counts from the start of the process. `unaccounted` is what the books do not explain: 0."""

    seconds: float
    homes: int
    first_reading_s: float | None
    virtual: str
    messages_acknowledged: int
    readings_received: int
    readings_stored: int
    duplicates: int
    conflicts: int
    unaccounted: int
    readings_per_s: float
    sessions: dict[str, int]
    backlog_readings: int
    bills: int
    kills_edge: int
    kills_platform: int
    ended_in_s: float
    resumed: bool


def report_of(figures: Figures, now: Situation, *, ended_in_s: float, resumed: bool) -> Report:
    """From the last look."""
    tally, homes = figures.tally, figures.homes
    return Report(
        seconds=round(now.seconds, 1),
        homes=now.homes,
        first_reading_s=None if figures.first_reading_s is None else round(figures.first_reading_s, 2),
        virtual=homes.virtual if homes else "",
        messages_acknowledged=homes.acknowledged if homes else 0,
        readings_received=tally.received,
        readings_stored=figures.stored,
        duplicates=tally.count("duplicate"),
        conflicts=tally.count("conflict"),
        unaccounted=tally.unaccounted,
        readings_per_s=round(figures.stored / now.seconds, 1) if now.seconds else 0.0,
        sessions=figures.sessions,
        backlog_readings=figures.edge.backlog_readings if figures.edge else 0,
        bills=figures.bills_issued,
        kills_edge=now.kills_edge,
        kills_platform=now.kills_platform,
        ended_in_s=round(ended_in_s, 2),
        resumed=resumed,
    )
