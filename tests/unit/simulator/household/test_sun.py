"""Panels: nothing at night, never more than they are rated for, a year's yield as in the country."""

import numpy as np
import pytest

from ringmain.model.time import parse_rfc3339
from ringmain.simulator.household.days import Place, day_number, model_day
from ringmain.simulator.household.sun import clearness, generated_w
from ringmain.simulator.household.traits import homes_of

LONDON = Place()
NEW_YEAR = day_number(LONDON, parse_rfc3339("2026-01-01T12:00:00Z"))
ALL_PANELS = homes_of(1, 0, 1.0)


def test_without_panels_there_is_nothing_to_work_out():
    assert generated_w(1, homes_of(1, 0, 0.0), model_day(LONDON, NEW_YEAR)) is None


def test_homes_without_panels_make_nothing():
    homes = homes_of(1, 0, 0.5)
    made = generated_w(1, homes, model_day(LONDON, NEW_YEAR + 180))
    assert made[homes.pv_w == 0].max() == 0
    assert made[homes.pv_w > 0].max() > 0


@pytest.mark.parametrize("number", [NEW_YEAR, NEW_YEAR + 172])
def test_power_is_between_nought_and_what_they_are_rated_for(number):
    made = generated_w(1, ALL_PANELS, model_day(LONDON, number))
    assert made.min() == 0
    assert (made.max(axis=1) <= ALL_PANELS.pv_w).all()
    assert made[:, -120:].max() == 0  # one to three at night


@pytest.mark.slow
def test_a_years_yield_is_that_of_the_place_and_most_of_it_in_summer():
    months = np.zeros(12)
    for month in range(12):
        sample = [NEW_YEAR + month * 30 + day for day in range(0, 30, 6)]
        made = [generated_w(1, ALL_PANELS, model_day(LONDON, number)) for number in sample]
        months[month] = np.mean([(each.sum(axis=1) / 60 / ALL_PANELS.pv_w).mean() for each in made]) * 365 / 12
    assert 750 < months.sum() < 1100  # kWh for each kW of panels, as in the south of England
    assert months[4:8].mean() > 3 * months[[0, 10, 11]].mean()


def test_weather_has_a_memory_of_a_day_and_no_longer():
    clear = np.array([clearness(1, number) for number in range(400)])
    assert ((clear >= 0) & (clear < 1)).all()
    assert np.corrcoef(clear[:-1], clear[1:])[0, 1] > 0.4
    assert abs(np.corrcoef(clear[:-4], clear[4:])[0, 1]) < 0.2
