"""The words that parameters and answers share: times above all, because peers write them in many ways."""

from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.apps.server.api.words import ChannelName, Moment, Name, decode_word, describe_word, span_of
from ringmain.model.time import INSTANT_MAX, instant_of


def moment(text: object) -> int:
    return int(msgspec.convert(text, Moment, dec_hook=decode_word))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "2013-01-01",
        "2013-01-01T00:00:00",
        "2013-W01-1T00:00:00Z",
        "20130101T000000Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "2013-13-01T00:00:00Z",
        "2013-02-29T00:00:00Z",
        "2013-01-01T24:01:00Z",
        "2013-01-01T00:00:00+25:00",
        "2013-01-01T00:00:00Z\x00",
        "2013-01-01 00:00:00Z junk",
        "\ud800013-01-01T00:00:00Z",
        "1357000000",
        "9" * 5000,
    ],
)
def test_what_is_no_rfc_3339_time_is_refused(text):
    with pytest.raises(msgspec.ValidationError, match="RFC 3339"):
        moment(text)


@pytest.mark.parametrize("value", [1357000000, 1.5, None, ["2013-01-01T00:00:00Z"], True])
def test_a_time_that_is_no_string_is_refused(value):
    with pytest.raises(msgspec.ValidationError):
        moment(value)


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:00z", 0),
        ("1970-01-01T01:00:00+01:00", 0),
        ("1970-01-01T01:00:00 01:00", 0),  # a `+` that a query string turned into a space
        ("1969-12-31T19:00:00-05:00", 0),
        ("1970-01-01T00:00:00.0019999Z", 1),
        ("0001-01-01T00:00:00+23:59", -62135683140000),
        ("9999-12-31T23:59:59-23:59", 253402387139000),
    ],
)
def test_times_with_an_offset_are_instants(text, ms):
    assert moment(text) == ms


@given(st.datetimes(timezones=st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=45))])))
def test_every_time_python_can_write_is_read_back(at):
    assert moment(at.isoformat()) == instant_of(at)


def test_a_span_that_ends_before_it_starts_is_refused():
    with pytest.raises(ValueError, match="before"):
        span_of(Moment(2), Moment(1))


def test_a_span_is_clamped_to_where_readings_can_lie():
    first = Moment(instant_of(datetime(1, 1, 1, tzinfo=UTC)))
    last = Moment(instant_of(datetime(9999, 1, 1, tzinfo=UTC)))
    for span in (span_of(first, last), span_of(None, None)):
        assert (span.start, span.end) == (0, INSTANT_MAX + 1)
    assert span_of(last, None).start == INSTANT_MAX + 1
    assert span_of(None, first).end == 0


@pytest.mark.parametrize("text", ["", "a\n", "-a", "a/b", "a" * 65, "ä", "a\x00", "a b", "+", "#"])
def test_names_that_no_topic_could_carry_are_refused(text):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, Name)


@pytest.mark.parametrize("text", ["", "energy\n", "1a", "a" * 65, "a\x00", "a;b"])
def test_names_of_no_channel_are_refused(text):
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, ChannelName)


def test_names_and_channels_are_those_of_the_model():
    assert msgspec.convert("meter-1:a.b@c~d_", Name)
    assert msgspec.convert("a/b c.d:e", ChannelName)


def test_the_hooks_know_no_other_type():
    with pytest.raises(NotImplementedError):
        decode_word(complex, "1")
    with pytest.raises(NotImplementedError):
        describe_word(complex)
    assert describe_word(Moment)["format"] == "date-time"
