"""Real handshakes in memory: what is agreed on, and what is refused."""

import ssl
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from ringmain.apps.server.certificates import Pair, new_ca
from ringmain.apps.server.client_certificates import Issuer, pem_of
from ringmain.apps.server.identity import Identity, load_or_create
from ringmain.model.device import Device, LifecycleState
from ringmain.model.time import instant_of
from ringmain.transports.ssl_context import ReplaceableContext, client_context, server_context


@pytest.fixture
def identity(tmp_path: Path) -> Identity:
    # Handshakes judge certificates by the real clock.
    return load_or_create(tmp_path, time.time_ns() // 1_000_000, ["meter.example"])


def handshake(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> ssl.SSLObject:
    """Runs both ends against each other; returns the client's."""
    return handshakes(server, client, name)[0]


def handshakes(server: ssl.SSLContext, client: ssl.SSLContext, name: str) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends. With TLS 1.3 a server refuses a client's certificate only after the client is content."""
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
            return here, there
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


class Client:
    """A client with a certificate of a CA, as files."""

    def __init__(self, folder: Path, ca: Pair, at: datetime) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        csr = x509.CertificateSigningRequestBuilder(x509.Name([])).sign(key, SHA256()).public_bytes(Encoding.PEM)
        device = Device(1, "default", "gw-1", "gateway", LifecycleState.ACTIVE, "main", 0, 0)
        self.der = Issuer(ca)(csr.decode(), device, instant_of(at)).certificate.der
        self.cert, self.key = folder / "client.pem", folder / "client.key"
        self.cert.write_text(pem_of(self.der))
        self.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    def context(self, trusts: Path) -> ssl.SSLContext:
        context = client_context(trusts)
        context.load_cert_chain(self.cert, self.key)
        return context


NOW = datetime.now(UTC)


def test_a_client_certificate_of_our_ca_is_handed_on(identity: Identity, tmp_path: Path) -> None:
    client = Client(tmp_path, identity.ca, NOW)
    server = server_context(identity.cert_path, identity.key_path, identity.ca_path)
    _, there = handshakes(server, client.context(identity.ca_path), "localhost")
    assert there.getpeercert(binary_form=True) == client.der


def test_a_client_may_come_without(identity: Identity) -> None:
    server = server_context(identity.cert_path, identity.key_path, identity.ca_path)
    _, there = handshakes(server, client_context(identity.ca_path), "localhost")
    assert there.getpeercert(binary_form=True) is None


def test_nobody_is_asked_where_there_is_no_ca(identity: Identity, tmp_path: Path) -> None:
    client = Client(tmp_path, identity.ca, NOW)
    server = server_context(identity.cert_path, identity.key_path)
    _, there = handshakes(server, client.context(identity.ca_path), "localhost")
    assert there.getpeercert(binary_form=True) is None


@pytest.mark.parametrize("why", ["foreign", "expired", "not yet", "a server's"])
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_client_certificate_that_is_not_good_ends_the_handshake(
    identity: Identity, tmp_path: Path, why: str, version: ssl.TLSVersion
) -> None:
    ca = new_ca(NOW) if why == "foreign" else identity.ca
    days = {"expired": -398, "not yet": 3}.get(why, 0)
    client = Client(tmp_path, ca, NOW + timedelta(days=days))
    if why == "a server's":
        client.cert, client.key = identity.cert_path, identity.key_path
    context = client.context(identity.ca_path)
    context.minimum_version = context.maximum_version = version
    server = server_context(identity.cert_path, identity.key_path, identity.ca_path)
    with pytest.raises(ssl.SSLCertVerificationError):
        handshakes(server, context, "localhost")


def test_a_client_without_is_refused_where_one_is_required(identity: Identity, tmp_path: Path) -> None:
    server = server_context(identity.cert_path, identity.key_path, identity.ca_path, client_certificate_required=True)
    with pytest.raises(ssl.SSLError):
        handshakes(server, client_context(identity.ca_path), "localhost")
    client = Client(tmp_path, identity.ca, NOW)
    assert handshakes(server, client.context(identity.ca_path), "localhost")


def test_each_connection_takes_the_context_that_is_in_use_when_it_begins(identity: Identity, tmp_path: Path) -> None:
    other = load_or_create(tmp_path / "other", time.time_ns() // 1_000_000)
    replaceable = ReplaceableContext()
    with pytest.raises(AttributeError):
        handshake(replaceable, client_context(identity.ca_path), "localhost")
    for each in (identity, other, identity):
        replaceable.use(server_context(each.cert_path, each.key_path))
        assert handshake(replaceable, client_context(each.ca_path), "localhost").version() == "TLSv1.3"
