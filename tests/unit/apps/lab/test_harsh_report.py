"""The report of a harsh run."""

import json

import msgspec
import pytest

from ringmain.apps.lab.edge import EdgeStatus
from ringmain.apps.lab.harsh_report import harsh_report
from ringmain.apps.lab.relay import Stats
from ringmain.apps.lab.report import Report, report_json, summary
from ringmain.apps.lab.storm import Damage

EMPTY = EdgeStatus(True, 1, 0, 1, 1, forwarded=17_532, buffered=0, given_up=0)


@pytest.fixture
def calm():
    figures = dict.fromkeys(Report.__struct_fields__, 0)
    texts = dict.fromkeys(name for name, type_ in Report.__annotations__.items() if type_ is str)
    return Report(**{**figures, **dict.fromkeys(texts, "x"), "resent": 31, "complaints": ()})


@pytest.fixture
def damage():
    faults = {"cut": 5, "black-hole": 3, "half-open": 2, "delay": 2, "refuse": 1}
    kills = {"edge": [3, 1, 4, 1, 5], "platform": [9, 2, 6, 5, 3]}
    return Damage(faults, kills, kills_idle=1, edge_backlog_max=4_000, seconds=50.12345)


def made(calm, damage, edge=EMPTY):
    stats = Stats("pass", 1, 0, 0, 40, 2, 3, 6, 1, 1, 500, 70)
    return harsh_report(calm, damage, stats, edge, 812, 3.21987)


def test_it_is_the_calm_report_and_what_was_done(calm, damage):
    document = json.loads(report_json(made(calm, damage)))
    more = {
        "kills_edge": 5,
        "kills_platform": 5,
        "kills_idle": 1,
        "unacknowledged_at_kill": {"edge": [3, 1, 4, 1, 5], "platform": [9, 2, 6, 5, 3]},
        "cuts": 5,
        "black_holes": 3,
        "half_opens": 2,
        "delays": 2,
        "refusals": 1,
        "uplink_connections": 40,
        "uplink_bytes_lost": 570,
        "edge_backlog_max": 4_000,
        "duplicates_resent": 812,
        "storm_seconds": 50.123,
        "liveness_seconds": 3.22,
    }
    assert document == {**json.loads(report_json(calm)), **more}


def test_an_edge_that_gave_readings_up_fails_the_run_whatever_the_judge_says(calm, damage):
    assert made(calm, damage).passed
    report = made(calm, damage, msgspec.structs.replace(EMPTY, given_up=3))
    assert not report.passed
    assert report.complaints == ("the edge gave up 3 readings",)


def test_the_summary_tells_of_it(calm, damage):
    text = summary(made(calm, damage))
    assert "5 of the edge, 5 of the platform" in text
    assert "5 cuts, 3 black holes, 2 half-open, 2 delayed, 1 refused; 40 connections" in text
    assert "4,000 readings waited at most, none 3.2 s after the storm" in text
    assert "812 readings, recognised" in text
    assert "kills" not in summary(calm)
