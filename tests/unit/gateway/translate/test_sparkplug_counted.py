"""Why a metric is no reading: one reason for every datatype."""

import pytest

from ringmain.gateway.translate.sparkplug_counted import MEANINGS, Counted, no_reading
from ringmain.protocols.sparkplug.metric import Kind, Metric
from ringmain.protocols.sparkplug.values import NUMBERS, DataType

VALUE = Metric(kind=Kind.LONG, value=1)


@pytest.mark.parametrize("datatype", sorted(NUMBERS))
def test_numbers_are_readings_unless_they_say_otherwise(datatype):
    assert no_reading(datatype, VALUE) is None
    assert no_reading(datatype, Metric(is_null=True, kind=Kind.LONG, value=1)) is Counted.NULL
    assert no_reading(datatype, Metric()) is Counted.NULL
    assert no_reading(datatype, Metric(is_transient=True, kind=Kind.LONG, value=1)) is Counted.TRANSIENT
    assert no_reading(datatype, Metric(is_historical=True, kind=Kind.LONG, value=1)) is None


@pytest.mark.parametrize(
    ("datatypes", "why"),
    [
        ([DataType.STRING, DataType.TEXT, DataType.UUID], Counted.TEXT),
        ([DataType.BYTES, DataType.FILE], Counted.BYTES),
        (range(DataType.INT8_ARRAY, DataType.DATETIME_ARRAY + 1), Counted.ARRAY),
        ([DataType.DATASET], Counted.DATASET),
        ([DataType.TEMPLATE], Counted.TEMPLATE),
        ([DataType.UNKNOWN, DataType.PROPERTY_SET, DataType.PROPERTY_SET_LIST, 35, 2**32 - 1], Counted.UNKNOWN_TYPE),
    ],
)
def test_what_is_no_number(datatypes, why):
    assert {no_reading(datatype, VALUE) for datatype in datatypes} == {why}


def test_every_reason_has_a_meaning():
    assert set(MEANINGS) == set(Counted)
