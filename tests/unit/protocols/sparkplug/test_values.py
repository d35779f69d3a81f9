"""Numbers by their datatype, in every way that encoders are known to write them."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.protocols.sparkplug.metric import Kind, Metric
from ringmain.protocols.sparkplug.values import NUMBERS, DataType, metric_of, number_of
from ringmain.protocols.sparkplug.wire import SparkplugError

INT, LONG = Kind.INT, Kind.LONG
RANGES = {
    **{DataType[f"INT{bits}"]: (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
    **{DataType[f"UINT{bits}"]: (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
    DataType.DATETIME: (0, 2**64 - 1),
}


@pytest.mark.parametrize(
    ("datatype", "kind", "stored", "number"),
    [
        (DataType.INT8, INT, 127, 127), (DataType.INT8, INT, 0xFF, -1), (DataType.INT8, INT, 0x80, -128),
        (DataType.INT8, INT, 0xFFFFFFFF, -1), (DataType.INT8, INT, 0xFFFFFF80, -128),
        (DataType.INT8, LONG, 2**64 - 1, -1),
        (DataType.INT16, INT, 0x8000, -32768), (DataType.INT16, INT, 0xFFFF8000, -32768),
        (DataType.INT32, INT, 0x80000000, -(2**31)), (DataType.INT32, LONG, 2**64 - 2**31, -(2**31)),
        (DataType.INT64, LONG, 2**63, -(2**63)), (DataType.INT64, LONG, 2**63 - 1, 2**63 - 1),
        (DataType.INT64, INT, 5, 5),
        (DataType.UINT32, LONG, 2**32 - 1, 2**32 - 1), (DataType.UINT64, LONG, 2**64 - 1, 2**64 - 1),
        (DataType.DATETIME, LONG, 1_700_000_000_000, 1_700_000_000_000),
        (DataType.BOOLEAN, Kind.BOOLEAN, True, 1), (DataType.BOOLEAN, Kind.BOOLEAN, False, 0),
        (DataType.FLOAT, Kind.FLOAT, 1.5, 1.5), (DataType.DOUBLE, Kind.FLOAT, 1.5, 1.5),
        (DataType.FLOAT, Kind.DOUBLE, 0.1, 0.1),
    ],
)  # fmt: skip
def test_number(datatype, kind, stored, number):
    found = number_of(datatype, Metric(kind=kind, value=stored))
    assert (found, type(found)) == (number, type(number))


@pytest.mark.parametrize(
    ("datatype", "kind", "stored"),
    [
        (DataType.INT8, INT, 0x100), (DataType.INT8, INT, 0xFFFFFF7F), (DataType.INT8, LONG, 2**63),
        (DataType.INT16, INT, 0x10000), (DataType.INT32, LONG, 2**32), (DataType.UINT8, INT, 256),
        (DataType.UINT32, LONG, 2**32), (DataType.INT32, Kind.DOUBLE, 1.0), (DataType.DOUBLE, INT, 1),
        (DataType.BOOLEAN, INT, 1), (DataType.INT32, Kind.STRING, "1"), (DataType.INT32, Kind.NONE, None),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_and_not_cut(datatype, kind, stored):
    with pytest.raises(SparkplugError):
        number_of(datatype, Metric(kind=kind, value=stored))


@given(st.sampled_from(sorted(RANGES)), st.data())
def test_whole_numbers_there_and_back(datatype, data):
    value = data.draw(st.integers(*RANGES[datatype]))
    assert number_of(datatype, metric_of("n", datatype, value)) == value


@given(st.floats(allow_nan=False))
def test_doubles_there_and_back(value):
    assert number_of(DataType.DOUBLE, metric_of("n", DataType.DOUBLE, value)) == value


@pytest.mark.parametrize("datatype", sorted(RANGES))
def test_the_first_number_beyond_is_refused(datatype):
    first, last = RANGES[datatype]
    for value in (first - 1, last + 1, math.inf, math.nan, 0.5):
        with pytest.raises(SparkplugError):
            metric_of("n", datatype, value)


def test_the_metric_carries_what_it_was_given():
    assert metric_of("n", DataType.INT8, -1, alias=3, timestamp=9) == Metric("n", 3, 9, 1, kind=Kind.INT, value=0xFF)
    assert metric_of(None, DataType.BOOLEAN, True) == Metric(datatype=11, kind=Kind.BOOLEAN, value=True)


def test_what_is_no_number():
    assert sorted(NUMBERS) == [*range(1, 12), 13]
    with pytest.raises(SparkplugError, match="STRING"):
        metric_of("n", DataType.STRING, 1)
