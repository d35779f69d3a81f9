"""Resolution: base fields, exact sums, times, and what may not be used."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.protocols.senml import resolve as module
from ringmain.protocols.senml.records import RELATIVE_BELOW_S, Record, SenmlError
from ringmain.protocols.senml.resolve import resolve


def values(*pack):
    return [(record.name, record.value, record.sum) for record in resolve(list(pack))]


@pytest.mark.parametrize(
    ("pack", "want"),
    [
        ([{"n": "a", "v": 1}], [("a", 1, None)]),
        ([{"bn": "x/", "n": "a", "v": 1}, {"n": "b", "v": 2}], [("x/a", 1, None), ("x/b", 2, None)]),
        ([{"bn": "x", "v": 1}, {"bn": "y", "v": 2}], [("x", 1, None), ("y", 2, None)]),
        ([{"bn": "x", "bv": 10}, {"n": "a", "v": 1}, {"n": "b"}], [("xa", 11, None), ("xb", 10, None)]),
        ([{"bv": 0.1, "n": "a", "v": 0.2}], [("a", 0.3, None)]),
        ([{"bv": 1, "n": "a", "v": 0.5}], [("a", 1.5, None)]),
        ([{"bv": 2**63, "n": "a", "v": 2**63}], [("a", 2**64, None)]),
        ([{"n": "a", "s": 5}], [("a", None, 5)]),
        ([{"bs": 100, "n": "a", "v": 1}, {"n": "b", "v": 1, "s": 3}], [("a", 1, 100), ("b", 1, 103)]),
        ([{"bv": 1, "n": "a", "vs": "x"}, {"n": "b", "vb": True}], [("a", "x", None), ("b", True, None)]),
        ([{"n": "a", "v": Decimal("10.1")}], [("a", 10.1, None)]),
        ([{"n": "a", "v": Decimal("1E-3000")}], [("a", 0.0, None)]),
        ([{"bn": "x", "bver": 10}, {"v": 1, "unknown": {"a": []}}], [("x", 1, None)]),
    ],
)  # fmt: skip
def test_values(pack, want):
    assert values(*pack) == want


@pytest.mark.parametrize(
    ("pack", "time_s", "relative"),
    [
        ([{"n": "a", "v": 1}], "0", True),
        ([{"n": "a", "v": 1, "t": -5}], "-5", True),
        ([{"bt": 10, "n": "a", "v": 1, "t": -5}], "5", True),
        ([{"bt": 1.276020076001e9, "n": "a", "v": 1, "t": -0.1}], "1276020075.901", False),
        ([{"n": "a", "v": 1, "t": RELATIVE_BELOW_S}], "268435456", False),
        ([{"n": "a", "v": 1, "t": RELATIVE_BELOW_S - 1}], "268435455", True),
        ([{"bt": RELATIVE_BELOW_S, "n": "a", "v": 1, "t": -1}], "268435455", True),
    ],
)
def test_times(pack, time_s, relative):
    (record,) = resolve(pack)
    assert (record.time_s, record.is_relative) == (Decimal(time_s), relative)
    assert record.time_ms == int(Decimal(time_s) * 1000)


def test_units():
    records = resolve([{"bu": "A", "n": "a", "v": 1}, {"n": "b", "v": 1, "u": "V"}, {"n": "c", "v": 1}])
    assert [record.unit for record in records] == ["A", "V", "A"]


REFUSED = [
    (None, "array"), ({}, "array"), ([], "array"), ("[]", "array"), (b"", "array"), ([1], "object"), ([[]], "object"),
    ([{"v": 1}], "name of 0"), ([{"n": "", "v": 1}], "name of 0"), ([{"n": "a" * 300, "v": 1}], "name of 300"),
    ([{"n": "a"}], "neither"), ([{"n": "a", "t": 1}], "neither"), ([{"n": 1, "v": 1}], "n has to be a string"),
    ([{"n": "a", "v": "1"}], "v has to be a number"), ([{"n": "a", "v": True}], "v has to be a number"),
    ([{"n": "a", "vb": 1}], "vb has to be true"), ([{"n": "a", "vs": 1}], "vs has to be a string"),
    ([{"n": "a", "vd": "x"}], "vd has to be data"), ([{"n": "a", "v": None}], "v has to be a number"),
    ([{"n": "a", "v": 1, "vs": "x"}], "only one value"), ([{"n": "a", "v": 1, "x_": 1}], "has to be understood"),
    ([{"n": "a", "v": 1, "bver": 11}], "version 11"), ([{"n": "a", "v": 1, "bver": 0}], "version 0"),
    ([{"n": "a", "v": 1, "bver": True}], "bver has to be an integer"), ([{"n": "a", "v": 1, "bver": 1.0}], "bver"),
    ([{"n": "a", "v": float("nan")}], "finite"), ([{"n": "a", "v": float("inf")}], "finite"),
    ([{"n": "a", "v": Decimal("NaN")}], "finite"), ([{"n": "a", "v": 1 << 2000}], "beyond any double"),
    ([{"n": "a", "v": Decimal("1E3000")}], "beyond any double"), ([{"bv": 1.7e308, "n": "a", "v": 1.7e308}], "beyond"),
    ([{"n": "a", "v": 1, "t": 1e300}], "calendar"), ([{"n": "a", "v": 1}, {1: 2}], "record 1: a label"),
]  # fmt: skip


@pytest.mark.parametrize(("pack", "words"), REFUSED, ids=lambda it: repr(it)[:40])
def test_refused(pack, words):
    with pytest.raises(SenmlError, match=words):
        resolve(pack)


def test_a_pack_has_a_limit(monkeypatch):
    monkeypatch.setattr(module, "RECORDS_MAX", 2)
    with pytest.raises(SenmlError, match="at most 2"):
        resolve([{"n": "a", "v": 1}] * 3)


labels = st.sampled_from(
    ["bn", "bt", "bu", "bv", "bs", "bver", "n", "u", "v", "vs", "vb", "vd", "s", "t", "ut", "x", "x_"]
)
anything = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.decimals(), st.text(max_size=3), st.binary(max_size=3)
)


@given(st.lists(st.dictionaries(labels | st.integers(), anything, max_size=5), max_size=4))
def test_never_anything_but_records_or_the_declared_error(pack):
    try:
        found = resolve(pack)
    except SenmlError:
        return
    assert all(isinstance(record, Record) for record in found)
