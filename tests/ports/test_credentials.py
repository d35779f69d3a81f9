"""One suite over every home of the credentials."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringmain.adapters.embedded.credentials import Credentials as EmbeddedCredentials
from ringmain.adapters.embedded.database import Database
from ringmain.adapters.embedded.directory import Directory as EmbeddedDirectory
from ringmain.adapters.embedded.registry import Registry as EmbeddedRegistry
from ringmain.adapters.simulated.credentials import Credentials as SimulatedCredentials
from ringmain.adapters.simulated.directory import Directory as SimulatedDirectory
from ringmain.adapters.simulated.registry import Registry as SimulatedRegistry
from ringmain.model.errors import Refused
from ringmain.ports.credentials import Certificate, Credentials, Holder, Role, SealedToken
from ringmain.ports.registry import NewDevice

ADMIN = Holder("a", "ann", role=Role.ADMIN)
ONE, TWO, THREE = (bytes([n]) * 32 for n in (1, 2, 3))


@pytest.fixture(params=["embedded", "simulated"])
async def credentials(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Credentials]:
    """With the devices 1 (`x` of tenant `a`) and 2 (`x` of tenant `b`)."""
    database = None
    if request.param == "simulated":
        directory = SimulatedDirectory()
        credentials = SimulatedCredentials(directory)
        registry = SimulatedRegistry(directory, credentials)
    else:
        database = await Database.open(tmp_path / "registry.sqlite")
        directory, credentials = EmbeddedDirectory(database), EmbeddedCredentials(database)
        registry = EmbeddedRegistry(database)
    for key, tenant in enumerate("ab", 1):
        await directory.add_tenant(tenant, 1)
        (device,) = await registry.add(tenant, [NewDevice("x", "generic")], 1)
        assert device.key == key
    yield credentials
    if database is not None:
        await database.close()


X_OF_A, X_OF_B = Holder("a", "x", device=1), Holder("b", "x", device=2)


async def test_an_unknown_digest_is_nobodys(credentials: Credentials):
    assert await credentials.holder(ONE) is None
    await credentials.grant(ONE, ADMIN, 1)
    for digest in (TWO, b"", ONE[:31], ONE + b"\1"):
        assert await credentials.holder(digest) is None
    assert await credentials.holders([TWO]) == {}


async def test_a_digest_in_use_is_refused_to_everyone(credentials: Credentials):
    await credentials.grant(ONE, X_OF_A, 1)
    for holder in (X_OF_A, X_OF_B, ADMIN):
        with pytest.raises(Refused) as refused:
            await credentials.grant(ONE, holder, 2)
        assert refused.value.code == "already_exists"
    assert await credentials.holder(ONE) == X_OF_A


async def test_a_tenant_that_does_not_exist_gets_no_token(credentials: Credentials):
    with pytest.raises(Refused) as refused:
        await credentials.grant(ONE, Holder("nobody", "ann", role=Role.VIEWER), 1)
    assert refused.value.code == "not_found"
    assert await credentials.holder(ONE) is None


async def test_a_revoked_token_works_no_more_and_the_others_do(credentials: Credentials):
    await credentials.grant(ONE, X_OF_A, 1)
    await credentials.grant(TWO, X_OF_A, 1)
    await credentials.grant(THREE, X_OF_B, 1)
    assert await credentials.holder(ONE) == X_OF_A  # known by heart from here on
    assert await credentials.revoke_device(1, 2) == 2
    assert await credentials.holder(ONE) is None
    assert await credentials.holder(TWO) is None
    assert await credentials.holder(THREE) == X_OF_B
    assert await credentials.holders([ONE, TWO, THREE]) == {THREE: X_OF_B}
    assert await credentials.revoke_device(1, 3) == 0


async def test_a_revoked_token_may_be_granted_to_another(credentials: Credentials):
    await credentials.grant(ONE, X_OF_A, 1)
    assert await credentials.holder(ONE) == X_OF_A
    await credentials.revoke_device(1, 2)
    await credentials.grant(ONE, X_OF_B, 3)
    assert await credentials.holder(ONE) == X_OF_B


async def test_replacing_ends_all_older_tokens_of_that_device_alone(credentials: Credentials):
    assert await credentials.replace(ONE, X_OF_A, 1) == 0
    await credentials.grant(TWO, X_OF_B, 1)
    await credentials.grant(b"admin", ADMIN, 1)
    assert await credentials.holders([ONE, TWO]) == {ONE: X_OF_A, TWO: X_OF_B}
    assert await credentials.replace(THREE, X_OF_A, 2) == 1
    assert await credentials.holder(ONE) is None
    assert await credentials.holder(THREE) == X_OF_A
    assert await credentials.holder(TWO) == X_OF_B
    assert await credentials.holder(b"admin") == ADMIN


async def test_replacing_by_the_token_it_has_already_works(credentials: Credentials):
    await credentials.grant(ONE, X_OF_A, 1)
    assert await credentials.replace(ONE, X_OF_A, 2) == 1
    assert await credentials.holder(ONE) == X_OF_A


async def test_replacing_by_a_token_of_another_is_refused_and_revokes_nothing(credentials: Credentials):
    await credentials.grant(ONE, X_OF_A, 1)
    await credentials.grant(TWO, X_OF_B, 1)
    with pytest.raises(Refused) as refused:
        await credentials.replace(TWO, X_OF_A, 2)
    assert refused.value.code == "already_exists"
    assert await credentials.holders([ONE, TWO]) == {ONE: X_OF_A, TWO: X_OF_B}


@pytest.mark.parametrize("role", list(Role))
async def test_a_user_is_found_with_the_role(credentials: Credentials, role):
    holder = Holder("b", "bob", role=role)
    await credentials.grant(ONE, holder, 1)
    assert await credentials.holder(ONE) == holder
    assert await credentials.holder(ONE) == holder


async def test_replacing_a_users_token_revokes_no_other_users(credentials: Credentials):
    await credentials.grant(ONE, ADMIN, 1)
    assert await credentials.replace(TWO, Holder("a", "bob", role=Role.VIEWER), 2) == 0
    assert await credentials.holder(ONE) == ADMIN


FIRST, SECOND = Certificate("a1", b"first", 1000), Certificate("b2", b"second", 2000)


async def test_a_certificate_is_a_credential_with_an_end(credentials: Credentials):
    await credentials.grant(ONE, X_OF_A, 1, certificate=FIRST)
    expected = Holder("a", "x", device=1, expires_ms=1000)
    assert await credentials.holder(ONE) == expected
    assert await credentials.holder(ONE) == expected
    assert await credentials.holders([ONE]) == {ONE: expected}
    with pytest.raises(Refused, match="in use"):
        await credentials.grant(ONE, X_OF_B, 2)


async def test_certificates_are_listed_oldest_first_until_they_are_revoked(credentials: Credentials):
    assert await credentials.certificates(1) == []
    await credentials.grant(TWO, X_OF_A, 1, certificate=SECOND)
    await credentials.grant(ONE, X_OF_A, 2, certificate=FIRST)
    await credentials.grant(THREE, X_OF_A, 2)
    assert await credentials.certificates(1) == [SECOND, FIRST]
    assert await credentials.certificates(2) == []
    assert await credentials.revoke_device(1, 3) == 3
    assert await credentials.certificates(1) == []


async def test_a_serial_revokes_that_certificate_of_that_device_alone(credentials: Credentials):
    await credentials.grant(ONE, X_OF_A, 1, certificate=FIRST)
    await credentials.grant(TWO, X_OF_A, 1, certificate=SECOND)
    await credentials.grant(THREE, X_OF_A, 1)
    assert await credentials.holder(ONE) is not None
    assert await credentials.revoke_device(2, 2, serial="a1") == 0
    assert await credentials.revoke_device(1, 2, serial="none") == 0
    assert await credentials.revoke_device(1, 2, serial="a1") == 1
    assert await credentials.revoke_device(1, 3, serial="a1") == 0
    assert await credentials.holder(ONE) is None
    assert set(await credentials.holders([ONE, TWO, THREE])) == {TWO, THREE}
    assert await credentials.certificates(1) == [SECOND]


async def test_replacing_the_token_leaves_the_certificates(credentials: Credentials):
    await credentials.grant(ONE, X_OF_A, 1, certificate=FIRST)
    await credentials.grant(TWO, X_OF_A, 1)
    assert await credentials.replace(THREE, X_OF_A, 2) == 1
    assert set(await credentials.holders([ONE, TWO, THREE])) == {ONE, THREE}


async def test_only_sealed_tokens_in_force_can_be_told(credentials: Credentials):
    await credentials.grant(ONE, X_OF_A, 1)
    await credentials.grant(TWO, X_OF_B, 1, sealed=b"s2")
    await credentials.grant(b"user", ADMIN, 1, sealed=b"never")
    await credentials.grant(b"cert", X_OF_A, 1, certificate=FIRST)
    assert await credentials.sealed([1]) == {}
    assert await credentials.sealed([]) == {}
    assert await credentials.sealed([1, 2, 3]) == {2: [SealedToken(TWO, b"s2")]}
    assert await credentials.replace(THREE, X_OF_A, 2, sealed=b"s3") == 1
    assert await credentials.sealed([1]) == {1: [SealedToken(THREE, b"s3")]}
    with pytest.raises(Refused):
        await credentials.replace(TWO, X_OF_A, 3, sealed=b"s4")
    assert await credentials.sealed([1]) == {1: [SealedToken(THREE, b"s3")]}
    await credentials.revoke_device(1, 4)
    assert await credentials.sealed([1, 2]) == {2: [SealedToken(TWO, b"s2")]}
