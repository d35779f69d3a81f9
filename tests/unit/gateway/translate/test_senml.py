"""SenML telemetry: names, units, moments."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.gateway.translate.samples import CHANNELS_PER_MESSAGE_MAX, PayloadRefused, Sample
from ringmain.gateway.translate.senml import as_channel, channel_of, in_unit_of, samples_of_records
from ringmain.model.device import METER_PROFILE, Channel, ChannelKind, Profile
from ringmain.model.ids import is_channel
from ringmain.model.time import INSTANT_MAX
from ringmain.protocols.senml.records import Record

AT = 1_700_000_000
PROFILE = Profile(
    "p",
    channels=(
        Channel("power_w", "W"),
        Channel("load", "W"),
        Channel("count", "W", ChannelKind.EXACT),
        Channel("heat", "Wh", ChannelKind.EXACT),
        Channel("any"),
    ),
)


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("m7:power", "power"), ("m7/power", "power"), ("m7.power", "power"), ("m7_power", "power"),
        ("m7-power", "power"),
        ("urn:dev:ow:m7:power", "power"), ("URN:dev:ow:m7/3/0", "_3/0"), ("urn:dev:mac:m7_power", "power"),
        ("m7", "value"), ("urn:dev:ow:m7", "value"), ("urn:dev:ow:m7:", "value"), ("m7power", "m7power"),
        ("urn:dev:ow:m78:power", "urn:dev:ow:m78:power"), ("x:m7:power", "x:m7:power"), ("power", "power"),
        ("3303/0/5700", "_3303/0/5700"), ("a%b", "a_b"), ("h\u00f6he", "h_he"), ("a b", "a b"), ("%", "_"),
    ],
)  # fmt: skip
def test_names(name, channel):
    assert channel_of(name, "m7") == channel


def test_an_id_that_is_a_urn_itself():
    assert channel_of("urn:dev:mac:0024befffe804ff1/power", "urn:dev:mac:0024befffe804ff1") == "power"


@given(st.text(max_size=60))
def test_every_name_that_is_not_too_long_becomes_a_channel(text):
    channel = as_channel(text)
    assert not channel or is_channel(channel)


@pytest.mark.parametrize(
    ("channel", "unit", "value", "want"),
    [
        ("power_w", "W", 1.5, 1.5), ("power_w", "", 1.5, 1.5), ("power_w", "kW", 2, 2000), ("power_w", "kW", 1.5, 1500),
        ("power_w", "kW", 0.00012, 0.12), ("heat", "kWh", 1.234, 1234), ("count", "kW", 3, 3000),
        ("import_wh", "kWh", 14.687, 14687), ("import_wh", "Wh", 5, 5), ("any", "kWh", 1.5, 1.5), ("new", "Cel", 1, 1),
        ("q_w", "kW", 1, 1000), ("import_wh", "kWh", 4.35, 4350),
    ],
)  # fmt: skip
def test_units(channel, unit, value, want):
    found = in_unit_of(PROFILE, channel, unit, value)
    assert (found, type(found)) == (want, type(want))


@pytest.mark.parametrize(
    ("channel", "unit", "value"),
    [("power_w", "A", 1), ("load", "kW", 1), ("heat", "kWh", 1.0001234), ("import_wh", "J", 1), ("import_wh", "kW", 1),
     ("power_w", "kWh", 1), ("import_wh", "kWh", 0.0001), ("power_w", "w", 1)],
)  # fmt: skip
def test_units_that_are_refused(channel, unit, value):
    with pytest.raises(PayloadRefused, match=channel):
        in_unit_of(PROFILE, channel, unit, value)


def samples(*records):
    return samples_of_records(records, "m7", METER_PROFILE)


def record(name, value, time_s=AT, **more):
    return Record(name, value, time_s=Decimal(str(time_s)), **more)


def test_one_sample_for_each_moment():
    found = samples(record("a", 1), record("a", 2, AT + 1), record("b", 3), record("c", True, 0), record("d", 4, -1.5))
    assert found == [
        Sample(AT * 1000, {"a": 1, "b": 3}),
        Sample((AT + 1) * 1000, {"a": 2}),
        Sample(None, {"c": 1}, 0),
        Sample(None, {"d": 4}, -1500),
    ]


def test_two_values_of_one_channel_and_moment_are_two_samples():
    assert samples(record("a", 1), record("a", 2)) == [Sample(AT * 1000, {"a": 1}), Sample(AT * 1000, {"a": 2})]


def test_a_sum_is_a_channel_of_its_own():
    assert samples(record("a", 1, sum=5, unit="W")) == [Sample(AT * 1000, {"a": 1, "a_sum": 5})]
    assert samples(record("a", None, sum=5)) == [Sample(AT * 1000, {"a_sum": 5})]


def test_no_sample_is_wider_than_a_message_may_be():
    found = samples(*[record(f"c{n}", n) for n in range(CHANNELS_PER_MESSAGE_MAX + 1)])
    assert [len(sample.values) for sample in found] == [CHANNELS_PER_MESSAGE_MAX, 1]


@pytest.mark.parametrize("bad", [record("a", "on"), record("a", b"x"), record("a", 1, INSTANT_MAX)])
def test_refused(bad):
    with pytest.raises(PayloadRefused):
        samples(record("b", 1), bad)
