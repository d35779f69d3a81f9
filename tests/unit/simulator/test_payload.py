"""Payloads: JSON that others read, exactly the channels asked for."""

import json

import pytest

from ringmain.simulator.meters import Reading
from ringmain.simulator.payload import CHANNELS, DEFAULT_CHANNELS, Form, encoder

READING = Reading(1_767_225_600_000, 250, 12_345_678, 99, 500, 231.4)
LATER = Reading(1_767_227_400_000, 0, 12_345_928, 99, 0, 230.0)


def test_an_object_is_what_the_platform_takes():
    assert json.loads(encoder(Form.OBJECT, DEFAULT_CHANNELS, exporting=True)([READING])) == {
        "ts": 1_767_225_600_000,
        "values": {"energy_wh": 250, "import_wh": 12_345_678, "export_wh": 99, "power_w": 500},
    }


def test_a_flat_object_has_no_values():
    assert json.loads(encoder(Form.FLAT, ("power_w", "voltage_v"), exporting=False)([READING])) == {
        "ts": 1_767_225_600_000,
        "power_w": 500,
        "voltage_v": 231.4,
    }


def test_a_list_holds_all_readings_in_order():
    found = json.loads(encoder(Form.LIST, ("energy_wh",), exporting=False)([READING, LATER]))
    assert found == [
        {"ts": READING.start_ms, "values": {"energy_wh": 250}},
        {"ts": LATER.start_ms, "values": {"energy_wh": 0}},
    ]


def test_a_meter_that_does_not_export_says_nothing_of_it():
    assert b"export_wh" not in encoder(Form.OBJECT, CHANNELS, exporting=False)([READING])
    assert b"export_wh" in encoder(Form.OBJECT, CHANNELS, exporting=True)([READING])


@pytest.mark.parametrize("channels", [(), ("frequency_hz",), ("energy_wh", "")])
def test_channels_that_no_meter_has_are_refused(channels):
    with pytest.raises(ValueError, match="channels are energy_wh"):
        encoder(Form.OBJECT, channels, exporting=True)
