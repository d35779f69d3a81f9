"""TLS contexts: 1.3, or 1.2 with forward secrecy and authenticated encryption only (RFC 9325 §3.1.1, §4.2).

The server's context is for every TLS listener; the client's trusts the one CA it is given and nothing else.
"""

import ssl
from pathlib import Path
from typing import Self

_TLS_1_2_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""RFC 9325 §4.2: ECDHE key exchange with an AEAD; no CBC, no RSA key exchange. TLS 1.3 suites are all of this kind."""


def server_context(
    cert: Path,
    key: Path,
    client_ca: Path | None = None,
    *,
    client_certificate_required: bool = False,
    partial_chain: bool = False,
    crls: Path | None = None,
    crls_of_chain: bool = False,
) -> ssl.SSLContext:
    """For listeners. Clients are asked for a certificate of one of `client_ca`, where it is given, and may come without
    unless it is required; one that is not of these, has expired, is not for clients, or is in `crls` (RFC 5280 §6.3)
    ends the handshake. With `partial_chain` a CA need not lead to a self-signed one. With `crls_of_chain` no
    certificate on the way to the CA may be in there either, and for each issuer on it there must be a list; without it,
    for the issuer of the client's own. A list that is out of date counts as missing.

    A context takes lists in and never lets one go, and keeps the sessions it gave: to replace anything, make another
    one and `ReplaceableContext.use` it. SSLError and OSError where a file is of no use.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _restrict(context)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(cert, key, _no_password)
    if client_ca is not None:
        context.load_verify_locations(cafile=client_ca)
        context.verify_mode = ssl.CERT_REQUIRED if client_certificate_required else ssl.CERT_OPTIONAL
        if partial_chain:
            context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    if crls is not None:
        context.load_verify_locations(cafile=crls)
        context.verify_flags |= (
            ssl.VerifyFlags.VERIFY_CRL_CHECK_CHAIN if crls_of_chain else ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
        )
    return context


class ReplaceableContext(ssl.SSLContext):
    """What a listener is given once: each connection takes the context that is in use when it begins and keeps it. So
    certificate, CA and revocation lists change without a listener that closes. Sessions of an earlier context are not
    resumed (RFC 8446 §2.2), which would pass by the new lists.

    asyncio and uvloop take nothing of a context but `wrap_bio`. It must not be used before the first `use`.
    """

    _in_use: ssl.SSLContext

    def __new__(cls) -> Self:
        """As `ssl.SSLContext`, which has no `__init__`."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_SERVER)

    def use(self, context: ssl.SSLContext) -> None:
        """From now on, for new connections."""
        self._in_use = context

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,  # noqa: FBT001, FBT002 - ssl's own signature
        server_hostname: str | bytes | None = None,
        session: ssl.SSLSession | None = None,
    ) -> ssl.SSLObject:
        """A connection begins."""
        return self._in_use.wrap_bio(incoming, outgoing, server_side, server_hostname, session)


def client_context(ca: Path) -> ssl.SSLContext:
    """For connections to a platform: its name is checked, and only this CA is trusted, not the system's. Where the
    client has a certificate of its own, `load_cert_chain` adds it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _restrict(context)
    context.load_verify_locations(cafile=ca)
    return context


def _no_password() -> str:
    """Asked for the password of a key; without an answer OpenSSL would ask on the terminal."""
    raise ssl.SSLError("the private key is encrypted")


def _restrict(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_TLS_1_2_CIPHERS)
