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
from ringmain.ports.credentials import Credentials, Holder, Role
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
