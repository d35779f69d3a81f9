"""TLS files: read, judged, and made into a context of the TLS listener; or refused with the reason, and then nothing of
them is used (RFC 5280, RFC 8446 §4.4).

Clients' certificates are of the installation's own CA, or of further ones that the operator names. For the own CA
there is an empty revocation list where the operator's file has none: OpenSSL asks each issuer for one, and what the
platform itself revoked is looked up at sign-in.
"""

import re
import ssl
import tempfile
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from ringmain.apps.server.certificates import BACKDATED, CA_VALIDITY, Pair, ec_key
from ringmain.model.errors import Refused
from ringmain.model.time import Instant, instant_of
from ringmain.transports.ssl_context import server_context

FILE_BYTES_MAX = 1 << 20
"""A revocation list of some 20,000 certificates takes that, and reading it half a second in which nothing else happens;
a certificate with its chain has a hundredth."""

_CRL = re.compile(rb"-----BEGIN X509 CRL-----.+?-----END X509 CRL-----", re.DOTALL)


class TlsFiles(msgspec.Struct, frozen=True):
    """Where they lie. `client_ca` and `crl` only where the operator named some."""

    certificate: Path
    key: Path
    client_ca: Path | None = None
    crl: Path | None = None

    def paths(self) -> tuple[Path, ...]:
        """All that are read."""
        return tuple(path for path in (self.certificate, self.key, self.client_ca, self.crl) if path is not None)


class TlsInForce(msgspec.Struct, frozen=True):
    """What new connections meet. `issuers` are the CA certificates behind the server's own in its file (PEM).
    `revoked` are (issuer, serial) of all lists; `distrusted` are the names of CAs among them. `unlisted` are the CAs
    whose clients are all refused because there are lists, and none of theirs.
    """

    context: ssl.SSLContext
    subject: str
    expires_ms: Instant
    issuers: str
    foreign: bool
    revoked: frozenset[tuple[x509.Name, int]]
    distrusted: frozenset[x509.Name]
    lists_until_ms: Instant | None
    unlisted: tuple[str, ...]

    def is_revoked(self, cert: x509.Certificate) -> bool:
        """Whether a list names it, or the CA that issued it."""
        return (cert.issuer, cert.serial_number) in self.revoked or cert.issuer in self.distrusted


def take(files: TlsFiles, own_ca: Pair, now: datetime, *, required: bool) -> TlsInForce:
    """What these files come to. `Refused("unprocessable")` where one is missing or damaged, certificate and key are no
    pair, the certificate is out of date, or a list is not signed by a CA whose clients are let in.
    """
    server = _certificates(files.certificate)
    leaf = server[0]
    if not leaf.not_valid_before_utc <= now < leaf.not_valid_after_utc:
        raise _refused(files.certificate, f"it is valid from {leaf.not_valid_before_utc} to {leaf.not_valid_after_utc}")
    cas = [x509.load_pem_x509_certificate(own_ca.cert)]
    if files.client_ca is not None:
        cas += _cas(files.client_ca)
    lists = _lists(files.crl, cas) if files.crl is not None else []
    if lists and not _issued(lists, cas[0]):
        lists.append(_empty_list(own_ca, now))
    # An intermediate CA may be named alone, and is trusted then. OpenSSL can not look for its own revocation, because
    # nobody is there who could have signed that list; where its issuer is named too, it does.
    rooted = all(any(ca.issuer == other.subject for other in cas) for ca in cas)
    unlisted = tuple(ca.subject.rfc4514_string() for ca in cas if lists and not _issued(lists, ca))
    with tempfile.TemporaryDirectory(prefix="ringmain-tls-") as folder:
        trusted, revoked = Path(folder, "cas.pem"), Path(folder, "crls.pem")
        trusted.write_bytes(b"".join(ca.public_bytes(Encoding.PEM) for ca in cas))
        revoked.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in lists))
        try:
            context = server_context(
                files.certificate,
                files.key,
                trusted,
                client_certificate_required=required,
                crls=revoked if lists else None,
                partial_chain=not rooted,
                crls_of_chain=rooted and not unlisted,
            )
        except OSError as error:  # SSLError is one
            raise _refused(files.key, f"it can not be used with {files.certificate}: {error}") from error
    named = frozenset((each.issuer, entry.serial_number) for each in lists for entry in each)
    return TlsInForce(
        context=context,
        subject=leaf.subject.rfc4514_string(),
        expires_ms=instant_of(leaf.not_valid_after_utc),
        issuers="".join(cert.public_bytes(Encoding.PEM).decode() for cert in server[1:]),
        foreign=files.client_ca is not None,
        revoked=named,
        distrusted=frozenset(ca.subject for ca in cas if (ca.issuer, ca.serial_number) in named),
        lists_until_ms=min((instant_of(each.next_update_utc) for each in lists if each.next_update_utc), default=None),
        unlisted=unlisted,
    )


def read(path: Path) -> bytes:
    """A file's content, if it is not too large."""
    try:
        with path.open("rb") as file:
            content = file.read(FILE_BYTES_MAX + 1)
    except OSError as error:
        raise _refused(path, f"it can not be read: {error.strerror}") from error
    if len(content) > FILE_BYTES_MAX:
        raise _refused(path, f"it is larger than {FILE_BYTES_MAX:,} bytes")
    return content


def _certificates(path: Path) -> list[x509.Certificate]:
    try:
        return x509.load_pem_x509_certificates(read(path))
    except ValueError as error:
        raise _refused(path, f"it holds no certificates as PEM: {error}") from error


def _cas(path: Path) -> list[x509.Certificate]:
    found = _certificates(path)
    for cert in found:
        try:
            is_ca = cert.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
        except (x509.ExtensionNotFound, ValueError):
            is_ca = False
        if not is_ca:
            raise _refused(path, f"{cert.subject.rfc4514_string()} in it is no CA's certificate (RFC 5280 §4.2.1.9)")
    return found


def _lists(path: Path, cas: Sequence[x509.Certificate]) -> list[x509.CertificateRevocationList]:
    blocks = _CRL.findall(read(path))
    if not blocks:
        raise _refused(path, "it holds no certificate revocation list as PEM")
    try:
        found = [x509.load_pem_x509_crl(block) for block in blocks]
        for each in found:
            if not any(each.issuer == ca.subject and _signed(each, ca) for ca in cas):
                raise _refused(path, f"no CA of clients has signed the list of {each.issuer.rfc4514_string()}")
    except ValueError as error:
        raise _refused(path, f"a list in it can not be read: {error}") from error
    return found


def _signed(each: x509.CertificateRevocationList, ca: x509.Certificate) -> bool:
    try:
        return each.is_signature_valid(ca.public_key())  # type: ignore[arg-type]  # others than signing keys: TypeError
    except (InvalidSignature, TypeError, UnsupportedAlgorithm):
        return False


def _issued(lists: Sequence[x509.CertificateRevocationList], ca: x509.Certificate) -> bool:
    return any(each.issuer == ca.subject for each in lists)


def _empty_list(ca: Pair, now: datetime) -> x509.CertificateRevocationList:
    issuer = x509.load_pem_x509_certificate(ca.cert).subject
    builder = x509.CertificateRevocationListBuilder(issuer, now - BACKDATED, now + CA_VALIDITY + timedelta(days=1))
    return builder.sign(ec_key(ca.key), SHA256())


def _refused(path: Path, why: str) -> Refused:
    return Refused("unprocessable", f"{path} is of no use: {why}", "put a sound file there")
