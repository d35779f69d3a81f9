"""The report, for programs and for people."""

import json

import msgspec
import pytest

from ringmain.apps.lab.report import Report, report_json, summary


@pytest.fixture
def report():
    return Report(
        year=2013,
        faults="none",
        seed=7,
        intervals=17_520,
        missing=0,
        energy_kwh=4214.648,
        energy_kwh_exact="4214.648",
        amount=599.66,
        amount_exact="599.66",
        amount_tou=672.3,
        amount_tou_exact="672.30",
        currency="GBP",
        duplicates_dropped=12,
        conflicts=0,
        lost=0,
        bill_sha256="ab" * 32,
        messages=900,
        resent=0,
        seconds=4.25,
        replay_seconds=1.5,
        tenant="lab",
        storage_dir="",
        ringmain="0.1.0",
        python="3.11",
        complaints=(),
    )


def test_figures_are_numbers_and_exact_ones_are_texts(report):
    body = report_json(report)
    assert b'"energy_kwh": 4214.648' in body
    assert b'"amount": 599.66' in body
    document = json.loads(body)
    assert document["amount_tou_exact"] == "672.30"
    assert (document["intervals"], document["duplicates_dropped"], document["lost"]) == (17520, 12, 0)


def test_the_summary_has_the_figures_and_where_the_data_is(report):
    text = summary(report)
    for part in ("17,520 of 2013 (complete)", "4214.648 kWh", "GBP 599.66", "GBP 672.30", "12 dropped", "ab" * 32):
        assert part in text
    assert "not kept (see --keep)" in text
    assert "agree on every stamp and value" in text
    kept = summary(msgspec.structs.replace(report, storage_dir="/srv/data", tenant="lab-2"))
    assert "/srv/data, tenant lab-2" in kept


def test_an_incomplete_year_says_so(report):
    text = summary(msgspec.structs.replace(report, missing=13_732))
    assert "13,732 half hours are not in the data file" in text


def test_complaints_are_listed_and_nothing_is_called_sound(report):
    bad = msgspec.structs.replace(report, complaints=("3 readings missing",), lost=3)
    assert not bad.passed
    assert "  - 3 readings missing" in summary(bad)
    assert "agree" not in summary(bad)
    assert not msgspec.structs.replace(report, lost=1).passed
