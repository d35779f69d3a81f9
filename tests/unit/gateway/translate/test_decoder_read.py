"""Decoders at work: the vendors' payloads, exact scales, time stamps, and whatever is not as the decoder expects."""

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.gateway.translate import decoder_read
from ringmain.gateway.translate.decoder import DecoderFile, DeviceAt, Field, TimeAt, Topic, Value
from ringmain.gateway.translate.decoder_files import Decoders
from ringmain.gateway.translate.decoder_read import Decoder, instant_of
from ringmain.gateway.translate.samples import PayloadRefused
from ringmain.model.ids import is_channel
from ringmain.model.time import INSTANT_MAX

PAYLOADS = json.loads(
    (Path(__file__).parents[3] / "vectors" / "decoders" / "payloads.json").read_text(encoding="utf-8")
)
SHIPPED = Decoders()


@pytest.mark.parametrize("vector", PAYLOADS, ids=lambda it: f"{it['topic']} {it['payload'][:30]}")
def test_payloads_of_the_vendors(vector):
    decoder = SHIPPED.named(vector["decoder"])
    assert decoder.takes(vector["topic"])
    found = decoder.read(vector["topic"], vector["payload"].encode())
    assert found.device == vector["device"]
    if vector["values"] is None:
        assert found.sample is None
        return
    assert (found.sample.values, found.sample.at_ms) == (vector["values"], vector["at_ms"])
    for name, value in found.sample.values.items():
        assert is_channel(name)
        assert not name.endswith("_wh") or isinstance(value, int)


def test_every_shipped_decoder_has_payloads():
    assert {vector["decoder"] for vector in PAYLOADS} == set(SHIPPED.names())


def of(*topics, **more):
    return Decoder(DecoderFile("d", "", topics, **more))


def values(field, payload, **more):
    found = of(Topic("t", fields=(field,), **more)).read("t", msgspec.json.encode(payload))
    return found.sample.values if found.sample else None


@pytest.mark.parametrize(
    ("scale", "round", "value", "want"),
    [
        (1, "no", 5, 5), (1, "no", 0.1, 0.1), (1000, "no", 4.35, 4350), (1000, "no", 0.00012, 0.12),
        (0.001, "no", 1500, 1.5), (0.1, "no", 3, 0.3), ("1/60", "no", 120, 2), ("1/60", "down", 119, 1),
        ("1/60", "down", -1, -1), (1, "down", 2067.999, 2067), (1000, "down", 14.68792, 14687), (-1, "no", 5, -5),
        ("1e3", "no", 1.5, 1500), (1000, "no", 1.1, 1100), (10, "no", True, 1),
    ],
)  # fmt: skip
def test_scales_are_exact(scale, round, value, want):
    found = values(Field("a", scale=scale, round=round, path="x"), {"x": value})["a"]
    assert (found, type(found)) == (want, type(want))


@pytest.mark.parametrize(
    ("found", "strings", "want"),
    [
        ("on", "refuse", {"a": 1}),
        ("OFF", "refuse", None),
        ("OFF", "ignore", {}),
        (None, "refuse", {}),
        ("7", "ignore", {}),
    ],
)
def test_words(found, strings, want):
    field = Field("a", path="x", words={"on": 1}, strings=strings)
    if want is None:
        with pytest.raises(PayloadRefused, match="no word"):
            values(field, {"x": found})
    else:
        assert (values(field, {"x": found}, may_be_empty=True) or {}) == want


def test_words_of_the_decoder_hold_where_a_value_has_none():
    decoder = of(Topic("t/+", value=Value("a")), Topic("u", value=Value("a", words={"off": 5})), words={"off": 7})
    assert decoder.read("t/x", b"off").sample.values == {"a": 7}
    assert decoder.read("u", b" off\n").sample.values == {"a": 5}
    with pytest.raises(PayloadRefused, match="no number"):
        decoder.read("u", b"on")


def test_the_first_filter_and_the_first_field_win():
    decoder = of(
        Topic("a/b", value=Value("first")),
        Topic("a/+", value=Value("{1}")),
        Topic("f", fields=(Field("one", path="x"), Field("{k}", path="{k}"))),
    )
    assert decoder.read("a/b", b"1").sample.values == {"first": 1}
    assert decoder.read("a/c", b"1").sample.values == {"c": 1}
    assert decoder.read("f", b'{"x":1,"y":2}').sample.values == {"one": 1, "y": 2}
    with pytest.raises(PayloadRefused) as refused:
        decoder.read("nowhere", b"1")
    assert refused.value.reason == "unknown_topic"


def test_at_and_under():
    field = Field("{i}", path="s:{i}.v")
    assert values(field, {"p": {"s:0": {"v": 1}}, "s:1": {"v": 2}}, at="p") == {"_0": 1}
    decoder = of(Topic("+/t/+", under="{2}", fields=(field,)))
    assert decoder.read("x/t/s:7", b'{"v":3}').sample.values == {"_7": 3}


def test_what_no_field_takes():
    field = Field("a", path="x")
    assert values(field, {"x": 1, "y": {"z": 2}}) == {"a": 1}
    assert values(field, {"x": 1, "y": {"z": 2}}, others="refuse", ignore=("y",)) == {"a": 1}
    with pytest.raises(PayloadRefused, match=r"y\.z"):
        values(field, {"x": 1, "y": {"z": 2}}, others="refuse")


@pytest.mark.parametrize("payload", [{}, {"y": 1}, [], 5, "x", None, {"x": None}])
def test_nothing_in_it(payload):
    field = Field("a", path="x")
    with pytest.raises(PayloadRefused, match="nothing in it"):
        values(field, payload)
    assert values(field, payload, may_be_empty=True) is None


def test_two_values_for_one_channel_are_refused():
    with pytest.raises(PayloadRefused, match="two values"):
        values(Field("a", path="{k}"), {"x": 1, "y": 2})


def test_limits(monkeypatch):
    with pytest.raises(PayloadRefused, match="channels in one message"):
        values(Field("{k}", path="{k}"), {f"c{n}": n for n in range(257)})
    deep = 1
    for _ in range(9):
        deep = {"x": deep}
    with pytest.raises(PayloadRefused, match="deep"):
        values(Field("a", path="x"), deep)
    monkeypatch.setattr(decoder_read, "LEAVES_MAX", 3)
    with pytest.raises(PayloadRefused, match="more than 3 values"):
        values(Field("a", path="x"), {"x": 1, "y": [1, 2, 3]})
    monkeypatch.setattr(decoder_read, "PATHS_REMEMBERED", 2)
    assert values(Field("a", path="x"), {"u": 1, "v": 1, "x": 1}) == {"a": 1}


def test_whose_it_is():
    by_level = of(Topic("a/+", device=DeviceAt(level=1), value=Value("v")))
    assert by_level.read("a/lamp", b"1").device == "lamp"
    by_path = of(Topic("a", device=DeviceAt(path="d.id"), fields=(Field("v", path="v"),)))
    assert by_path.read("a", b'{"d":{"id":"lamp"},"v":1}').device == "lamp"
    assert (by_path.speaks, of(Topic("a", drop=True)).speaks) == (True, False)
    for payload in (b'{"v":1}', b'{"d":{"id":5},"v":1}', b'{"d":{"id":""},"v":1}', b'{"d":[],"v":1}'):
        with pytest.raises(PayloadRefused, match="does not name"):
            by_path.read("a", payload)


@pytest.mark.parametrize(
    ("stamp", "time", "at_ms"),
    [
        (1, TimeAt("t"), 1000), (1.0015, TimeAt("t"), 1001), (5, TimeAt("t", numbers="ms"), 5),
        ("1970-01-01T00:00:01Z", TimeAt("t"), 1000), ("1970-01-01T01:00:01+01:00", TimeAt("t"), 1000),
        ("1970-01-01T00:00:00.0015Z", TimeAt("t"), 1),
        ("2022-07-18T09:34:15.775023242+00:00", TimeAt("t"), 1658136855775),
        ("1970-01-01T02:00:00", TimeAt("t", offset="+02:00"), 0),
        ("1970-01-01T00:00:00", TimeAt("t", offset="-01:30"), 5_400_000),
        ("1970-01-02", TimeAt("t", offset="+00:00"), 86_400_000),
    ],
)  # fmt: skip
def test_times(stamp, time, at_ms):
    assert instant_of(stamp, time) == at_ms


@pytest.mark.parametrize(
    "stamp",
    [True, [], {}, -1, 1e300, INSTANT_MAX, "", "x", "2022-07-18T09:34:15", "0001-01-01T00:00:00+14:00",
     "1969-12-31T23:59Z", "9999-12-31T23:59:59Z", "2022-07-18T25:00Z", "1" * 1000],
)  # fmt: skip
def test_what_is_no_time(stamp):
    with pytest.raises(PayloadRefused, match="t: "):
        instant_of(stamp, TimeAt("t"))


def test_without_a_time_it_is_that_of_the_arrival():
    field = Field("a", path="x")
    decoder = of(Topic("t", fields=(field,), time=TimeAt("when")))
    assert decoder.read("t", b'{"x":1}').sample.at_ms is None
    assert decoder.read("t", b'{"x":1,"when":null}').sample.at_ms is None
    assert decoder.read("t", b'{"x":1,"when":2}').sample.at_ms == 2000


REFUSALS = (PayloadRefused, msgspec.DecodeError, UnicodeDecodeError, RecursionError)
topics = st.sampled_from(sorted({(vector["decoder"], vector["topic"]) for vector in PAYLOADS}))
found = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["params", "ts", "switch:0", "apower", "ENERGY", "Total", "Power", "state", "last_seen", "time",
                         "deviceInfo", "devEui", "object", "energy", "aenergy", "total", "x"]) | st.text(max_size=4),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@given(topics, found.map(msgspec.json.encode) | st.binary(max_size=40))
def test_noise_is_refused_as_declared(topic, payload):
    name, at = topic
    try:
        SHIPPED.named(name).read(at, payload)
    except REFUSALS:
        return
