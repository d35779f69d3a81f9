"""SenML in JSON: the RFC's examples, the way there and back, and noise."""

import json
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.protocols.senml.json import decode, encode
from ringmain.protocols.senml.records import Record, SenmlError

VECTORS = Path(__file__).parents[3] / "vectors" / "senml" / "packs.json"
PACKS = json.loads(VECTORS.read_text(encoding="utf-8"))["packs"]


def records_of(pack):
    return [
        Record(name, bytes.fromhex(value["data"]) if isinstance(value, dict) else value, unit, Decimal(time_s))
        for name, unit, value, time_s in pack["records"]
    ]


@pytest.mark.parametrize("pack", PACKS, ids=lambda pack: pack["name"])
def test_examples_of_the_rfc(pack):
    records = decode(pack["json"].encode())
    assert records == records_of(pack)
    assert decode(encode(records)) == records


@pytest.mark.parametrize(
    "payload",
    [b"", b"[", b"{}", b"null", b"1", b'"x"', b"[1]", b'[{"n":"a","vd":"*"}]', b'[{"n":"a","vd":"a"}]', b"[" * 50_000,
     b'[{"n":"a","v":1e999}]', b'[{"n":"a","v":1}]x', b'[{"n":"\xff","v":1}]',
     b'[{"n":"a","v":1' + b"0" * 5000 + b"}]"],
)  # fmt: skip
def test_refused(payload):
    with pytest.raises(SenmlError):
        decode(payload)


records = st.builds(
    Record,
    st.text("abcABC019-:./_", min_size=1, max_size=20),
    st.one_of(
        st.integers(-(2**63), 2**64), st.floats(allow_nan=False, allow_infinity=False), st.booleans(),
        st.text(max_size=5), st.binary(max_size=9),
    ),
    st.sampled_from(["", "Wh", "V", "%RH"]),
    st.integers(-10_000, 2_000_000_000_000).map(lambda ms: Decimal(ms) / 1000),
    st.none() | st.integers(-5, 5),
)  # fmt: skip


@given(st.lists(records, min_size=1, max_size=5))
def test_there_and_back(pack):
    assert decode(encode(pack)) == pack


@given(st.binary(max_size=60) | st.text('[{}]":,nvbt019.e-_ ', max_size=40).map(str.encode))
def test_noise_is_refused_as_declared(payload):
    try:
        decode(payload)
    except SenmlError:
        return
