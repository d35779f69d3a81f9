"""One suite over every home of the claims: used once, by one, and never half."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace

import pytest

from ringmain.adapters.embedded.claims import Claims as EmbeddedClaims
from ringmain.adapters.embedded.credentials import Credentials as EmbeddedCredentials
from ringmain.adapters.embedded.database import Database
from ringmain.adapters.embedded.directory import Directory as EmbeddedDirectory
from ringmain.adapters.embedded.registry import Registry as EmbeddedRegistry
from ringmain.adapters.simulated.claims import Claims as SimulatedClaims
from ringmain.adapters.simulated.credentials import Credentials as SimulatedCredentials
from ringmain.adapters.simulated.directory import Directory as SimulatedDirectory
from ringmain.adapters.simulated.registry import Registry as SimulatedRegistry
from ringmain.model.device import LifecycleState
from ringmain.model.errors import Refused
from ringmain.ports.claims import Claims, Redemption
from ringmain.ports.credentials import Certificate, Credentials, Holder
from ringmain.ports.registry import NewDevice, Registry

REGISTERED, PROVISIONED, ACTIVE, SUSPENDED, DECOMMISSIONED = LifecycleState
CLAIM, OTHER = b"c" * 32, b"d" * 32
CERTIFICATE = Certificate("a1", b"der", 9_000)
PLAIN = Redemption(None, b"token", b"sealed")
NAMED = Redemption(b"me", b"token", b"sealed")
WITH_KEY = Redemption(b"me", b"token", b"sealed", CERTIFICATE, b"fingerprint")


class House(SimpleNamespace):
    claims: Claims
    registry: Registry
    credentials: Credentials

    async def open(self, digest=CLAIM, becomes=ACTIVE, at_ms=10, expires_ms=100, device=1):
        await self.claims.open(device, digest, becomes, at_ms=at_ms, expires_ms=expires_ms, by="ann")

    async def state(self, device=1):
        return (await self.registry.by_key(device)).state


@pytest.fixture(params=["embedded", "simulated"])
async def house(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[House]:
    """With the registered devices 1 (`x` of tenant `a`) and 2 (`x` of tenant `b`)."""
    database = None
    if request.param == "simulated":
        directory = SimulatedDirectory()
        credentials = SimulatedCredentials(directory)
        registry = SimulatedRegistry(directory, credentials)
        claims = SimulatedClaims(registry, credentials)
    else:
        database = await Database.open(tmp_path / "registry.sqlite")
        directory, credentials = EmbeddedDirectory(database), EmbeddedCredentials(database)
        registry = EmbeddedRegistry(database)
        claims = EmbeddedClaims(database, registry, credentials)
    for tenant in "ab":
        await directory.add_tenant(tenant, 1)
        await registry.add(tenant, [NewDevice("x", "generic")], 1)
    yield House(claims=claims, registry=registry, credentials=credentials)
    if database is not None:
        await database.close()


async def test_what_was_never_opened_is_nothing(house: House):
    for digest in (CLAIM, b"", CLAIM[:31], CLAIM + b"c"):
        assert await house.claims.look(digest, 10) is None
        assert await house.claims.redeem(digest, PLAIN, 10) is None
    assert await house.credentials.holder(b"token") is None


@pytest.mark.parametrize("state", [PROVISIONED, ACTIVE])
async def test_a_device_that_is_further_gets_none(house: House, state):
    for seen, to in ((REGISTERED, PROVISIONED), (PROVISIONED, ACTIVE)):
        if await house.state() is not state:
            await house.registry.move(1, seen, to, 5, "ann")
    with pytest.raises(Refused) as refused:
        await house.open()
    assert refused.value.code == "invalid_transition"
    assert await house.claims.look(CLAIM, 11) is None


async def test_a_device_that_is_not_there_gets_none(house: House):
    with pytest.raises(Refused) as refused:
        await house.open(device=99)
    assert refused.value.code == "not_found"


async def test_a_digest_is_never_used_for_two(house: House):
    await house.open()
    with pytest.raises(Refused) as refused:
        await house.open(device=2)
    assert refused.value.code == "already_exists"
    assert (await house.claims.look(CLAIM, 11)).key == 1


async def test_redeemed_it_leads_to_where_it_says_and_the_journal_knows(house: House):
    await house.open()
    assert (await house.claims.look(CLAIM, 20)).tenant == "a"
    assert (await house.registry.device("a", "x")).state is REGISTERED  # known by heart from here on
    redeemed = await house.claims.redeem(CLAIM, WITH_KEY, 20)
    assert (redeemed.device.state, redeemed.device.state_since_ms) == (ACTIVE, 20)
    assert (redeemed.certificate, redeemed.is_first) == (CERTIFICATE, True)
    assert await house.registry.by_key(1) == redeemed.device
    assert await house.registry.device("a", "x") == redeemed.device
    assert await house.registry.journal(1) == [
        (20, REGISTERED, PROVISIONED, "claim"),
        (20, PROVISIONED, ACTIVE, "claim"),
    ]
    assert await house.credentials.holder(b"token") == Holder("a", "x", device=1)
    assert await house.credentials.holder(b"fingerprint") == Holder("a", "x", device=1, expires_ms=9_000)
    assert (await house.credentials.sealed([1]))[1][0].sealed == b"sealed"
    assert await house.state(2) is REGISTERED


async def test_one_that_does_not_activate(house: House):
    await house.open(becomes=PROVISIONED)
    assert (await house.claims.redeem(CLAIM, PLAIN, 20)).device.state is PROVISIONED
    assert await house.registry.journal(1) == [(20, REGISTERED, PROVISIONED, "claim")]


async def test_it_ends_what_the_device_signed_in_with_before(house: House):
    await house.credentials.grant(b"left", Holder("a", "x", device=1), 1)
    await house.credentials.grant(b"other", Holder("b", "x", device=2), 1)
    assert await house.credentials.holder(b"left") is not None  # known by heart from here on
    await house.open()
    await house.claims.redeem(CLAIM, PLAIN, 20)
    assert set(await house.credentials.holders([b"left", b"other", b"token"])) == {b"other", b"token"}
    assert await house.credentials.holder(b"left") is None


async def test_used_up_it_is_nothing_to_whoever_has_no_name(house: House):
    await house.open()
    assert await house.claims.redeem(CLAIM, PLAIN, 20) is not None
    for redemption in (PLAIN, NAMED, Redemption(None, b"token-2", b"s")):
        assert await house.claims.redeem(CLAIM, redemption, 21) is None
    assert await house.credentials.holder(b"token-2") is None
    assert len(await house.registry.journal(1)) == 2


@pytest.mark.parametrize("redemption", [NAMED, WITH_KEY])
async def test_the_same_claimant_is_answered_again_until_it_would_have_expired(house: House, redemption):
    await house.open()
    first = await house.claims.redeem(CLAIM, redemption, 20)
    other = Certificate("b2", b"made again", 9_999)
    changed = Redemption(b"me", b"token", b"sealed", other if first.certificate else None, b"another")
    again = await house.claims.redeem(CLAIM, changed, 99)
    assert (again.certificate, again.is_first) == (first.certificate, False)
    assert again.device == first.device
    assert await house.credentials.holder(b"another") is None
    assert len(await house.registry.journal(1)) == 2
    assert await house.claims.redeem(CLAIM, Redemption(b"you", b"token", b"sealed"), 99) is None
    assert await house.claims.redeem(CLAIM, redemption, 100) is None


async def test_no_second_answer_once_the_token_was_replaced(house: House):
    await house.open()
    await house.claims.redeem(CLAIM, WITH_KEY, 20)
    await house.credentials.replace(b"newer", Holder("a", "x", device=1), 30)
    assert await house.claims.redeem(CLAIM, WITH_KEY, 40) is None


async def test_no_second_answer_once_the_certificate_was_revoked(house: House):
    await house.open()
    await house.claims.redeem(CLAIM, WITH_KEY, 20)
    await house.credentials.revoke_device(1, 30, serial="a1")
    assert await house.claims.redeem(CLAIM, WITH_KEY, 40) is None


async def test_expired_it_is_nothing(house: House):
    await house.open()
    assert (await house.claims.look(CLAIM, 99)).key == 1
    assert await house.claims.look(CLAIM, 100) is None
    assert await house.claims.redeem(CLAIM, PLAIN, 100) is None
    assert await house.state() is REGISTERED
    assert await house.credentials.holder(b"token") is None


async def test_a_new_one_replaces_an_open_one_of_that_device_alone(house: House):
    await house.open()
    await house.open(b"e" * 32, device=2)
    await house.open(OTHER)
    assert await house.claims.redeem(CLAIM, PLAIN, 20) is None
    assert await house.state() is REGISTERED
    assert (await house.claims.redeem(OTHER, PLAIN, 20)).device.state is ACTIVE
    assert (await house.claims.look(b"e" * 32, 20)).key == 2


async def test_it_is_void_once_the_device_went_another_way(house: House):
    await house.open()
    await house.registry.move(1, REGISTERED, PROVISIONED, 15, "ann")
    assert await house.claims.redeem(CLAIM, PLAIN, 20) is None
    assert await house.state() is PROVISIONED
    assert await house.credentials.holder(b"token") is None


async def test_of_many_at_once_one_gets_it(house: House):
    await house.open()
    tries = [Redemption(None, bytes([n]), b"s") for n in range(20)]
    done = await asyncio.gather(*(house.claims.redeem(CLAIM, it, 20) for it in tries))
    assert sum(it is not None for it in done) == 1
    held = await house.credentials.holders([it.token_digest for it in tries])
    assert len(held) == 1
    assert len(await house.registry.journal(1)) == 2


async def test_a_token_that_is_anothers_changes_nothing(house: House):
    await house.credentials.grant(b"mine", Holder("a", "x", device=1), 1)
    await house.credentials.grant(b"token", Holder("b", "x", device=2), 1)
    await house.open()
    with pytest.raises(Refused):
        await house.claims.redeem(CLAIM, PLAIN, 20)
    assert await house.state() is REGISTERED
    assert await house.registry.journal(1) == []
    assert await house.credentials.holder(b"mine") is not None
    assert await house.credentials.holder(b"token") == Holder("b", "x", device=2)
    assert (await house.claims.redeem(CLAIM, Redemption(None, b"fresh", b"s"), 21)).device.state is ACTIVE
