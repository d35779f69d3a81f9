"""Fields of Protocol Buffers, by bytes from its own documentation, and on noise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
    varint,
)


@pytest.mark.parametrize(
    ("value", "data"),
    [(0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (150, "9601"), (2**64 - 1, "ffffffffffffffffff01")],
)
def test_varint(value, data):
    assert varint(value).hex() == data
    assert list(fields(bytes.fromhex("08" + data))) == [(tag(1, VARINT), value, b"")]


@pytest.mark.parametrize("value", [-1, 2**64])
def test_what_is_no_varint(value):
    with pytest.raises(SparkplugError):
        varint(value)


def test_fields_of_all_kinds():
    data = integer_field(1, 150) + bytes_field(2, b"testing") + fixed_field(3, b"12345678") + fixed_field(16, b"1234")
    assert data.hex() == "089601" + "120774657374696e67" + "193132333435363738" + "850131323334"
    assert list(fields(data)) == [
        (tag(1, VARINT), 150, b""),
        (tag(2, BYTES), 0, b"testing"),
        (tag(3, EIGHT_BYTES), 0, b"12345678"),
        (tag(16, FOUR_BYTES), 0, b"1234"),
    ]


@given(st.binary(max_size=200))
def test_noise_is_fields_or_an_error(data):
    try:
        read = list(fields(data))
    except SparkplugError:
        return
    assert sum(len(chunk) for _, _, chunk in read) <= len(data)
