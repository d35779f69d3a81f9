"""The certificates themselves: extensions, validity, and what counts as still good."""

from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from ringmain.apps.server.certificates import (
    ALWAYS_NAMED,
    Pair,
    belongs_together,
    expires,
    is_current,
    new_ca,
    new_server_certificate,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
CA = new_ca(NOW)
SERVER = new_server_certificate(CA, ALWAYS_NAMED, NOW)


def extension(pair: Pair, kind: type) -> object:
    return x509.load_pem_x509_certificate(pair.cert).extensions.get_extension_for_class(kind).value


def test_the_ca_signs_certificates_and_nothing_else() -> None:
    assert extension(CA, x509.BasicConstraints) == x509.BasicConstraints(ca=True, path_length=0)
    usage = extension(CA, x509.KeyUsage)
    assert usage.key_cert_sign
    assert not usage.digital_signature


def test_the_server_certificate_can_not_sign_others() -> None:
    assert not extension(SERVER, x509.BasicConstraints).ca
    assert not extension(SERVER, x509.KeyUsage).key_cert_sign
    assert list(extension(SERVER, x509.ExtendedKeyUsage)) == [x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]


def test_two_installations_have_different_cas() -> None:
    other = new_ca(NOW)
    assert x509.load_pem_x509_certificate(other.cert).subject != x509.load_pem_x509_certificate(CA.cert).subject


def test_a_server_certificate_does_not_outlive_its_ca() -> None:
    late = expires(CA) - timedelta(days=40)
    assert expires(new_server_certificate(CA, ALWAYS_NAMED, late)) == expires(CA)


@pytest.mark.parametrize(
    ("after", "current"),
    [
        (timedelta(0), True),
        (timedelta(days=366, hours=23), True),
        (timedelta(days=367), False),
        (timedelta(days=-2), False),
    ],
)
def test_how_long_it_is_current(after: timedelta, current: bool) -> None:
    assert is_current(SERVER, CA, ALWAYS_NAMED, NOW + after) is current


def test_what_makes_it_not_current() -> None:
    assert not is_current(SERVER, new_ca(NOW), ALWAYS_NAMED, NOW)
    assert not is_current(SERVER, CA, ("other.example",), NOW)
    assert not is_current(CA, CA, ALWAYS_NAMED, NOW)
    assert not is_current(Pair(CA.key, SERVER.cert), CA, ALWAYS_NAMED, NOW)


@pytest.mark.parametrize("pair", [Pair(b"", b""), Pair(CA.key, b"x"), Pair(b"x", CA.cert), Pair(CA.cert, CA.key)])
def test_garbage_does_not_belong_together(pair: Pair) -> None:
    assert not belongs_together(pair)
    assert belongs_together(CA)


def test_a_name_that_is_none() -> None:
    with pytest.raises(ValueError, match="A-label"):
        new_server_certificate(CA, ("zähler.example",), NOW)


def test_a_pair_does_not_show_its_key() -> None:
    assert "PRIVATE" not in repr(CA)
