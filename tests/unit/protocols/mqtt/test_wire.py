"""Data types: no way past the end of a packet, shortest lengths only, and every value back as it was."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.protocols.mqtt import wire
from ringmain.protocols.mqtt.reasons import ProtocolViolation, Reason


@pytest.mark.parametrize("read", ["byte", "two_bytes", "four_bytes", "variable", "binary", "text"])
def test_no_reader_passes_the_end_of_its_packet(read):
    cursor = wire.Cursor(b"\xff" * 8, 2, 2)
    with pytest.raises(ProtocolViolation, match="too early") as refused:
        getattr(cursor, read)()
    assert refused.value.reason is Reason.MALFORMED_PACKET


@pytest.mark.parametrize("octets", ["8000", "808000", "80808000", "ffffffff01", "80808080", "80"])
def test_padded_overlong_and_cut_lengths_are_malformed(octets):
    with pytest.raises(ProtocolViolation) as refused:
        wire.Cursor(bytes.fromhex(octets)).variable()
    assert refused.value.reason is Reason.MALFORMED_PACKET


@pytest.mark.parametrize("value", [-1, wire.VARIABLE_INTEGER_MAX + 1])
def test_a_number_that_does_not_fit_is_not_written(value):
    with pytest.raises(ValueError, match="does not fit"):
        wire.variable(value)


def test_data_that_does_not_fit_is_not_written():
    with pytest.raises(ValueError, match="do not fit"):
        wire.binary(bytes(65_536))


@pytest.mark.parametrize(
    "octets", [b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"a\0b", b"\n", b"\x7f", b"\xc2\x9f", b"\xef\xbf\xbf"]
)
def test_text_that_may_not_be(octets):
    with pytest.raises(ProtocolViolation) as refused:
        wire.utf8(octets)
    assert refused.value.reason is Reason.MALFORMED_PACKET


def test_a_byte_order_mark_stays():
    assert wire.utf8(b"\xef\xbb\xbfa") == "\ufeffa"


@pytest.mark.parametrize(
    ("value", "octets"),
    [(0, "00"), (127, "7f"), (128, "8001"), (16_383, "ff7f"), (16_384, "808001"), (2_097_151, "ffff7f"),
     (2_097_152, "80808001"), (268_435_455, "ffffff7f")],
)  # fmt: skip
def test_the_lengths_of_table_1_1(value, octets):
    assert wire.variable(value).hex() == octets
    assert wire.Cursor(bytes.fromhex(octets)).variable() == value


@given(st.integers(0, wire.VARIABLE_INTEGER_MAX), st.binary(max_size=300), st.text(max_size=50))
def test_round_trip(number, data, text):
    cursor = wire.Cursor(wire.variable(number) + wire.binary(data) + b"rest")
    assert (cursor.variable(), cursor.binary(), cursor.rest()) == (number, data, b"rest")
    try:
        assert wire.Cursor(wire.text(text)).text() == text
    except ProtocolViolation:
        assert wire._UNWANTED.search(text) or "\0" in text
