"""Payloads: every vector read, refused and written; what another implementation wrote; limits; noise."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.protocols.sparkplug.metric import METRICS_MAX, NAME_BYTES_MAX, VALUE_BYTES_MAX, Kind, Metric, Payload
from ringmain.protocols.sparkplug.payload import decode_payload, encode_payload
from ringmain.protocols.sparkplug.values import NUMBERS, number_of
from ringmain.protocols.sparkplug.wire import SparkplugError, bytes_field


def metric(case):
    kind = Kind[case.get("kind", "NONE")]
    value = case.get("value")
    return Metric(**{**case, "kind": kind, "value": bytes.fromhex(value) if kind is Kind.BYTES else value})


def payload(case):
    body = case["body"]
    metrics = tuple(metric(each) for each in case["metrics"])
    return Payload(**{**case, "metrics": metrics, "body": None if body is None else bytes.fromhex(body)})


def test_vector(case):
    data = bytes.fromhex("".join(part for part, _ in case["parts"]))
    if "refused" in case:
        with pytest.raises(SparkplugError, match=case["refused"]):
            decode_payload(data)
        return
    expected = payload(case["payload"])
    assert decode_payload(data) == expected
    if case.get("encoded", True):
        assert encode_payload(expected) == data


def test_what_pysparkplug_writes(foreign):
    read = decode_payload(bytes.fromhex(foreign["hex"]))
    assert (read.timestamp, read.seq, read.uuid, read.body) == (foreign["timestamp"], foreign["seq"], None, None)
    found = [
        [it.name, it.datatype, number_of(it.datatype, it) if it.datatype in NUMBERS and not it.is_null else it.value,
         it.alias, it.timestamp]
        for it in read.metrics
    ]  # fmt: skip
    assert found == foreign["metrics"]
    assert encode_payload(read).hex() == foreign["hex"], "byte for byte what libprotobuf makes of it"


@pytest.mark.parametrize(
    ("fits", "too_much"),
    [
        (Payload(metrics=(Metric(),) * METRICS_MAX), Payload(metrics=(Metric(),) * (METRICS_MAX + 1))),
        *(
            (Payload(metrics=(Metric(**{"name": "n", field: value * size}, **more),)),
             Payload(metrics=(Metric(**{"name": "n", field: value * (size + 1)}, **more),)))
            for field, value, size, more in [
                ("name", "x", NAME_BYTES_MAX, {}),
                ("value", "x", VALUE_BYTES_MAX, {"kind": Kind.STRING}),
                ("value", b"x", VALUE_BYTES_MAX, {"kind": Kind.BYTES}),
            ]
        ),
        (Payload(uuid="x" * NAME_BYTES_MAX), Payload(uuid="x" * (NAME_BYTES_MAX + 1))),
    ],
)  # fmt: skip
def test_limits(fits, too_much):
    assert decode_payload(encode_payload(fits)) == fits
    with pytest.raises(SparkplugError):
        encode_payload(too_much)


@pytest.mark.parametrize(
    "data",
    [
        bytes_field(2, b"") * (METRICS_MAX + 1),
        bytes_field(2, bytes_field(1, b"x" * (NAME_BYTES_MAX + 1))),
        bytes_field(2, bytes_field(15, b"x" * (VALUE_BYTES_MAX + 1))),
        bytes_field(2, bytes_field(16, b"x" * (VALUE_BYTES_MAX + 1))),
        bytes_field(4, b"x" * (NAME_BYTES_MAX + 1)),
    ],
)
def test_limits_hold_for_what_others_write(data):
    with pytest.raises(SparkplugError, match=r"more than|at most"):
        decode_payload(data)


@pytest.mark.parametrize(
    "wrong",
    [
        Payload(timestamp=-1),
        Payload(seq=2**64),
        Payload(uuid="\ud800"),
        Payload(metrics=(Metric(name="\ud800"),)),
        Payload(metrics=(Metric(annotated=True),)),
        Payload(metrics=(Metric(kind=Kind.DATASET),)),
        Payload(metrics=(Metric(kind=Kind.INT, value=-1),)),
        Payload(metrics=(Metric(kind=Kind.INT, value=2**32),)),
        Payload(metrics=(Metric(kind=Kind.INT, value=1.5),)),
        Payload(metrics=(Metric(kind=Kind.FLOAT, value=1e300),)),
        Payload(metrics=(Metric(kind=Kind.STRING, value=b"x"),)),
        Payload(metrics=(Metric(kind=Kind.BYTES, value="x"),)),
        Payload(metrics=(Metric(kind=Kind.DOUBLE),)),
    ],
)
def test_what_has_no_bytes(wrong):
    with pytest.raises(SparkplugError):
        encode_payload(wrong)


UINT64 = st.integers(0, 2**64 - 1)
TEXT = st.text(max_size=20)
VALUES = st.one_of(
    st.just((Kind.NONE, None)),
    st.tuples(st.just(Kind.INT), st.integers(0, 2**32 - 1)),
    st.tuples(st.just(Kind.LONG), UINT64),
    st.tuples(st.just(Kind.FLOAT), st.floats(width=32, allow_nan=False)),
    st.tuples(st.just(Kind.DOUBLE), st.floats(allow_nan=False)),
    st.tuples(st.just(Kind.BOOLEAN), st.booleans()),
    st.tuples(st.just(Kind.STRING), TEXT),
    st.tuples(st.just(Kind.BYTES), st.binary(max_size=20)),
)
METRICS = st.builds(
    lambda name, alias, at, datatype, flags, value: Metric(name, alias, at, datatype, *flags, *value),
    st.none() | TEXT, st.none() | UINT64, st.none() | UINT64, st.none() | st.integers(0, 2**32 - 1),
    st.tuples(st.booleans(), st.booleans(), st.booleans()), VALUES,
)  # fmt: skip
PAYLOADS = st.builds(
    Payload, st.none() | UINT64, st.lists(METRICS, max_size=5).map(tuple), st.none() | UINT64, st.none() | TEXT,
    st.none() | st.binary(max_size=20),
)  # fmt: skip


@given(PAYLOADS)
def test_round_trip(whole):
    assert decode_payload(encode_payload(whole)) == whole


@given(PAYLOADS, st.data())
def test_a_payload_that_is_cut_or_changed_is_read_or_refused(whole, data):
    encoded = bytearray(encode_payload(whole))
    del encoded[data.draw(st.integers(0, len(encoded))) :]
    if encoded:
        encoded[data.draw(st.integers(0, len(encoded) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(SparkplugError):
        decode_payload(bytes(encoded))


@given(st.binary(max_size=100))
def test_noise(data):
    for noise in (data, bytes_field(2, data)):
        with contextlib.suppress(SparkplugError):
            decode_payload(noise)
