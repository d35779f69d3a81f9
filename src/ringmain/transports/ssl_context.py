"""TLS contexts: 1.3, or 1.2 with forward secrecy and authenticated encryption only (RFC 9325 §3.1.1, §4.2).

The server's context is for every TLS listener; the client's trusts the one CA it is given and nothing else.
"""

import ssl
from pathlib import Path

_TLS_1_2_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""RFC 9325 §4.2: ECDHE key exchange with an AEAD; no CBC, no RSA key exchange. TLS 1.3 suites are all of this kind."""


def server_context(cert: Path, key: Path, client_ca: Path | None = None) -> ssl.SSLContext:
    """For listeners. Clients are asked for a certificate of `client_ca`, where it is given, and may come without; one
    that is not of this CA, has expired or is not for clients ends the handshake. `load_cert_chain` on the returned
    context again replaces the server's certificate for new connections.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _restrict(context)
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(cert, key)
    if client_ca is not None:
        context.load_verify_locations(cafile=client_ca)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def client_context(ca: Path) -> ssl.SSLContext:
    """For connections to a platform: its name is checked, and only this CA is trusted, not the system's. Where the
    client has a certificate of its own, `load_cert_chain` adds it.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _restrict(context)
    context.load_verify_locations(cafile=ca)
    return context


def _restrict(context: ssl.SSLContext) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(_TLS_1_2_CIPHERS)
