"""Paths and templates: what matches, what is filled in, and what can not be one."""

import pytest

from ringmain.gateway.translate.decoder_paths import DEPTH_MAX, DecoderError, Path, Template, leaves
from ringmain.gateway.translate.samples import PayloadRefused


@pytest.mark.parametrize(
    ("path", "keys", "want"),
    [
        ("a", "a", {}), ("a", "b", None), ("a.b", "a", None), ("a", "a.b", {}), ("{k}", "x", {"k": "x"}),
        ("s:{i}.v", "s:0.v", {"i": "0"}), ("s:{i}.v", "s:.v", None), ("s:{i}.v", "t:0.v", None),
        ("{a}_x", "b_x_x", {"a": "b_x"}), ("a.{i}", "a.12", {"i": "12"}), ("{a}.{b}", "x.y", {"a": "x", "b": "y"}),
        ("a(b", "a(b", {}), ("x{k}", "x\n", {"k": "\n"}),
    ],
)  # fmt: skip
def test_match(path, keys, want):
    assert Path(path).match(tuple(keys.split("."))) == want


@pytest.mark.parametrize(
    "text", ["", ".", "a.", ".a", "a..b", "{a}{b}", "{a", "a}", "{}", "{A}", "{a}.{a}", ".".join("a" * (DEPTH_MAX + 1))]
)
def test_what_is_no_path(text):
    with pytest.raises(DecoderError):
        Path(text)


@pytest.mark.parametrize(
    ("path", "want"),
    [("a", {"b": [10, {"c": 11}]}), ("a.b.0", 10), ("a.b.1.c", 11), ("a.b.2", None), ("a.b.x", None), ("a.x.y", None),
     ("a.b.-1", None), ("z", None)],
)  # fmt: skip
def test_at(path, want):
    assert Path(path).at({"a": {"b": [10, {"c": 11}]}}) == want


def test_templates():
    template = Template("power_{3}_{i}_w")
    assert template.fill(["a", "b", "c", "7"], {"i": "x"}) == "power_7_x_w"
    template.check(4, frozenset("i"))
    for levels, names in ((3, "i"), (4, "j")):
        with pytest.raises(DecoderError):
            template.check(levels, frozenset(names))
    assert Template("plain").fill([], {}) == "plain"


@pytest.mark.parametrize("text", ["", "{", "}", "a{}", "a{B}", "{{a}}"])
def test_what_is_no_template(text):
    with pytest.raises(DecoderError):
        Template(text)


def test_leaves():
    found = {"a": {"b": [1, {"c": True}]}, "d": None, "e": {}, "f": []}
    assert list(leaves(found)) == [(("a", "b", "0"), 1), (("a", "b", "1", "c"), True), (("d",), None)]
    assert list(leaves(5)) == [((), 5)]
    deep = 1
    for _ in range(DEPTH_MAX):
        deep = [deep]
    assert len(list(leaves(deep))) == 1
    with pytest.raises(PayloadRefused):
        list(leaves([deep]))
