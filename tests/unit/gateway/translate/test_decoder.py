"""Decoders as they are written: what can not work is said before the first payload, with the path to it."""

import pytest

from ringmain.gateway.translate.decoder import DecoderFile, DeviceAt, Field, TimeAt, Topic, Value, check
from ringmain.gateway.translate.decoder_paths import DecoderError

FIELD = Field("a", path="x")


@pytest.mark.parametrize(
    ("topic", "words"),
    [
        (Topic("a"), "one of value, fields and drop"),
        (Topic("a", drop=True, value=Value("a")), "one of value"),
        (Topic("a", fields=(FIELD,), value=Value("a")), "one of value"),
        (Topic("", drop=True), "filter ''"),
        (Topic("a/#/b", drop=True), "filter"),
        (Topic("a+", drop=True), "filter"),
        (Topic("a/" * 201, drop=True), "slashes"),
        (Topic("devices/+/x", drop=True), "is ours"),
        (Topic("#", drop=True), "everybody's"),
        (Topic("a/+", value=Value("p_{2}")), "no level 2"),
        (Topic("a/#", value=Value("p_{1}")), "no level 1"),
        (Topic("a", value=Value("p_{i}")), "no {i}"),
        (Topic("a", value=Value("")), "no template"),
        (Topic("a", value=Value("a", scale="x")), "scale 'x'"),
        (Topic("a", value=Value("a", scale="1/0")), "scale"),
        (Topic("a", value=Value("a", scale=0)), "makes everything nothing"),
        (Topic("a", value=Value("a", scale=float("nan"))), "scale nan"),
        (Topic("a", fields=(Field("{j}", path="{i}"),)), "no {j}"),
        (Topic("a", fields=(Field("a", path=""),)), "no path"),
        (Topic("a", fields=(FIELD,), ignore=("",)), "no path"),
        (Topic("a", fields=(FIELD,), at="{x}"), "can stand here"),
        (Topic("a", fields=(FIELD,), time=TimeAt("{x}")), "can stand here"),
        (Topic("a", fields=(FIELD,), under="{1}"), "no level 1"),
        (Topic("a", value=Value("a"), ignore=("x",)), "go with fields"),
        (Topic("a", value=Value("a"), time=TimeAt("x")), "go with fields"),
        (Topic("a", fields=(FIELD,), device=DeviceAt()), "one of level and path"),
        (Topic("a", fields=(FIELD,), device=DeviceAt(level=0, path="x")), "one of level and path"),
        (Topic("a", fields=(FIELD,), device=DeviceAt(level=1)), "no level 1"),
        (Topic("a", value=Value("a"), device=DeviceAt(path="x")), "goes with fields"),
    ],
)
def test_refused(topic, words):
    with pytest.raises(DecoderError) as refused:
        check(DecoderFile("d", "", (Topic("fine", drop=True), topic)))
    assert str(refused.value).startswith("$.topics[1]: ")
    assert words in str(refused.value)


@pytest.mark.parametrize("scale", [1, 0.001, "1/60", "0.001", -1, "1e3"])
def test_scales(scale):
    check(DecoderFile("d", "", (Topic("a/+", value=Value("p_{1}", scale=scale)),)))
