"""Client certificates: what is signed, for whom, and what is not."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ringmain.apps.server.certificates import new_ca
from ringmain.apps.server.client_certificates import Issuer, pem_of
from ringmain.model.device import Device, LifecycleState
from ringmain.model.errors import Refused
from ringmain.model.time import instant_of

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NOW_MS = instant_of(NOW)
CA = new_ca(NOW)
ISSUE = Issuer(CA)
METER = Device(8, "acme", "m-1", "meter", LifecycleState.REGISTERED, "main", 0, 0)
DEVICE = Device(7, "acme", "gw-1", "gateway", LifecycleState.REGISTERED, "main", 0, 0)
P256 = ec.generate_private_key(ec.SECP256R1())


def csr(key, algorithm=SHA256(), subject="anybody", extensions=()) -> str:  # noqa: B008 - a constant
    builder = x509.CertificateSigningRequestBuilder(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)] if subject else [])
    )
    for extension in extensions:
        builder = builder.add_extension(extension, critical=True)
    return builder.sign(key, algorithm).public_bytes(Encoding.PEM).decode()


def cert_of(text: str) -> x509.Certificate:
    return x509.load_der_x509_certificate(ISSUE(text, DEVICE, NOW_MS).certificate.der)


def test_the_platform_says_whom_it_names():
    asked = [x509.BasicConstraints(ca=True, path_length=None), x509.SubjectAlternativeName([x509.DNSName("evil")])]
    cert = cert_of(csr(P256, subject="root of all", extensions=asked))
    assert cert.subject.rfc4514_string() == "CN=gw-1,O=acme"
    assert not cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert not cert.extensions.get_extension_for_class(x509.KeyUsage).value.key_cert_sign
    cert.verify_directly_issued_by(x509.load_pem_x509_certificate(CA.cert))


def uses_and_names(device: Device) -> tuple[list, list[str]]:
    asked = [x509.SubjectAlternativeName([x509.DNSName("platform.example")])]
    cert = x509.load_der_x509_certificate(ISSUE(csr(P256, extensions=asked), device, NOW_MS).certificate.der)
    uses = list(cert.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value)
    try:
        names = cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return uses, []
    return uses, [str(name.value) for name in names]


def test_a_meter_is_a_client_and_nothing_else():
    assert uses_and_names(METER) == ([ExtendedKeyUsageOID.CLIENT_AUTH], [])


def test_a_gateway_serves_its_meters_under_its_own_names_alone():
    uses, names = uses_and_names(DEVICE)
    assert uses == [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
    assert names == ["gw-1", "localhost", "127.0.0.1", "::1"]
    assert (
        uses_and_names(Device(9, "acme", "gw:1@x", "gateway", LifecycleState.REGISTERED, "main", 0, 0))[1] == names[1:]
    )


def test_what_is_told_of_it():
    issued = ISSUE(csr(P256), DEVICE, NOW_MS)
    cert = x509.load_der_x509_certificate(issued.certificate.der)
    assert int(issued.certificate.serial, 16) == cert.serial_number
    assert cert.not_valid_after_utc == NOW + timedelta(days=397)
    assert issued.certificate.expires_ms == instant_of(cert.not_valid_after_utc)
    assert issued.public_key == P256.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    assert x509.load_pem_x509_certificate(pem_of(issued.certificate.der).encode()) == cert


def test_it_does_not_outlive_its_ca():
    ca = x509.load_pem_x509_certificate(CA.cert)
    late = instant_of(ca.not_valid_after_utc - timedelta(days=10))
    assert ISSUE(csr(P256), DEVICE, late).certificate.expires_ms == instant_of(ca.not_valid_after_utc)


def test_no_serial_comes_twice():
    text = csr(P256)
    assert len({ISSUE(text, DEVICE, NOW_MS).certificate.serial for _ in range(20)}) == 20


@pytest.mark.parametrize(
    ("key", "algorithm"),
    [
        (P256, SHA512()),
        (ed25519.Ed25519PrivateKey.generate(), None),
        (rsa.generate_private_key(65537, 2048), SHA256()),
    ],
)
def test_the_keys_that_are_taken(key, algorithm):
    assert cert_of(csr(key, algorithm, subject="")).public_key() == key.public_key()


@pytest.mark.parametrize(
    ("key", "algorithm", "why"),
    [
        (ec.generate_private_key(ec.SECP384R1()), SHA256(), "secp384r1"),
        (ec.generate_private_key(ec.SECP256K1()), SHA256(), "secp256k1"),
        (rsa.generate_private_key(65537, 1024), SHA256(), "1024 bits"),
        (ed448.Ed448PrivateKey.generate(), None, "none of"),
        (dsa.generate_private_key(2048), SHA256(), "none of"),
    ],
)
def test_the_keys_that_are_not(key, algorithm, why):
    refuse(csr(key, algorithm), why)


def refuse(text: str, why: str) -> None:
    with pytest.raises(Refused) as refused:
        ISSUE(text, DEVICE, NOW_MS)
    assert refused.value.code == "unprocessable"
    assert why in refused.value.detail


def test_who_does_not_have_the_key_gets_nothing():
    """The key of one request, the signature of another."""
    mine = x509.load_pem_x509_csr(csr(P256).encode())
    other = x509.load_pem_x509_csr(csr(ec.generate_private_key(ec.SECP256R1())).encode())
    der = mine.public_bytes(Encoding.DER)
    info = der.index(mine.tbs_certrequest_bytes)
    signature = der.index(mine.signature)
    assert info < signature
    forged = der.replace(_point(mine), _point(other))
    assert forged != der
    text = x509.load_der_x509_csr(forged).public_bytes(Encoding.PEM).decode()
    refuse(text, "not made with its key")


def _point(request: x509.CertificateSigningRequest) -> bytes:
    return request.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


@pytest.mark.parametrize(
    "text",
    ["", "nonsense", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n", "\0", "é",
     CA.cert.decode()],
)  # fmt: skip
def test_what_is_no_request(text):
    refuse(text, "can not be read")


def test_an_old_digest_is_no_proof():
    der = bytearray(x509.load_pem_x509_csr(csr(P256).encode()).public_bytes(Encoding.DER))
    sha256, sha1 = bytes.fromhex("06082a8648ce3d040302"), bytes.fromhex("06072a8648ce3d0401")
    assert sha256 in der
    # ecdsa-with-SHA1 has a shorter OID: the lengths around it shrink by one.
    at = der.index(sha256)
    assert der[at - 2 : at] == b"\x30\x0a"
    der[at - 1] -= 1
    der[at : at + len(sha256)] = sha1
    assert der[1] == 0x81
    der[2] -= 1
    refuse(x509.load_der_x509_csr(bytes(der)).public_bytes(Encoding.PEM).decode(), "not signed with SHA-2")
