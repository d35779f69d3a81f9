"""Values of metrics by their datatype (Sparkplug 3.0.0 §6.4.16): numbers with their sign, and back into fields.

Signed integers stand in unsigned fields as two's complement. Of how many bits, the specification does not say: some
encoders write an Int8 in 8, others in 32 or 64. All of them are read, and what is none is refused instead of cut; it is
written in 8, which is what every reader takes. An integer is taken from either of the two integer fields, because
UInt32 stands in `long_value` where the encoder's language lacks it.
"""

from enum import IntEnum

from ringmain.protocols.sparkplug.metric import Kind, Metric
from ringmain.protocols.sparkplug.wire import SparkplugError


class DataType(IntEnum):
    """The datatypes, with the numbers of the specification."""

    UNKNOWN = 0
    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14
    UUID = 15
    DATASET = 16
    BYTES = 17
    FILE = 18
    TEMPLATE = 19
    PROPERTY_SET = 20
    PROPERTY_SET_LIST = 21
    INT8_ARRAY = 22
    INT16_ARRAY = 23
    INT32_ARRAY = 24
    INT64_ARRAY = 25
    UINT8_ARRAY = 26
    UINT16_ARRAY = 27
    UINT32_ARRAY = 28
    UINT64_ARRAY = 29
    FLOAT_ARRAY = 30
    DOUBLE_ARRAY = 31
    BOOLEAN_ARRAY = 32
    STRING_ARRAY = 33
    DATETIME_ARRAY = 34


_SIGNED = {DataType.INT8: 8, DataType.INT16: 16, DataType.INT32: 32, DataType.INT64: 64}
_UNSIGNED = {
    DataType.UINT8: 8,
    DataType.UINT16: 16,
    DataType.UINT32: 32,
    DataType.UINT64: 64,
    DataType.DATETIME: 64,
}
_LONG = frozenset({DataType.INT64, DataType.UINT64, DataType.DATETIME})
_FIELDS: dict[int, frozenset[Kind]] = {
    **dict.fromkeys((*_SIGNED, *_UNSIGNED), frozenset({Kind.INT, Kind.LONG})),
    **dict.fromkeys((DataType.FLOAT, DataType.DOUBLE), frozenset({Kind.FLOAT, Kind.DOUBLE})),
    DataType.BOOLEAN: frozenset({Kind.BOOLEAN}),
}
NUMBERS = frozenset(_FIELDS)
"""Datatypes of which a value is one number: all that can be read from a channel."""


def number_of(datatype: int, metric: Metric) -> int | float:
    """The value of a metric that was declared to be of a datatype among `NUMBERS`: a whole number as an int with its
    sign, a DateTime in milliseconds, a Boolean as 0 or 1. SparkplugError where the field or the number does not fit
    it.
    """
    value = metric.value
    if metric.kind not in _FIELDS[datatype] or isinstance(value, str | bytes | None):
        raise SparkplugError(f"a value in {metric.kind.name}, which is none of {DataType(datatype).name}")
    if datatype in _SIGNED:
        return _signed(int(value), _SIGNED[DataType(datatype)])
    if datatype in _UNSIGNED:
        bits = _UNSIGNED[DataType(datatype)]
        if value >= 1 << bits:
            raise SparkplugError(f"{value} does not fit {bits} bits")
        return int(value)
    return int(value) if datatype == DataType.BOOLEAN else value


def _signed(value: int, bits: int) -> int:
    """Two's complement of `bits`, 32 or 64 bits."""
    half = 1 << bits - 1
    if value < half:
        return value
    for width in (bits, 32, 64):
        top = 1 << width
        if top - half <= value < top:
            return value - top
    raise SparkplugError(f"{value} is no number of {bits} bits with a sign")


def metric_of(
    name: str | None,
    datatype: DataType,
    value: float,
    *,
    alias: int | None = None,
    timestamp: int | None = None,
) -> Metric:
    """A metric of a datatype among `NUMBERS`, in the field and the bits that the specification gives it.
    SparkplugError where the value does not fit.
    """
    kind, stored = _stored(datatype, value)
    return Metric(name, alias, timestamp, datatype, kind=kind, value=stored)


def _stored(datatype: DataType, value: float) -> tuple[Kind, int | float]:
    if datatype in {DataType.FLOAT, DataType.DOUBLE}:
        kind = Kind.FLOAT if datatype is DataType.FLOAT else Kind.DOUBLE
        return kind, float(value)
    if datatype is DataType.BOOLEAN:
        return Kind.BOOLEAN, bool(value)
    bits = _SIGNED.get(datatype) or _UNSIGNED.get(datatype)
    if bits is None:
        raise SparkplugError(f"a {datatype.name} is no number")
    first, last = (-(1 << bits - 1), (1 << bits - 1) - 1) if datatype in _SIGNED else (0, (1 << bits) - 1)
    if not first <= value <= last or value != int(value):
        raise SparkplugError(f"{value} does not fit {datatype.name}")
    kind = Kind.LONG if datatype in _LONG else Kind.INT
    return kind, int(value) % (1 << bits)
