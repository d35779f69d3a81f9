"""Placing: each value as its channel keeps it, all of a payload or nothing, and stamps of arrival."""

import pytest

from ringmain.gateway.columns import ChannelRefused, Lane, OpenBatch
from ringmain.gateway.translate import placing
from ringmain.gateway.translate.placing import Arrivals, number, place, rows_of
from ringmain.gateway.translate.samples import PayloadRefused, Sample
from ringmain.model.batch import Stamped
from ringmain.model.device import METER_PROFILE

NOW = 1_700_000_000_000


@pytest.fixture
def lane():
    return Lane(METER_PROFILE, quarantined=False)


def rows(lane, *samples):
    return rows_of(lane, 7, samples, Arrivals(), NOW)


def test_each_kind_of_channel_has_a_row_of_its_own(lane):
    assert rows(lane, Sample(5, {"a": 1, "energy_wh": 2.0, "b": True})) == [
        (Stamped.DEVICE, 5, ("a", "b"), False, [1.0, 1.0]),
        (Stamped.DEVICE, 5, ("energy_wh",), True, [2]),
    ]


def test_arrivals_are_never_the_same_and_may_be_offset(lane):
    found = rows(lane, Sample(None, {"a": 1}), Sample(None, {"a": 2}), Sample(None, {"a": 3}, -10))
    assert [row[:2] for row in found] == [(Stamped.ARRIVAL, NOW + offset) for offset in (0, 1, -8)]
    arrivals = Arrivals()
    assert arrivals.of(1, NOW, 2) + arrivals.of(1, NOW, 1) + arrivals.of(2, NOW, 1) == [NOW, NOW + 1, NOW + 2, NOW]


@pytest.mark.parametrize("offset_ms", [-NOW - 1, 1 << 60])
def test_an_offset_out_of_all_time(lane, offset_ms):
    with pytest.raises(PayloadRefused, match="relative"):
        rows(lane, Sample(None, {"a": 1}, offset_ms))


@pytest.mark.parametrize(
    ("value", "exact", "want"),
    [(1, False, 1.0), (2**70, False, float(2**70)), (-0.5, False, -0.5), (1, True, 1), (1e3, True, 1000),
     (-(2**63), True, -(2**63))],
)  # fmt: skip
def test_numbers(value, exact, want):
    found = number("a", value, exact=exact)
    assert (found, type(found)) == (want, type(want))


@pytest.mark.parametrize(
    ("value", "exact"),
    [(10**400, False), (float("nan"), False), (float("inf"), True), (0.5, True), (2**63, True), (1e300, True)],
)
def test_numbers_that_do_not_fit(value, exact):
    with pytest.raises(PayloadRefused, match="a"):
        number("a", value, exact=exact)


@pytest.mark.parametrize("value", [None, "1", b"1", [1], {}])
def test_what_is_no_number(lane, value):
    with pytest.raises(PayloadRefused, match="expected a number"):
        rows(lane, Sample(1, {"b": 1}), Sample(1, {"a": value}))
    assert "a" not in lane.names


def test_a_name_that_is_none(lane):
    with pytest.raises(ChannelRefused):
        rows(lane, Sample(1, {"1": 1}))


def test_readings_of_a_payload_have_a_limit(lane, monkeypatch):
    monkeypatch.setattr(placing, "READINGS_PER_PAYLOAD_MAX", 3)
    assert rows(lane, Sample(1, {"a": 1, "b": 1, "c": 1}))
    with pytest.raises(PayloadRefused) as refused:
        rows(lane, Sample(1, {"a": 1, "b": 1}), Sample(2, {"a": 1, "b": 1}))
    assert refused.value.reason == "too_large"


def test_rows_go_into_their_blocks(lane):
    batch = OpenBatch(NOW)
    for at_ms in (5, 6):
        place(batch, lane, 7, rows(lane, Sample(at_ms, {"a": 1, "energy_wh": 2})))
    assert [(block.channels, block.exact, block.messages) for block in batch.seal().blocks] == [
        (("a",), False, 2),
        (("energy_wh",), True, 2),
    ]
