"""Plain values: numbers as text, and nothing else."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.gateway.translate.samples import PayloadRefused
from ringmain.gateway.translate.values import value_of


@given(st.integers(-(10**50), 10**50) | st.floats(allow_nan=False, allow_infinity=False))
def test_what_python_writes_is_read(value):
    assert value_of(repr(value).encode()) == value


@pytest.mark.parametrize(("text", "want"), [(b"true", 1), (b" False ", 0), (b"+1", 1), (b"1.", 1.0), (b"-0.0", 0.0)])
def test_others(text, want):
    assert value_of(text) == want


@given(st.binary(max_size=70) | st.text("0123456789+-.eE_ \u0661nainf", max_size=70).map(str.encode))
def test_noise_is_refused_as_declared(text):
    try:
        found = value_of(text)
    except (PayloadRefused, UnicodeDecodeError):
        return
    assert not math.isnan(found)
