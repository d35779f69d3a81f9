"""Tokens: only their digests are kept, and those say nothing without the pepper."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.services.lifecycle.tokens import TokenDigest, is_token, new_token

PEPPER = bytes(range(32))


@pytest.mark.parametrize("text", ["", "a" * 257, "tab\t", "line\n", "nul\0", "\x7f", "\u2028", "\ud800"])
def test_what_is_no_token(text):
    assert not is_token(text)


@pytest.mark.parametrize("text", ["a", "a" * 256, "with space", "Zähler №1", '"quoted",'])
def test_what_operators_bring(text):
    assert is_token(text)


@pytest.mark.parametrize("size", [0, 1, 31])
def test_a_short_pepper_is_refused(size):
    with pytest.raises(ValueError, match=str(size)):
        TokenDigest(bytes(size))


def test_new_tokens_carry_256_bits_and_differ():
    tokens = {new_token() for _ in range(1000)}
    assert len(tokens) == 1000
    assert all(len(token) == 43 and is_token(token) for token in tokens)


@given(st.text(min_size=1).filter(is_token))
def test_the_digest_is_hmac_sha256_under_the_pepper(token):
    digest = TokenDigest(PEPPER).of(token)
    assert digest == hmac.new(PEPPER, token.encode(), hashlib.sha256).digest()
    assert digest != TokenDigest(bytes(32)).of(token)
    assert TokenDigest(PEPPER).is_of(token, digest)
    assert not TokenDigest(PEPPER).is_of(token + "x", digest)
    assert not TokenDigest(bytes(32)).is_of(token, digest)


def test_neither_repr_nor_str_shows_the_pepper():
    shown = TokenDigest(b"s3cret-pepper-of-32-bytes-or-more")
    assert "s3cret" not in repr(shown) + str(shown)
