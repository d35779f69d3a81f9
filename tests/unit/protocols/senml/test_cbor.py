"""SenML in CBOR: the RFC's bytes, the way there and back, and bytes that would have the decoder build something."""

import json
from decimal import Decimal
from pathlib import Path

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.protocols.senml import json as senml_json
from ringmain.protocols.senml.cbor import DEPTH_MAX, decode, decode_item, encode
from ringmain.protocols.senml.records import Record, SenmlError

VECTORS = Path(__file__).parents[3] / "vectors" / "senml" / "packs.json"
PACKS = json.loads(VECTORS.read_text(encoding="utf-8"))["packs"]


def test_the_bytes_of_section_6():
    (pack,) = [pack for pack in PACKS if "cbor" in pack]
    assert decode(bytes.fromhex(pack["cbor"])) == senml_json.decode(pack["json"].encode())


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack["name"])
def test_the_other_examples_as_cbor(pack):
    found = senml_json.decode(pack["json"].encode())
    assert decode(encode(found)) == found


@pytest.mark.parametrize(
    ("payload", "name", "value"),
    [
        ("81a2006161 0201", "a", 1),
        ("81a2616e6161 617601", "a", 1),  # labels as strings
        ("9fbf006161 0201ffff", "a", 1),  # indefinite lengths
        ("81a3006161 0201 1863 80", "a", 1),  # a label that nobody knows
        ("81a2006161 02c4822018 65", "a", 10.1),  # a decimal fraction
        ("81a2006161 02c24901 0000000000000000", "a", 1 << 64),
        ("81a2006161 02f93e00", "a", 1.5),
        ("81a2006161 04f5", "a", True),
        ("81a2006161 0842 0102", "a", b"\1\2"),
        ("d9d9f7 81a2006161 0201", "a", 1),  # says of itself that it is CBOR
    ],
)
def test_forms(payload, name, value):
    (record,) = decode(bytes.fromhex(payload))
    assert (record.name, record.value) == (name, value)


@pytest.mark.parametrize(
    "payload",
    ["", "80", "a0", "01", "f6", "81", "8101", "8180", "81a0 00", "81a2006161 0201 ff", "81a20061 ff0201",
     "81a2006161 02f97e00", "81a2006161 02f97c00", "81a2006161 0261 31", "81a20061610261", "81a3006161 0201 0202",
     "81a2006161 02d8235f", "81a2006161 02d82361 2e", "81a2006161 02c10 0", "d81c81d81d00", "81a2006161 02d81e820102",
     "81a2006161 02c5821a07ffffff01", "81a2006161 02c4821b7fffffffffffffff01", "81a1f500", "81a2006161 f501",
     "9b7fffffffffffffff", "bb000000ffffffffff", "5b7fffffffffffffff", "81a2006161 02d869f5"],
)  # fmt: skip
def test_refused(payload):
    with pytest.raises(SenmlError):
        decode(bytes.fromhex(payload.replace(" ", "")))


def test_depth_has_a_limit():
    assert decode_item(b"\x81" * (DEPTH_MAX - 1) + b"\x80")
    for deep in (DEPTH_MAX + 1, 100_000):
        with pytest.raises(SenmlError):
            decode_item(b"\x81" * deep + b"\x01")


records = st.builds(
    Record,
    st.text("abcABC019-:./_", min_size=1, max_size=20),
    st.one_of(
        st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.booleans(),
        st.text(max_size=5), st.binary(max_size=9),
    ),
    st.sampled_from(["", "Wh", "V"]),
    st.integers(-10_000, 2_000_000_000_000).map(lambda ms: Decimal(ms) / 1000),
    st.none() | st.integers(-5, 5),
)  # fmt: skip


@given(st.lists(records, min_size=1, max_size=5))
def test_there_and_back(pack):
    assert decode(encode(pack)) == pack


@given(st.binary(max_size=60))
def test_noise_is_refused_as_declared(payload):
    try:
        decode(payload)
    except SenmlError:
        return


cbor_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.binary(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.integers(-7, 9) | st.text(max_size=2), inner, max_size=4)
    ),
    max_leaves=8,
)


@given(cbor_values)
def test_whatever_else_is_cbor_is_refused_as_declared(item):
    try:
        decode(cbor2.dumps(item))
    except SenmlError:
        return
