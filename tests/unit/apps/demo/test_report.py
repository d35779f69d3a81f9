"""The report: from the last look, and with everything missing."""

import msgspec
from tests.unit.apps.demo.played import full, situation

from ringmain.apps.demo.report import report_of
from ringmain.apps.demo.watch import Figures, Outcome, Tally


def test_everything_is_in_it():
    report = report_of(full(), situation(kills_edge=1), ended_in_s=1.237, resumed=True)
    assert report.readings_stored == 1_239_000
    assert report.duplicates == 1_000
    assert report.unaccounted == 0
    assert report.readings_per_s == round(1_239_000 / 41.2, 1)
    assert (report.kills_edge, report.kills_platform) == (1, 0)
    assert (report.ended_in_s, report.first_reading_s, report.resumed) == (1.24, 3.3, True)
    assert report.backlog_readings == 8_790


def test_what_no_outcome_explains_is_unaccounted():
    figures = full()
    figures.tally = Tally(
        10, (Outcome("stored", "", 6), Outcome("rejected", "late", 1), Outcome("rejected", "unit", 1))
    )
    assert report_of(figures, situation(), ended_in_s=0, resumed=False).unaccounted == 2


def test_nothing_known_is_a_report_too():
    report = report_of(Figures(), situation(seconds=0.0), ended_in_s=0.0, resumed=False)
    assert report.first_reading_s is None
    assert report.readings_stored == report.messages_acknowledged == report.backlog_readings == 0
    assert msgspec.json.decode(msgspec.json.encode(report), type=type(report)) == report
