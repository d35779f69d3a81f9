"""Channels of metrics: names that any name becomes, and that two metrics never share one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.gateway.translate.sparkplug_channels import Channels, channel_of
from ringmain.model.ids import is_channel
from ringmain.protocols.sparkplug.births import Declared


@pytest.mark.parametrize(
    ("name", "channel"),
    [
        ("energy_wh", "energy_wh"),
        ("Folder 1/Pump:2/Speed.max-1", "Folder_1_Pump:2_Speed.max-1"),
        ("3rd phase", "_3rd_phase"),
        ("größe", "gr__e"),
        ("€", "_"),
        (".x", "_.x"),
        ("_x", "_x"),
        ("x" * 64, "x" * 64),
        ("a" * 10 + "/" + "x" * 60 + "/energy_wh", "_de6f7548_" + "x" * 44 + "_energy_wh"),
    ],
)
def test_channel_of(name, channel):
    assert channel_of(name) == channel


@given(st.text(min_size=1, max_size=200))
def test_every_name_becomes_one_that_a_channel_may_have(name):
    assert is_channel(channel_of(name))


def test_long_names_that_end_alike_are_told_apart():
    assert channel_of("a" + "x" * 80) != channel_of("b" + "x" * 80)


def declared(name, device=""):
    return Declared(device, name, 3)


def claimed(channels, *all_declared, own=False):
    for each in all_declared:
        channels.claim(each, own=own)
    return [channels.of(each, own=own) for each in all_declared]


def test_of_two_that_would_share_neither_has_a_channel():
    channels = Channels()
    first, second, third = declared("a/b"), declared("a_b"), declared("c")
    assert claimed(channels, first, second, third) == ["", "", "c"]
    assert channels.sharing(second, own=False) == ("a_b", ["a/b", "a_b"])
    assert channels.sharing(third, own=False) == ("c", ["c"])
    assert channels.sharing(declared("never claimed"), own=False) == ("", [])


def test_a_device_stands_before_the_metric_where_it_has_no_channels_of_its_own():
    channels = Channels()
    metric = declared("b", "a")
    assert claimed(channels, metric, declared("x/y", "a")) == ["a_b", "a_x_y"]
    assert claimed(channels, metric, own=True) == ["b"]
    assert claimed(channels, declared("b")) == ["b"], "the node's own b is another channel"
    assert claimed(channels, declared("a_b")) == [""]
    assert channels.sharing(metric, own=False) == ("a_b", ["a/b", "a_b"])
    assert channels.of(metric, own=True) == "b"


def test_what_was_claimed_again_is_not_shared():
    channels = Channels()
    assert claimed(channels, declared("a"), declared("a")) == ["a", "a"]


def test_who_goes_shares_no_longer():
    channels = Channels()
    claimed(channels, declared("a_b"), declared("b", "a"))
    channels.forget("a")
    assert channels.of(declared("a_b"), own=False) == "a_b"
    channels.clear()
    assert (channels._channels, channels._owners) == ({}, {})


def test_nothing_is_left_of_who_went():
    channels = Channels()
    claimed(channels, declared("a", "d"), declared("b", "d"))
    claimed(channels, declared("a", "d"), own=True)
    channels.forget("d")
    assert (channels._channels, channels._owners) == ({}, {})
