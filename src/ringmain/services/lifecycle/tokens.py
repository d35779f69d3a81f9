"""Tokens and claims: 256 random bits, kept only as HMAC-SHA-256 (RFC 2104) under the installation's pepper.

A token that carries 256 bits needs no slow hash; one that an operator brings may be weak, and then the pepper is
what stands between a stolen database and it. No token is ever stored, logged or put into an error.
"""

import hmac
import secrets
from base64 import urlsafe_b64encode
from hashlib import sha256

from ringmain.model.gateway import token_sha256

TOKEN_BYTES = 32
"""256 bits: beyond guessing however many devices there are."""

PEPPER_BYTES_MIN = 32
"""RFC 2104 §3 advises against keys shorter than the hash."""

TOKEN_LENGTH_MAX = 256
"""Characters of a token brought by an operator; a JWT-like secret fits, a pasted file does not."""


CLAIM_PREFIX = "rmc_"
"""So that a claim found on a label or in a log says what it opens, and no door takes another token for one."""

CLAIM_LENGTH = len(CLAIM_PREFIX) + 43

# What the pepper is used for beside tokens. UTF-8 has no octet FF, so that no token can have a digest of another kind.
_CERTIFICATE, _SEAL, _REQUEST, _CLAIMED = b"\xffcertificate", b"\xffseal", b"\xffrequest", b"\xffclaimed"


def new_claim() -> str:
    """A fresh one-time claim token."""
    return CLAIM_PREFIX + secrets.token_urlsafe(TOKEN_BYTES)


def is_claim(text: str) -> bool:
    """Whether `text` may be a claim token, by its form alone."""
    return len(text) == CLAIM_LENGTH and text.startswith(CLAIM_PREFIX) and text.isascii() and text.isprintable()


def new_token() -> str:
    """A fresh token: 43 characters that need no quoting in a URL, a header or a CSV cell."""
    return secrets.token_urlsafe(TOKEN_BYTES)


def is_token(text: str) -> bool:
    """Whether `text` may be a token: 1-256 printable characters."""
    return 0 < len(text) <= TOKEN_LENGTH_MAX and text.isprintable()


class TokenDigest:
    """Turns tokens into what may be stored. The pepper is the installation's, read from its file by the composition."""

    __slots__ = ("_pepper",)

    def __init__(self, pepper: bytes) -> None:
        if len(pepper) < PEPPER_BYTES_MIN:
            raise ValueError(f"the pepper has {len(pepper)} bytes, it needs at least {PEPPER_BYTES_MIN}")
        self._pepper = pepper

    def of(self, token: str) -> bytes:
        """The 32 bytes under which a token is found."""
        return hmac.digest(self._pepper, token.encode(), "sha256")

    def is_of(self, token: str, digest: bytes) -> bool:
        """Whether `digest` is this token's, compared in constant time."""
        return hmac.compare_digest(self.of(token), digest)

    def of_certificate(self, der: bytes) -> bytes:
        """The 32 bytes under which a certificate is found: those of its SHA-256 fingerprint."""
        return hmac.digest(self._pepper, _CERTIFICATE + sha256(der).digest(), "sha256")

    def seal(self, token: str) -> bytes:
        """What is stored of a token beside its digest, so that verifiers can be made of it (`model.gateway`): its
        SHA-256 under a one-time pad that only the pepper makes.
        """
        return _xor(token_sha256(token), self._pad(self.of(token)))

    def unseal(self, digest: bytes, sealed: bytes) -> bytes:
        """The token's SHA-256, of its digest and what `seal` made."""
        return _xor(sealed, self._pad(digest))

    def of_request(self, public_key: bytes, nonce: str) -> bytes:
        """By what a claimant is known again: its public key, its nonce, or both."""
        return hmac.digest(self._pepper, _REQUEST + sha256(public_key).digest() + nonce.encode(), "sha256")

    def claimed(self, claim: str, request: bytes) -> str:
        """The token that a claim gives to a claimant who can be known again: the same one each time, and kept nowhere.
        It takes the claim and the pepper to make it.
        """
        made = hmac.digest(self._pepper, _CLAIMED + request + claim.encode(), "sha256")
        return urlsafe_b64encode(made).rstrip(b"=").decode()

    def _pad(self, digest: bytes) -> bytes:
        return hmac.digest(self._pepper, _SEAL + digest, "sha256")


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))
