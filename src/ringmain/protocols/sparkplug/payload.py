"""The Sparkplug B payload (3.0.0 §6.4.1) as bytes: decoded into structs and back, for these two messages alone.

| field | payload | | field | metric | | field | metric |
|---|---|---|---|---|---|---|---|
| 1 | timestamp, uint64 | | 1 | name, string | | 10 | int_value, uint32 |
| 2 | metrics, Metric | | 2 | alias, uint64 | | 11 | long_value, uint64 |
| 3 | seq, uint64 | | 3 | timestamp, uint64 | | 12 | float_value, float |
| 4 | uuid, string | | 4 | datatype, uint32 | | 13 | double_value, double |
| 5 | body, bytes | | 5, 6, 7 | is_historical, is_transient, is_null, bool | | 14 | boolean_value, bool |
| | | | 8 | metadata, MetaData | | 15, 16 | string_value, bytes_value |
| | | | 9 | properties, PropertySet | | 17, 18, 19 | dataset, template, extension |

MetaData, PropertySet, DataSet, Template and extensions are skipped whole, unopened, and a metric says that it had
them; so nothing nests deeper than a metric in a payload. Fields of other numbers are skipped, as the format wants.
Of a field that comes twice the last one counts. It must never raise anything but `SparkplugError`, whatever comes.
"""

import struct

from ringmain.protocols.sparkplug.metric import METRICS_MAX, NAME_BYTES_MAX, VALUE_BYTES_MAX, Kind, Metric, Payload
from ringmain.protocols.sparkplug.wire import (
    BYTES,
    EIGHT_BYTES,
    FOUR_BYTES,
    VARINT,
    SparkplugError,
    bytes_field,
    fields,
    fixed_field,
    integer_field,
    tag,
)

_UINT32 = (1 << 32) - 1
_TIMESTAMP, _METRICS, _SEQ, _UUID, _BODY = (tag(n, w) for n, w in enumerate((VARINT, BYTES, VARINT, BYTES, BYTES), 1))
_PAYLOAD_FIELDS = 5
_NAME, _ALIAS, _AT, _DATATYPE = tag(1, BYTES), tag(2, VARINT), tag(3, VARINT), tag(4, VARINT)
_HISTORICAL, _TRANSIENT, _NULL = tag(5, VARINT), tag(6, VARINT), tag(7, VARINT)
_METADATA, _PROPERTIES = tag(8, BYTES), tag(9, BYTES)
_WIRE_TYPES = {
    Kind.INT: VARINT,
    Kind.LONG: VARINT,
    Kind.FLOAT: FOUR_BYTES,
    Kind.DOUBLE: EIGHT_BYTES,
    Kind.BOOLEAN: VARINT,
    Kind.STRING: BYTES,
    Kind.BYTES: BYTES,
    Kind.DATASET: BYTES,
    Kind.TEMPLATE: BYTES,
    Kind.EXTENSION: BYTES,
}
_VALUES = {tag(kind, wire_type): kind for kind, wire_type in _WIRE_TYPES.items()}
_METRIC_FIELDS = 19
_METRIC_TAGS = frozenset(
    {_NAME, _ALIAS, _AT, _DATATYPE, _HISTORICAL, _TRANSIENT, _NULL, _METADATA, _PROPERTIES, *_VALUES}
)
_float, _double = struct.Struct("<f"), struct.Struct("<d")


# -- reading ------------------------------------------------------------------------------------------------------


def decode_payload(data: bytes) -> Payload:
    """The payload of these bytes. SparkplugError where they are none, or where it is beyond a limit."""
    metrics: list[Metric] = []
    integers: dict[int, int] = {}
    texts: dict[int, bytes] = {}
    for key, integer, chunk in fields(data):
        if key == _METRICS:
            if len(metrics) >= METRICS_MAX:
                raise SparkplugError(f"more than {METRICS_MAX} metrics in one payload")
            metrics.append(_metric(chunk))
        elif key in {_TIMESTAMP, _SEQ}:
            integers[key] = integer
        elif key in {_UUID, _BODY}:
            texts[key] = chunk
        elif key >> 3 <= _PAYLOAD_FIELDS:
            raise SparkplugError(f"field {key >> 3} of a payload does not have the wire type {key & 7}")
    uuid = texts.get(_UUID)
    return Payload(
        integers.get(_TIMESTAMP),
        tuple(metrics),
        integers.get(_SEQ),
        None if uuid is None else _text(uuid, NAME_BYTES_MAX),
        texts.get(_BODY),
    )


def _metric(data: bytes) -> Metric:
    integers: dict[int, int] = {}
    chunks: dict[int, bytes] = {}
    value_key = 0
    for key, integer, chunk in fields(data):
        if key not in _METRIC_TAGS:
            if key >> 3 <= _METRIC_FIELDS:
                raise SparkplugError(f"field {key >> 3} of a metric does not have the wire type {key & 7}")
            continue
        if key in _VALUES:
            value_key = key
        if key & 7 == VARINT:
            integers[key] = integer
        else:
            chunks[key] = chunk
    kind = _VALUES.get(value_key, Kind.NONE)
    name = chunks.get(_NAME)
    return Metric(
        None if name is None else _text(name, NAME_BYTES_MAX),
        integers.get(_ALIAS),
        integers.get(_AT),
        integers[_DATATYPE] & _UINT32 if _DATATYPE in integers else None,
        bool(integers.get(_HISTORICAL)),
        bool(integers.get(_TRANSIENT)),
        bool(integers.get(_NULL)),
        kind,
        _value(kind, integers.get(value_key, 0), chunks.get(value_key, b"")),
        _PROPERTIES in chunks or _METADATA in chunks,
    )


def _value(kind: Kind, integer: int, chunk: bytes) -> int | float | str | bytes | None:
    match kind:
        case Kind.INT:
            return integer & _UINT32
        case Kind.LONG:
            return integer
        case Kind.BOOLEAN:
            return bool(integer)
        case Kind.FLOAT:
            return float(_float.unpack(chunk)[0])
        case Kind.DOUBLE:
            return float(_double.unpack(chunk)[0])
        case Kind.STRING:
            return _text(chunk, VALUE_BYTES_MAX)
        case Kind.BYTES:
            if len(chunk) > VALUE_BYTES_MAX:
                raise SparkplugError(f"a value of {len(chunk)} bytes, at most {VALUE_BYTES_MAX}")
            return chunk
        case _:
            return None


def _text(data: bytes, size_max: int) -> str:
    if len(data) > size_max:
        raise SparkplugError(f"a text of {len(data)} bytes, at most {size_max}")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise SparkplugError("a text that is not UTF-8") from error


# -- writing ------------------------------------------------------------------------------------------------------


def encode_payload(payload: Payload) -> bytes:
    """The bytes of a payload, fields in the order of their numbers. SparkplugError where a value does not fit its field
    or limit, or a metric has what is not opened (DATASET, TEMPLATE, EXTENSION, annotations).
    """
    if len(payload.metrics) > METRICS_MAX:
        raise SparkplugError(f"more than {METRICS_MAX} metrics in one payload")
    parts = []
    if payload.timestamp is not None:
        parts.append(integer_field(1, payload.timestamp))
    parts += [bytes_field(2, _encoded(metric)) for metric in payload.metrics]
    if payload.seq is not None:
        parts.append(integer_field(3, payload.seq))
    if payload.uuid is not None:
        parts.append(bytes_field(4, _utf8(payload.uuid, NAME_BYTES_MAX)))
    if payload.body is not None:
        parts.append(bytes_field(5, payload.body))
    return b"".join(parts)


def _encoded(metric: Metric) -> bytes:
    parts = []
    if metric.name is not None:
        parts.append(bytes_field(1, _utf8(metric.name, NAME_BYTES_MAX)))
    if metric.alias is not None:
        parts.append(integer_field(2, metric.alias))
    if metric.timestamp is not None:
        parts.append(integer_field(3, metric.timestamp))
    if metric.datatype is not None:
        parts.append(integer_field(4, metric.datatype))
    flags = ((5, metric.is_historical), (6, metric.is_transient), (7, metric.is_null))
    parts += [integer_field(number, 1) for number, is_set in flags if is_set]
    if metric.annotated:
        raise SparkplugError(f"{metric.name}: properties and metadata are not written")
    if metric.kind is not Kind.NONE:
        parts.append(_encoded_value(metric.kind, metric.value))
    return b"".join(parts)


def _encoded_value(kind: Kind, value: int | float | str | bytes | None) -> bytes:
    if kind in {Kind.INT, Kind.LONG, Kind.BOOLEAN} and isinstance(value, int):
        if kind is Kind.INT and value > _UINT32:
            raise SparkplugError(f"{value} does not fit 32 bits")
        return integer_field(kind, int(value))
    if kind in {Kind.FLOAT, Kind.DOUBLE} and isinstance(value, float):
        try:
            return fixed_field(kind, (_float if kind is Kind.FLOAT else _double).pack(value))
        except OverflowError as error:
            raise SparkplugError(f"{value} does not fit a float") from error
    if kind is Kind.STRING and isinstance(value, str):
        return bytes_field(kind, _utf8(value, VALUE_BYTES_MAX))
    if kind is Kind.BYTES and isinstance(value, bytes) and len(value) <= VALUE_BYTES_MAX:
        return bytes_field(kind, value)
    raise SparkplugError(f"a {kind.name} value can not be {type(value).__name__}")


def _utf8(text: str, size_max: int) -> bytes:
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise SparkplugError("a text that has no UTF-8") from error
    if len(data) > size_max:
        raise SparkplugError(f"a text of {len(data)} bytes, at most {size_max}")
    return data
