"""Real handshakes in memory: what is agreed on, and what is refused."""

import ssl
import time
from pathlib import Path

import pytest

from ringmain.apps.server.identity import Identity, load_or_create
from ringmain.transports.ssl_context import client_context, server_context


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    # Handshakes judge certificates by the real clock.
    return load_or_create(tmp_path, time.time_ns() // 1_000_000, ["meter.example"])


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> ssl.SSLObject:
    """Runs both ends against each other; returns the client's."""
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    here = client.wrap_bio(to_client, to_server, server_hostname=name)
    there = server.wrap_bio(to_server, to_client, server_side=True)
    finished = set()
    for _ in range(10):
        for end in (here, there):
            try:
                end.do_handshake()
                finished.add(end)
            except ssl.SSLWantReadError:
                continue
        if len(finished) == 2:
            return here
    raise AssertionError("the handshake does not end")


@pytest.mark.parametrize("name", ["localhost", "127.0.0.1", "::1", "meter.example"])
def test_tls_1_3_under_every_name(identity: Identity, name: str) -> None:
    end = handshake(server_context(identity.cert_path, identity.key_path), client_context(identity.ca_path), name)
    assert end.version() == "TLSv1.3"


def test_strict_clients_take_our_certificates(identity: Identity) -> None:
    client = client_context(identity.ca_path)
    client.verify_flags |= ssl.VERIFY_X509_STRICT  # the default since Python 3.13
    assert handshake(server_context(identity.cert_path, identity.key_path), client, "localhost")


def test_tls_1_2_with_ecdhe_and_aead(identity: Identity) -> None:
    client = client_context(identity.ca_path)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    end = handshake(server_context(identity.cert_path, identity.key_path), client, "localhost")
    assert end.version() == "TLSv1.2"
    name = end.cipher()[0]
    assert name.startswith("ECDHE-")
    assert "GCM" in name or "POLY1305" in name


@pytest.mark.parametrize("ciphers", ["ECDHE-ECDSA-AES128-SHA256:@SECLEVEL=0", "ECDHE-ECDSA-AES256-SHA:@SECLEVEL=0"])
def test_tls_1_2_with_cbc_is_refused(identity: Identity, ciphers: str) -> None:
    client = client_context(identity.ca_path)
    client.maximum_version = ssl.TLSVersion.TLSv1_2
    client.set_ciphers(ciphers)
    with pytest.raises(ssl.SSLError):
        handshake(server_context(identity.cert_path, identity.key_path), client, "localhost")


def test_tls_1_1_is_refused(identity: Identity) -> None:
    server = server_context(identity.cert_path, identity.key_path)
    assert server.minimum_version is ssl.TLSVersion.TLSv1_2
    assert client_context(identity.ca_path).minimum_version is ssl.TLSVersion.TLSv1_2


def test_another_name_is_refused(identity: Identity) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match=r"(?i)mismatch"):
        handshake(
            server_context(identity.cert_path, identity.key_path), client_context(identity.ca_path), "other.example"
        )


def test_another_ca_is_refused(identity: Identity, tmp_path: Path) -> None:
    other = load_or_create(tmp_path / "other", time.time_ns() // 1_000_000)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(server_context(identity.cert_path, identity.key_path), client_context(other.ca_path), "localhost")


def test_the_systems_own_cas_are_not_trusted(identity: Identity) -> None:
    assert client_context(identity.ca_path).cert_store_stats()["x509"] == 1
