"""Names: what may not be one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.model.ids import NAME_LENGTH_MAX, is_channel, is_name


@pytest.mark.parametrize(
    "text", ["", "a/b", "a+", "#", "a b", ".a", "-a", "_a", "a\n", "a\0", "é", "a" * 65, "$a", "a%", "a\\", "a'", "٣"]
)
def test_no_name(text):
    assert not is_name(text)


@pytest.mark.parametrize(
    "text", ["a", "0", "a" * NAME_LENGTH_MAX, "urn:dev:mac:0024befffe804ff1", "m1@site~2", "A.b_c-d"]
)
def test_a_name(text):
    assert is_name(text)


@pytest.mark.parametrize("text", ["", "1a", " a", ".a", "a\n", "a\0b", "é", "a" * 65, "a+b", "a#", 'a"b', "a,b", "a;b"])
def test_no_channel(text):
    assert not is_channel(text)


@pytest.mark.parametrize("text", ["a", "_a", "energy_wh", "a.b:c/d e-f", "a" * 64])
def test_a_channel(text):
    assert is_channel(text)


@given(st.text(max_size=70))
def test_a_name_needs_no_quoting_anywhere(text):
    if is_name(text):
        assert text.isascii()
        assert not set(text) & set("/+#$ \"'\\%?&;")
