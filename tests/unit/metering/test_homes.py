"""Homes: what measures energy, and in which unit."""

import pytest

from ringmain.metering.homes import unit_of
from ringmain.model.device import METER_PROFILE, Channel, ChannelKind, Profile

ODD = Profile(
    "odd",
    60,
    (Channel("heat", "kWh", ChannelKind.MEASURED, ""), Channel("fake_wh", "degC", ChannelKind.MEASURED, "")),
)


@pytest.mark.parametrize(
    ("profile", "channel", "unit"),
    [
        (METER_PROFILE, "energy_wh", "Wh"),
        (METER_PROFILE, "power_w", None),
        (METER_PROFILE, "other_kWh", "kWh"),
        (METER_PROFILE, "humidity", None),
        (ODD, "heat", "kWh"),
        (ODD, "fake_wh", None),
        (None, "energy_wh", "Wh"),
        (None, "kwh", "kWh"),
    ],
)
def test_the_unit_of_a_channel(profile, channel, unit):
    assert unit_of(profile, channel) == unit
