"""Topics: each type with and without a device, and what none may be."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.protocols.sparkplug.topics import ID_LENGTH_MAX, OF_DEVICES, MessageType, Topic, is_id, parse_topic
from ringmain.protocols.sparkplug.wire import SparkplugError

NODE_TYPES = sorted(set(MessageType) - OF_DEVICES - {MessageType.STATE})


@pytest.mark.parametrize("kind", NODE_TYPES)
def test_a_node_has_four_levels(kind):
    assert parse_topic(f"spBv1.0/g/{kind}/n") == Topic("g", kind, "n")
    for wrong in (f"spBv1.0/g/{kind}", f"spBv1.0/g/{kind}/n/d", f"spBv1.0/g/{kind}/"):
        with pytest.raises(SparkplugError):
            parse_topic(wrong)


@pytest.mark.parametrize("kind", sorted(OF_DEVICES))
def test_a_device_has_five_levels(kind):
    assert parse_topic(f"spBv1.0/g/{kind}/n/d e") == Topic("g", kind, "n", "d e")
    for wrong in (f"spBv1.0/g/{kind}/n", f"spBv1.0/g/{kind}/n/d/e", f"spBv1.0/g/{kind}/n/"):
        with pytest.raises(SparkplugError):
            parse_topic(wrong)


def test_a_host_has_three_levels():
    assert parse_topic("spBv1.0/STATE/host") == Topic("", MessageType.STATE, "host")
    with pytest.raises(SparkplugError):
        parse_topic("spBv1.0/g/STATE/host")


@pytest.mark.parametrize(
    "text",
    ["", "spBv1.0", "spBv1.0/", "spBv1.0/STATE", "spBv1.0/STATE/", "spAv1.0/g/NDATA/n", "spBv1.0/g/NODATA/n",
     "spBv1.0//NDATA/n", "spBv1.0/+/NDATA/n", "spBv1.0/g/NDATA/#", "spBv1.0/g/ndata/n", f"spBv1.0/{'g' * 129}/NDATA/n"],
)  # fmt: skip
def test_what_is_no_topic(text):
    with pytest.raises(SparkplugError):
        parse_topic(text)


def test_ids():
    assert is_id("a")
    assert is_id("€" * ID_LENGTH_MAX)
    assert not any(map(is_id, ("", "a/b", "+", "a#", "\0", "a" * (ID_LENGTH_MAX + 1))))


IDS = st.text(min_size=1, max_size=ID_LENGTH_MAX).filter(is_id)


@given(IDS, st.sampled_from(sorted(set(MessageType) - {MessageType.STATE})), IDS, IDS)
def test_round_trip(group, kind, node, device):
    topic = Topic(group, kind, node, device if kind in OF_DEVICES else "")
    assert parse_topic(str(topic)) == topic
    state = Topic("", MessageType.STATE, node)
    assert parse_topic(str(state)) == state


@given(st.text(max_size=60))
def test_noise(text):
    for name in (text, f"spBv1.0/{text}"):
        with contextlib.suppress(SparkplugError):
            assert str(parse_topic(name)) == name
