"""What is taken, and what is refused with its reason. Handshakes say whether a context is right."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from tests.unit.apps.server.pki import DAY, Authority
from tests.unit.transports.test_ssl_context import Client, handshakes

from ringmain.apps.server.certificates import Pair, ec_key
from ringmain.apps.server.identity import load_or_create
from ringmain.apps.server.tls_files import FILE_BYTES_MAX, TlsFiles, take
from ringmain.model.errors import Refused
from ringmain.model.time import instant_of
from ringmain.transports.ssl_context import client_context

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def identity(tmp_path_factory):
    return load_or_create(tmp_path_factory.mktemp("own"), instant_of(NOW))


@pytest.fixture
def operator(tmp_path):
    return Authority(tmp_path)


@pytest.fixture
def files(identity, operator, tmp_path):
    crl = tmp_path / "crl.pem"
    crl.write_bytes(operator.crl())
    return TlsFiles(identity.cert_path, identity.key_path, operator.cert, crl)


def taken(files, identity, *, required=False):
    return take(files, identity.ca, NOW, required=required)


def refused(files, identity):
    with pytest.raises(Refused) as caught:
        taken(files, identity)
    assert caught.value.code == "unprocessable"
    return caught.value.detail


def shakes(in_force, identity, pem=None, version=ssl.TLSVersion.TLSv1_3):
    """Whether a client with that certificate comes in."""
    client = client_context(identity.ca_path)
    client.minimum_version = client.maximum_version = version
    if pem is not None:
        client.load_cert_chain(pem.cert, pem.key)
    try:
        _, there = handshakes(in_force.context, client, "localhost")
    except ssl.SSLError:
        return False
    assert there.getpeercert(binary_form=True) == (pem.der if pem else None)
    return True


def test_the_installations_own(identity, operator, tmp_path):
    in_force = taken(TlsFiles(identity.cert_path, identity.key_path), identity)
    assert in_force.subject == "CN=Ringmain platform"
    assert in_force.expires_ms == identity.cert_expires_ms
    assert (in_force.issuers, in_force.foreign, in_force.lists_until_ms) == ("", False, None)
    assert shakes(in_force, identity, Client(tmp_path, identity.ca, NOW))
    assert shakes(in_force, identity)
    assert not shakes(in_force, identity, operator.client("m1"))


def test_a_certificate_of_others_and_its_issuers(identity, operator):
    between = Authority(operator.folder, "between", operator)
    server = between.server("front")
    server.cert.write_bytes(server.pem + between.pem + operator.pem)
    in_force = taken(TlsFiles(server.cert, server.key), identity)
    assert in_force.subject == "CN=front"
    assert in_force.issuers.encode() == between.pem + operator.pem
    client = client_context(operator.cert)
    handshakes(in_force.context, client, "localhost")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_list_ends_handshakes_of_whom_it_names_and_of_nobody_else(identity, operator, files, tmp_path, version):
    good, bad, own = operator.client("good"), operator.client("bad"), Client(tmp_path, identity.ca, NOW)
    files.crl.write_bytes(operator.crl([bad]))
    in_force = taken(files, identity)
    assert not shakes(in_force, identity, bad, version)
    assert shakes(in_force, identity, good, version)
    assert shakes(in_force, identity, own, version), "the own CA has an empty list made for it"
    assert shakes(in_force, identity, None, version)
    assert in_force.is_revoked(bad.x509)
    assert not in_force.is_revoked(good.x509)
    assert in_force.unlisted == ()
    assert in_force.lists_until_ms == instant_of((operator.now + DAY * 7).replace(microsecond=0))


def test_without_a_certificate_nobody_comes_in_where_one_is_required(identity, operator, files):
    in_force = taken(files, identity, required=True)
    assert not shakes(in_force, identity)
    assert shakes(in_force, identity, operator.client("m1"))


def test_a_revoked_intermediate_takes_its_clients_along(identity, operator, files):
    between = Authority(operator.folder, "between", operator)
    client = between.client("m1")
    files.client_ca.write_bytes(operator.pem + between.pem)
    files.crl.write_bytes(operator.crl() + between.crl())
    assert shakes(taken(files, identity), identity, client)
    files.crl.write_bytes(operator.crl([between]) + between.crl())
    in_force = taken(files, identity)
    assert not shakes(in_force, identity, client)
    assert in_force.is_revoked(client.x509)


def test_an_intermediate_alone_is_trusted_where_it_is_named(identity, operator, files):
    between = Authority(operator.folder, "between", operator)
    files.client_ca.write_bytes(between.pem)
    files.crl.write_bytes(between.crl())
    in_force = taken(files, identity)
    assert shakes(in_force, identity, between.client("m1"))
    assert not shakes(in_force, identity, operator.client("m2"))


def test_an_issuer_without_a_list_lets_nobody_in_and_is_named(identity, operator, files):
    other = Authority(operator.folder, "other")
    files.client_ca.write_bytes(operator.pem + other.pem)
    in_force = taken(files, identity)
    assert in_force.unlisted == ("CN=other",)
    assert shakes(in_force, identity, operator.client("m1"))
    assert not shakes(in_force, identity, other.client("m2"))


def test_a_list_out_of_date_lets_nobody_of_its_ca_in(identity, operator, files, tmp_path):
    files.crl.write_bytes(operator.crl(until=-DAY))
    in_force = taken(files, identity)
    assert in_force.lists_until_ms < instant_of(NOW)
    assert not shakes(in_force, identity, operator.client("m1"))
    assert shakes(in_force, identity, Client(tmp_path, identity.ca, NOW))


def test_lists_of_our_own_ca_are_taken_as_they_are(identity, files, tmp_path):
    own = Client(tmp_path, identity.ca, NOW)
    ca = Authority.__new__(Authority)
    ca.x509, ca.now = x509.load_pem_x509_certificate(identity.ca.cert), NOW
    ca.private = ec_key(identity.ca.key)
    own.x509 = x509.load_der_x509_certificate(own.der)
    files = TlsFiles(files.certificate, files.key, None, files.crl)
    files.crl.write_bytes(ca.crl([own]))
    assert not shakes(taken(files, identity), identity, own)


@pytest.mark.parametrize("which", ["certificate", "key", "client_ca", "crl"])
def test_a_file_that_is_not_there(identity, files, operator, tmp_path, which):
    server = operator.server("front")
    files = TlsFiles(server.cert, server.key, files.client_ca, files.crl)
    getattr(files, which).unlink()
    said = refused(files, identity)
    assert str(getattr(files, which)) in said
    assert "No such file" in said


@pytest.mark.parametrize("which", ["certificate", "key", "client_ca", "crl"])
@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"]
)
def test_a_damaged_one(identity, files, operator, which, content):
    server = operator.server("front")
    files = TlsFiles(server.cert, server.key, files.client_ca, files.crl)
    getattr(files, which).write_bytes(content)
    assert str(getattr(files, which)) in refused(files, identity)


def test_a_list_cut_short(identity, files, operator):
    whole = operator.crl([operator.client("bad")])
    files.crl.write_bytes(whole[: len(whole) // 2])
    assert "no certificate revocation list" in refused(files, identity)
    block = whole.splitlines()
    files.crl.write_bytes(b"\n".join([block[0], *block[3:]]) + b"\n")
    assert str(files.crl) in refused(files, identity)


def test_a_key_of_another_certificate(identity, operator):
    one, two = operator.server("one"), operator.server("two")
    assert "can not be used" in refused(TlsFiles(one.cert, two.key), identity)


def test_an_encrypted_key_asks_nobody(identity, operator):
    server = operator.server("front")
    server.encrypt()
    assert "encrypted" in refused(TlsFiles(server.cert, server.key), identity)


def test_a_certificate_out_of_date(identity, operator):
    server = operator.server("front", validity=-timedelta(hours=1))
    assert "it is valid from" in refused(TlsFiles(server.cert, server.key), identity)


def test_no_ca(identity, operator, files):
    files.client_ca.write_bytes(operator.client("m1").pem)
    assert "CN=m1 in it is no CA" in refused(files, identity)


def test_a_list_that_no_ca_signed(identity, operator, files):
    stranger = Authority(operator.folder, "stranger")
    for content in (stranger.crl(), operator.crl(signer=stranger), operator.crl() + stranger.crl()):
        files.crl.write_bytes(content)
        assert "has signed the list" in refused(files, identity)


def test_a_file_that_is_too_large(identity, files):
    files.crl.write_bytes(b"x" * (FILE_BYTES_MAX + 1))
    assert "larger than 1,048,576 bytes" in refused(files, identity)


def test_which_files_are_looked_at(files, identity):
    assert len(files.paths()) == 4
    assert TlsFiles(identity.cert_path, identity.key_path).paths() == (identity.cert_path, identity.key_path)
    assert isinstance(identity.ca, Pair)
