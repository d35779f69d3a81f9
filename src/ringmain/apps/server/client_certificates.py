"""Client certificates: what the installation's CA signs for a device that shows a certificate request (PKCS #10, RFC
2986). Pure but for the serial's randomness: nothing here reads a file or a clock.

Of the request only the key is taken, and only if its own signature proves that the asker has it (RFC 2986 §3). Whom the
certificate names is for the platform to say: CN is the device's id, O its tenant; the subject and the extensions that
were asked for are ignored.
"""

import re
from datetime import timedelta
from functools import cached_property

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from ringmain.apps.server.certificates import ALWAYS_NAMED, BACKDATED, Pair, ec_key, general_name, key_usage
from ringmain.model.device import Device
from ringmain.model.errors import Refused
from ringmain.model.gateway import GATEWAY_PROFILE
from ringmain.model.time import instant_of, utc
from ringmain.ports.credentials import Certificate
from ringmain.services.lifecycle.claims import Issued

CLIENT_VALIDITY = timedelta(days=397)
"""As long as the server's own; a device that is in use asks for the next one before."""

RSA_BITS_MIN = 2_048
"""NIST SP 800-131A: smaller keys are disallowed."""

RSA_BITS_MAX = 4_096
"""What a larger one costs at each sign-in, the platform pays."""

_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?")

_HINT = (
    "Make one with: openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout device.key"
    " -subj /CN=device"
)


class Issuer:
    """Signs with the CA's key; an instance is the `Issue` of `services.lifecycle.claims`."""

    def __init__(self, ca: Pair) -> None:
        self._ca = ca
        self.ca_pem = ca.cert.decode()

    @cached_property
    def _key(self) -> ec.EllipticCurvePrivateKey:
        return ec_key(self._ca.key)

    @cached_property
    def _cert(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self._ca.cert)

    def __call__(self, csr: str, device: Device, at_ms: int) -> Issued:
        """A certificate for the key of a CSR (PEM). `Refused("unprocessable")` where it is none, its signature is not
        its key's, or the key is not P-256, Ed25519, or RSA of 2048 to 4096 bits.
        """
        now, public = utc(at_ms), _key_of(csr)
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, device.tenant),
                x509.NameAttribute(NameOID.COMMON_NAME, device.id),
            ]
        )
        until = min(now + CLIENT_VALIDITY, self._cert.not_valid_after_utc)
        serial = x509.random_serial_number()
        builder = (
            x509.CertificateBuilder(self._cert.subject, subject, public, serial, now - BACKDATED, until)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(key_usage(signs_certificates=False), critical=True)
            .add_extension(x509.ExtendedKeyUsage(_uses(device)), critical=False)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if _serves(device):
            builder = builder.add_extension(_names(device), critical=False)
        cert = builder.sign(self._key, SHA256())
        der = cert.public_bytes(Encoding.DER)
        spki = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return Issued(Certificate(f"{serial:x}", der, instant_of(cert.not_valid_after_utc)), spki)


def _serves(device: Device) -> bool:
    """Whether others connect to it with TLS: a gateway, its meters."""
    return device.profile == GATEWAY_PROFILE


def _uses(device: Device) -> list[x509.ObjectIdentifier]:
    uses = [ExtendedKeyUsageOID.CLIENT_AUTH]
    return [*uses, ExtendedKeyUsageOID.SERVER_AUTH] if _serves(device) else uses


def _names(device: Device) -> x509.SubjectAlternativeName:
    """Under which its meters reach a gateway: its own id, and its own machine. No other, whatever it asks for: with the
    platform's name it could stand in the platform's place.
    """
    own = [device.id] if _HOST.fullmatch(device.id) else []
    return x509.SubjectAlternativeName([general_name(name) for name in (*own, *ALWAYS_NAMED)])


def pem_of(der: bytes) -> str:
    """A certificate as people and libraries take it."""
    return x509.load_der_x509_certificate(der).public_bytes(Encoding.PEM).decode()


Key = ec.EllipticCurvePublicKey | ed25519.Ed25519PublicKey | rsa.RSAPublicKey


def _key_of(pem: str) -> Key:
    try:
        csr = x509.load_pem_x509_csr(pem.encode())
        key = csr.public_key()
        if not isinstance(key, Key):
            raise _refused("Its key is none of P-256, Ed25519 and RSA")
        _sound(key)
        if not isinstance(csr.signature_hash_algorithm, SHA256 | SHA384 | SHA512 | None):
            raise _refused("It is not signed with SHA-2")
        if not csr.is_signature_valid:
            raise _refused("Its signature was not made with its key")
    except (ValueError, TypeError, UnsupportedAlgorithm, InvalidSignature) as error:
        raise _refused("It can not be read") from error
    return key


def _sound(key: Key) -> None:
    if isinstance(key, ec.EllipticCurvePublicKey) and not isinstance(key.curve, ec.SECP256R1):
        raise _refused(f"Its key is on the curve {key.curve.name}, not on P-256")
    if isinstance(key, rsa.RSAPublicKey) and not RSA_BITS_MIN <= key.key_size <= RSA_BITS_MAX:
        raise _refused(f"Its RSA key has {key.key_size} bits, not {RSA_BITS_MIN} to {RSA_BITS_MAX}")


def _refused(why: str) -> Refused:
    return Refused("unprocessable", f"The certificate request was not accepted. {why}. Nothing was changed.", _HINT)
