"""Forms: content type before topic, topic before bytes, and bytes that could be two things."""

import cbor2
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.gateway.translate.forms import MEDIA, UNSAID, Form, Spelling, form_of, media_of, spelling_of


@pytest.mark.parametrize(
    ("name", "want"),
    [
        ("telemetry", UNSAID),
        ("telemetry/senml", Spelling(Form.SENML)),
        ("telemetry/msgpack", Spelling(Form.MSGPACK)),
        ("telemetry/value/a", Spelling(Form.VALUE, "a")),
        ("telemetry/value/a/b", Spelling(Form.VALUE, "a/b")),
        ("telemetry/value/", None), ("telemetry/value", None), ("telemetry/", None), ("telemetry/x", None),
        ("telemetry/senml/", None), ("telemetrysenml", None), ("status", None), ("", None),
    ],
)  # fmt: skip
def test_topics(name, want):
    assert spelling_of(name) == want


@pytest.mark.parametrize("media", MEDIA)
def test_content_types(media):
    for spelt in (media, media.upper(), f"{media}; charset=utf-8", f" {media} ;x"):
        assert media_of(spelt) is MEDIA[media]


@pytest.mark.parametrize("media", ["", ";", "application/xml", "application/json2", "json", "application/octet-stream"])
def test_content_types_that_say_nothing(media):
    assert media_of(media) is Form.UNSAID


@pytest.mark.parametrize(
    ("payload", "spelling", "media", "want"),
    [
        (b"{}", UNSAID, "", Form.JSON),
        (b"", UNSAID, "", Form.JSON),
        (b"\xff", UNSAID, "", Form.JSON),
        (b"\x80", UNSAID, "", Form.MSGPACK),
        (b"\xdc\0\0", UNSAID, "", Form.MSGPACK),
        (b"\xde\0\0", UNSAID, "", Form.MSGPACK),
        (b"{}", UNSAID, "application/msgpack", Form.MSGPACK),
        (b"{}", Spelling(Form.MSGPACK), "application/json", Form.JSON),
        (b"{}", Spelling(Form.MSGPACK), "text/plain", Form.MSGPACK),
        (b"{}", Spelling(Form.SENML), "", Form.SENML_JSON),
        (b"\x81", Spelling(Form.SENML), "", Form.SENML_CBOR),
        (b"1", Spelling(Form.VALUE, "a"), "application/json", Form.VALUE),
        (b"1", Spelling(Form.VALUE, "a"), "application/cbor", Form.CBOR),
        (b"1", UNSAID, "text/plain", Form.JSON),
    ],
)
def test_order(payload, spelling, media, want):
    assert form_of(payload, spelling, media) is want


@pytest.mark.parametrize("count", [1, 23, 24, 255, 256, 70_000])
def test_senml_in_cbor_is_known_by_its_heads(count):
    pack = cbor2.dumps([{-2: "x", 2: 1}] * count)
    assert form_of(pack) is Form.SENML_CBOR
    assert form_of(b"\xd9\xd9\xf7" + pack) is Form.SENML_CBOR
    assert form_of(b"\x9f\xbf" + pack[-9:]) is not Form.JSON


names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.:/ -]{0,20}", fullmatch=True)
objects = st.dictionaries(names, st.integers(-(2**63), 2**64 - 1) | st.floats(), min_size=1, max_size=20)


@pytest.mark.slow
@given(objects | st.lists(objects, min_size=1, max_size=30))
def test_telemetry_in_messagepack_is_never_taken_for_cbor(found):
    assert form_of(msgspec.msgpack.encode(found)) is Form.MSGPACK


@given(st.binary(max_size=20), st.sampled_from([UNSAID, Spelling(Form.SENML), Spelling(Form.VALUE, "a")]), st.text())
def test_there_always_is_one(payload, spelling, media):
    assert form_of(payload, spelling, media) not in (Form.UNSAID, Form.SENML)
