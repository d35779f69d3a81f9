"""Tokens: 256 random bits for a device, kept only as HMAC-SHA-256 (RFC 2104) under the installation's pepper.

A token that carries 256 bits needs no slow hash; one that an operator brings may be weak, and then the pepper is
what stands between a stolen database and it. No token is ever stored, logged or put into an error.
"""

import hmac
import secrets

TOKEN_BYTES = 32
"""256 bits: beyond guessing however many devices there are."""

PEPPER_BYTES_MIN = 32
"""RFC 2104 §3 advises against keys shorter than the hash."""

TOKEN_LENGTH_MAX = 256
"""Characters of a token brought by an operator; a JWT-like secret fits, a pasted file does not."""


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
