"""A certificate authority that is not ours, as files: what an operator brings."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = timedelta(days=1)


def name_of(common: str, organisation: str | None = None) -> x509.Name:
    parts = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation)] if organisation else []
    return x509.Name([*parts, x509.NameAttribute(NameOID.COMMON_NAME, common)])


class Pem:
    """A key and its certificate, and where they lie."""

    def __init__(self, folder: Path, name: str, key: ec.EllipticCurvePrivateKey, cert: x509.Certificate) -> None:
        self.name, self.private, self.x509 = name, key, cert
        self.cert, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        self.cert.write_bytes(self.pem)
        self.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))

    @property
    def pem(self) -> bytes:
        return self.x509.public_bytes(Encoding.PEM)

    @property
    def der(self) -> bytes:
        return self.x509.public_bytes(Encoding.DER)

    def encrypt(self) -> None:
        form = BestAvailableEncryption(b"secret")
        self.key.write_bytes(self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, form))


class Authority(Pem):
    """A CA; with `above`, an intermediate one."""

    def __init__(
        self, folder: Path, name: str = "operator-ca", above: "Authority | None" = None, now: datetime | None = None
    ) -> None:
        self.folder, self.now = folder, now or datetime.now(UTC)
        key = ec.generate_private_key(ec.SECP256R1())
        signer = above or self
        self.private = key
        subject = name_of(name)
        builder = self._builder(above.x509.subject if above else subject, subject, key, DAY * 3650)
        builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        super().__init__(folder, name, key, builder.sign(signer.private, SHA256()))

    def _builder(self, issuer, subject, key, validity) -> x509.CertificateBuilder:
        serial = x509.random_serial_number()
        return x509.CertificateBuilder(issuer, subject, key.public_key(), serial, self.now - DAY, self.now + validity)

    def server(self, name: str, validity: timedelta = DAY * 90) -> Pem:
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.DNSName(f"{name}.example")]
        builder = self._builder(self.x509.subject, name_of(name), key, validity)
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        return Pem(self.folder, name, key, builder.sign(self.private, SHA256()))

    def client(self, common: str, organisation: str | None = None, validity: timedelta = DAY * 90) -> Pem:
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(self.x509.subject, name_of(common, organisation), key, validity)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        return Pem(self.folder, f"client-{common}", key, builder.sign(self.private, SHA256()))

    def crl(self, revoked: Sequence[Pem] = (), until: timedelta = DAY * 7, signer: "Authority | None" = None) -> bytes:
        """A revocation list as PEM."""
        ends = self.now + until
        builder = x509.CertificateRevocationListBuilder(self.x509.subject, ends - DAY * 8, ends)
        for each in revoked:
            entry = x509.RevokedCertificateBuilder(each.x509.serial_number, self.now - DAY).build()
            builder = builder.add_revoked_certificate(entry)
        return builder.sign((signer or self).private, SHA256()).public_bytes(Encoding.PEM)
