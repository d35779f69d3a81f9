"""Samples: the two shapes of plain objects, and what is neither."""

import pytest

from ringmain.gateway.translate.samples import PayloadRefused, Sample, samples_of, stamp_of
from ringmain.model.time import INSTANT_MAX


@pytest.mark.parametrize(
    ("found", "want"),
    [
        ({"a": 1}, [Sample(None, {"a": 1})]),
        ({"ts": 5, "a": 1}, [Sample(5, {"a": 1})]),
        ({"ts": 5, "values": {"a": 1}}, [Sample(5, {"a": 1})]),
        ({"ts": 5, "values": 7}, [Sample(5, {"values": 7})]),
        ([{"a": 1}, {"values": {"a": True}}], [Sample(None, {"a": 1}), Sample(None, {"a": True})]),
        (({"a": 1},), [Sample(None, {"a": 1})]),
    ],
)
def test_shapes(found, want):
    assert samples_of(found) == want


@pytest.mark.parametrize(
    "found",
    [None, 1, "a", b"a", [], {}, [1], [[]], {"ts": 1}, {"ts": 1, "values": {}}, {"ts": 1, "values": {"a": 1}, "b": 1},
     {1: 1}, {"ts": 1.0, "a": 1}, {"ts": True, "a": 1}, {"ts": -1, "a": 1}, {"ts": INSTANT_MAX + 1, "a": 1}],
)  # fmt: skip
def test_refused(found):
    with pytest.raises(PayloadRefused) as refused:
        samples_of(found)
    assert refused.value.reason == "undecodable_payload"
    assert len(str(refused.value)) > 3


def test_stamps():
    assert (stamp_of(0), stamp_of(INSTANT_MAX)) == (0, INSTANT_MAX)
