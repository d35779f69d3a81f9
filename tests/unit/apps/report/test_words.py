"""Figures in words."""

from datetime import date

import pytest
from tests.unit.apps.report.curves import curve

from ringmain.apps.report.words import clock, day, energy, interval, power, scale_of, span


@pytest.mark.parametrize(
    ("value_w", "text"),
    [
        (0, "0 W"),
        (158.4, "158 W"),
        (999.4, "999 W"),
        (999.6, "1.00 kW"),
        (1000, "1.00 kW"),
        (5988, "5.99 kW"),
        (9996, "10.0 kW"),
        (21_700, "21.7 kW"),
        (180_242, "180 kW"),
        (999_600, "1.00 MW"),
        (2.5e9, "2.50 GW"),
        (0.25, "0 W"),
    ],
)
def test_power(value_w, text):
    assert power(value_w) == text


def test_energy_keeps_every_wh():
    assert energy(4_214_648) == "4,214.648 kWh"
    assert energy(7) == "0.007 kWh"
    assert energy(739_312_158_000) == "739,312,158.000 kWh"


def test_scale():
    assert (scale_of(0), scale_of(999), scale_of(1000)) == ((1.0, "W"), (1.0, "W"), (1e3, "kW"))


@pytest.mark.parametrize(
    ("interval_s", "text"),
    [(1800, "30 min"), (3600, "1 h"), (86_400, "24 h"), (60, "1 min"), (10, "10 s"), (90, "90 s")],
)
def test_interval(interval_s, text):
    assert interval(interval_s) == text


def test_days_and_times_are_the_sites():
    year = curve(date(2013, 1, 1), 365, lambda _: 1, interval_s=3600)
    one = curve(date(2013, 7, 1), 1, lambda slot: slot, interval_s=3600)
    assert span(year) == "1 Jan 2013 to 31 Dec 2013"
    assert span(one) == day(date(2013, 7, 1)) == "1 Jul 2013"
    assert clock(one.load.peak.from_, one.zone) == "1 Jul 2013, 23:00"
