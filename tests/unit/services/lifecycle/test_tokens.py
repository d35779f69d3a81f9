"""Tokens: only their digests are kept, and those say nothing without the pepper."""

import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.model.gateway import token_sha256
from ringmain.services.lifecycle.tokens import TokenDigest, is_claim, is_token, new_claim, new_token

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


def test_what_is_sealed_is_the_tokens_sha256_to_the_pepper_alone():
    tokens = TokenDigest(PEPPER)
    for token in ("t", new_token()):
        digest, sealed = tokens.of(token), tokens.seal(token)
        assert tokens.unseal(digest, sealed) == token_sha256(token) == hashlib.sha256(token.encode()).digest()
        assert TokenDigest(bytes(32)).unseal(digest, sealed) != token_sha256(token)
        assert tokens.unseal(tokens.of("other"), sealed) != token_sha256(token)
        assert sealed != token_sha256(token)


def test_a_damaged_seal_is_an_error():
    with pytest.raises(ValueError, match="longer"):
        TokenDigest(PEPPER).unseal(bytes(32), bytes(31))


@given(st.binary(max_size=64), st.text(max_size=20))
def test_no_token_has_the_digest_of_another_kind(der, nonce):
    """A token is UTF-8 and every other use of the pepper begins with an octet that is not."""
    tokens = TokenDigest(PEPPER)
    kinds = {
        "certificate": (b"\xffcertificate" + hashlib.sha256(der).digest(), tokens.of_certificate(der)),
        "request": (
            b"\xffrequest" + hashlib.sha256(der).digest() + nonce.encode(),
            tokens.of_request(der, nonce),
        ),
    }
    for said, made in kinds.values():
        assert made == hmac.new(PEPPER, said, hashlib.sha256).digest()
        with pytest.raises(UnicodeDecodeError):
            said.decode()


def test_a_request_is_named_by_its_key_and_its_nonce():
    tokens = TokenDigest(PEPPER)
    names = {tokens.of_request(key, nonce) for key in (b"", b"k", b"l") for nonce in ("", "n", "o")}
    assert len(names) == 9
    assert tokens.of_request(b"k", "n") in names


def test_a_claimed_token_is_the_same_each_time_and_anothers_is_not():
    tokens = TokenDigest(PEPPER)
    made = {TokenDigest(pepper).claimed(claim, name) for pepper in (PEPPER, bytes(32))
            for claim in ("rmc_1", "rmc_2") for name in (b"1" * 32, b"2" * 32)}  # fmt: skip
    assert len(made) == 8
    assert tokens.claimed("rmc_1", b"1" * 32) in made
    assert all(len(token) == 43 and is_token(token) for token in made)


def test_claims_say_what_they_are_and_differ():
    claims = {new_claim() for _ in range(1000)}
    assert len(claims) == 1000
    assert all(claim.startswith("rmc_") and is_claim(claim) and is_token(claim) for claim in claims)


@pytest.mark.parametrize("text", ["", "rmc_", "rmc_" + "a" * 42, "rmc_" + "a" * 44, "rmd_" + "a" * 43,
                                  "rmc_" + "a" * 42 + "\n", "rmc_" + "a" * 42 + "é"])  # fmt: skip
def test_what_is_no_claim(text):
    assert not is_claim(text)
