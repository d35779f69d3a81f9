"""Certificates: the installation's own CA and the server certificate it signs (RFC 5280). Pure but for the keys'
randomness: nothing here reads a file or a clock.
"""

import ipaddress
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CA_VALIDITY = timedelta(days=3653)
"""Ten years: devices in the field are pinned to it, and a new one means a visit."""

SERVER_VALIDITY = timedelta(days=397)
"""What browsers accept of a certificate (CA/Browser Forum Baseline Requirements §6.3.2 until 2026)."""

RENEW_BEFORE = timedelta(days=30)
"""A start in each month is enough to stay valid."""

BACKDATED = timedelta(days=1)
"""For clients whose clock is behind ours."""

ALWAYS_NAMED = ("localhost", "127.0.0.1", "::1")


class Pair(msgspec.Struct, frozen=True):
    """A private key and its certificate, both PEM."""

    key: bytes
    cert: bytes

    def __repr__(self) -> str:
        """Without the key, which must not reach a log."""
        return "Pair(...)"


def new_ca(now: datetime) -> Pair:
    """A CA on P-256 that may sign end certificates and nothing below them."""
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    # The serial in the name keeps two installations apart in a client that trusts both.
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Ringmain CA {serial & 0xFFFFFFFF:08x}")])
    cert = (
        x509.CertificateBuilder(name, name, key.public_key(), serial, now - BACKDATED, now + CA_VALIDITY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(key_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    return _pair(key, cert)


def new_server_certificate(ca: Pair, names: Sequence[str], now: datetime) -> Pair:
    """A server certificate for the names (host names and addresses), signed by the CA. ValueError where a name is
    no name.
    """
    ca_key, ca_cert = ec_key(ca.key), x509.load_pem_x509_certificate(ca.cert)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Ringmain platform")])
    until = min(now + SERVER_VALIDITY, ca_cert.not_valid_after_utc)
    cert = (
        x509.CertificateBuilder(
            ca_cert.subject, subject, key.public_key(), x509.random_serial_number(), now - BACKDATED, until
        )
        .add_extension(x509.SubjectAlternativeName([general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, SHA256())
    )
    return _pair(key, cert)


def belongs_together(pair: Pair) -> bool:
    """Whether the certificate is of this key; False also where one of them can not be read."""
    try:
        cert = x509.load_pem_x509_certificate(pair.cert)
        return _public_bytes(ec_key(pair.key)) == cert.public_key().public_bytes(
            Encoding.DER, PublicFormat.SubjectPublicKeyInfo
        )
    except (ValueError, TypeError):
        return False


def is_current(server: Pair, ca: Pair, names: Sequence[str], now: datetime) -> bool:
    """Whether a server certificate is still good: of its key, of this CA, for all names, for 30 days and more."""
    if not belongs_together(server):
        return False
    cert = x509.load_pem_x509_certificate(server.cert)
    try:
        cert.verify_directly_issued_by(x509.load_pem_x509_certificate(ca.cert))
        named = set(cert.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)
    except (ValueError, TypeError, x509.ExtensionNotFound, InvalidSignature):
        return False
    wanted = {general_name(name) for name in names}
    return wanted <= named and cert.not_valid_before_utc <= now < cert.not_valid_after_utc - RENEW_BEFORE


def expires(pair: Pair) -> datetime:
    """The end of a certificate's validity."""
    return x509.load_pem_x509_certificate(pair.cert).not_valid_after_utc


def general_name(name: str) -> x509.GeneralName:
    """An address or a host name, as a certificate has it. ValueError where it is neither."""
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    """A CA signs certificates and nothing else; everybody else signs handshakes."""
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def ec_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """The private key of a PEM; ValueError or TypeError where it is none of an elliptic curve."""
    key = load_pem_private_key(pem, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("not an elliptic curve key")
    return key


def _public_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def _pair(key: ec.EllipticCurvePrivateKey, cert: x509.Certificate) -> Pair:
    return Pair(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), cert.public_bytes(Encoding.PEM))
