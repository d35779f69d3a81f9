"""Quantities: halves go away from zero, and no float comes near a bill."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.model.quantities import kilowatt_hours, round_half_up, watt_hours_of_kwh


@pytest.mark.parametrize(
    ("amount", "want"),
    [("0.005", "0.01"), ("0.0049999", "0.00"), ("-0.005", "-0.01"), ("1.005", "1.01"), ("2.675", "2.68"),
     ("599.655", "599.66"), ("10", "10.00")],
)  # fmt: skip
def test_half_up(amount, want):
    assert str(round_half_up(Decimal(amount))) == want


def test_another_step():
    assert round_half_up(Decimal("1.25"), Decimal("0.1")) == Decimal("1.3")


@given(st.integers(-(10**15), 10**15))
def test_kwh_are_exact(energy):
    assert kilowatt_hours(energy) * 1000 == energy
    assert watt_hours_of_kwh(kilowatt_hours(energy)) == energy


@pytest.mark.parametrize(
    ("kwh", "wh"), [("0.1229999959468842", 123), ("0.0005", 1), ("0.00049", 0), ("4214.648", 4_214_648)]
)
def test_the_noise_of_floats_is_rounded_away(kwh, wh):
    assert watt_hours_of_kwh(Decimal(kwh)) == wh
