"""Births: what a metric has to say of itself, and whose an alias is."""

import pytest

from ringmain.protocols.sparkplug.births import Declared, aliases_of, births_of, called, is_control, measuring
from ringmain.protocols.sparkplug.metric import Metric, Payload
from ringmain.protocols.sparkplug.wire import SparkplugError


def births(*metrics, device="d"):
    return births_of(device, Payload(metrics=metrics))


def test_a_metric_is_declared_by_name_and_datatype():
    metric = Metric("a/b", 1, datatype=3)
    assert births(metric) == [(Declared("d", "a/b", 3), metric)]


@pytest.mark.parametrize("metric", [Metric(datatype=3), Metric("", datatype=3), Metric("a"), Metric(alias=1)])
def test_what_says_too_little(metric):
    with pytest.raises(SparkplugError):
        births(metric)


def test_controls_are_declared_and_measure_nothing():
    names = ("bdSeq", "Node Control/Rebirth", "Device Control/Reboot")
    controls = births(*map(Metric, names))
    assert [declared.name for declared, _ in controls] == list(names)
    assert measuring(controls) == ()
    assert not any(map(is_control, ("bdseq", "Node Control", "Controls/Node Control/x")))


def test_an_alias_is_of_one_metric():
    first, second = Metric("a", 1, datatype=3), Metric("b", 2, datatype=3)
    assert aliases_of(births(first, second, Metric("c", datatype=3)), {}) == {
        1: Declared("d", "a", 3),
        2: Declared("d", "b", 3),
    }
    assert aliases_of(births(first, first), {}) == {1: Declared("d", "a", 3)}, "the same metric at two times"
    with pytest.raises(SparkplugError, match="'a' and of 'b'"):
        aliases_of(births(first, Metric("b", 1, datatype=3)), {})
    with pytest.raises(SparkplugError, match="'x' and of 'a'"):
        aliases_of(births(first), {1: Declared("", "x", 3)})


def test_how_a_metric_is_called():
    assert called(Metric("a", 1)) == "metric 'a'"
    assert called(Metric(alias=1)) == "alias 1"
