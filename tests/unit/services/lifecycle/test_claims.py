"""Claims: one claimant gets in, once, and everybody else hears the same words."""

import asyncio
from types import SimpleNamespace

import msgspec
import pytest

from ringmain.adapters.simulated.claims import Claims as ClaimsHome
from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.credentials import Credentials
from ringmain.adapters.simulated.directory import Directory
from ringmain.adapters.simulated.registry import Registry
from ringmain.model.device import LifecycleState
from ringmain.model.errors import Failed, Refused
from ringmain.ports.credentials import Certificate
from ringmain.ports.registry import NewDevice
from ringmain.services.lifecycle.claims import TTL_S, TTL_S_MAX, TTL_S_MIN, ClaimRequest, Claims, Issued
from ringmain.services.lifecycle.service import Lifecycle
from ringmain.services.lifecycle.tokens import TokenDigest, is_claim

REGISTERED, PROVISIONED, ACTIVE, SUSPENDED, DECOMMISSIONED = LifecycleState
TOKENS = TokenDigest(bytes(range(32)))
NONCE = "n" * 16
BY_KEY, BY_NONCE, NAMELESS = ClaimRequest(csr="key-1"), ClaimRequest(nonce=NONCE), ClaimRequest()


class House(SimpleNamespace):
    def issue(self, csr, device, at_ms):
        """Each signature has another serial; the key is the text of the CSR."""
        if csr == "bad":
            raise Refused("unprocessable", "that is no CSR")
        self.issued += 1
        der = f"{device.tenant}/{device.id} {csr} {self.issued}".encode()
        return Issued(Certificate(str(self.issued), der, at_ms + 1000), csr.encode())

    async def redeemed(self, device, via):
        if self.deaf:
            raise Failed("storage_failed", "the delegation was not written")
        self.heard.append((device.id, device.state, via))

    async def refused(self, claim, request=NAMELESS, via=None, code="bad_credentials"):
        with pytest.raises(Refused) as refused:
            await self.claims.redeem(claim, request, via)
        assert refused.value.code == code
        return refused.value.detail, refused.value.hint

    async def state(self, key=1):
        return (await self.registry.by_key(key)).state


@pytest.fixture
async def house():
    """Tenant `a` has the registered devices `x` (1) and `y` (2) and the active gateway `g` (3); `b` has `h` (4)."""
    directory = Directory()
    credentials = Credentials(directory)
    registry = Registry(directory, credentials)
    house = House(registry=registry, credentials=credentials, clock=SimulatedClock(1_000))
    house.told, house.heard, house.issued, house.deaf = [], [], 0, False
    for tenant in "ab":
        await directory.add_tenant(tenant, 0)
    new = [NewDevice(id, "generic") for id in "xy"]
    await registry.add("a", [*new, NewDevice("g", "gateway", ACTIVE)], 0)
    await registry.add("b", [NewDevice("h", "gateway", ACTIVE)], 0)

    def tell(device, before):
        house.told.append((device.id, before, device.state))

    house.lifecycle = Lifecycle(registry, directory, credentials, house.clock, TOKENS, [tell])
    home = ClaimsHome(registry, credentials)
    house.claims = Claims(house.lifecycle, registry, home, house.clock, TOKENS, house.issue, [house.redeemed])
    return house


async def test_a_claim_becomes_an_active_device_with_a_token(house):
    opened = await house.claims.open("a", "x")
    assert is_claim(opened.claim)
    assert opened.expires_ms == 1_000 + TTL_S * 1000
    provisioned = await house.claims.redeem(opened.claim, NAMELESS)
    assert (provisioned.device.id, provisioned.device.state, provisioned.certificate) == ("x", ACTIVE, None)
    holder = await house.credentials.holder(TOKENS.of(provisioned.token))
    assert (holder.tenant, holder.name, holder.device) == ("a", "x", 1)
    ((token,),) = (await house.credentials.sealed([1])).values()
    assert TOKENS.unseal(token.digest, token.sealed) == TOKENS.unseal(token.digest, TOKENS.seal(provisioned.token))
    assert house.told == [("x", REGISTERED, ACTIVE)]
    assert house.heard == [("x", ACTIVE, None)]


async def test_with_a_csr_comes_a_certificate_that_signs_in(house):
    opened = await house.claims.open("a", "x", activate=False)
    provisioned = await house.claims.redeem(opened.claim, BY_KEY)
    assert provisioned.device.state is PROVISIONED
    assert provisioned.certificate.der == b"a/x key-1 1"
    holder = await house.credentials.holder(TOKENS.of_certificate(b"a/x key-1 1"))
    assert (holder.device, holder.expires_ms) == (1, provisioned.certificate.expires_ms)


async def test_every_claim_that_is_not_good_hears_the_same(house):
    used, replaced, expired = [(await house.claims.open("a", "x", 60)).claim for _ in range(3)]
    said = {await house.refused(replaced), await house.refused(used)}
    await house.claims.open("a", "x")
    good = await house.claims.open("a", "x")
    await house.claims.redeem(good.claim, BY_KEY)
    house.clock.advance(61)
    by_hand = await house.claims.open("a", "y")
    await house.lifecycle.provision("a", "y")
    for claim in (used, replaced, expired, good.claim, by_hand.claim, "", "rmc_", "x" * 47, "rmc_" + "a" * 43):
        for request in (NAMELESS, BY_NONCE, ClaimRequest(csr="another"), ClaimRequest(csr="bad")):
            said.add(await house.refused(claim, request))
    assert len(said) == 1
    assert len(house.told) == 2


async def test_it_ends_at_its_time_and_not_before(house):
    opened = await house.claims.open("a", "x", 60)
    house.clock.advance(60)
    await house.refused(opened.claim)
    opened = await house.claims.open("a", "x", 60)
    house.clock.advance(59.999)
    assert (await house.claims.redeem(opened.claim, NAMELESS)).device.id == "x"


@pytest.mark.parametrize("ttl_s", [TTL_S_MIN - 1, 0, -1, TTL_S_MAX + 1])
async def test_how_long_it_may_be_valid(house, ttl_s):
    with pytest.raises(Refused, match="No claim was made"):
        await house.claims.open("a", "x", ttl_s)


async def test_what_gets_no_claim(house):
    for tenant, id, code in (("a", "nobody", "not_found"), ("b", "x", "not_found"), ("a", "g", "invalid_transition")):
        with pytest.raises(Refused) as refused:
            await house.claims.open(tenant, id)
        assert refused.value.code == code


async def test_a_csr_that_can_not_be_signed_leaves_the_claim_open(house):
    opened = await house.claims.open("a", "x")
    await house.refused(opened.claim, ClaimRequest(csr="bad"), code="unprocessable")
    assert (await house.state(), house.told) == (REGISTERED, [])
    assert (await house.claims.redeem(opened.claim, BY_KEY)).device.state is ACTIVE


@pytest.mark.parametrize("request_", [BY_KEY, BY_NONCE, ClaimRequest(csr="key-1", nonce=NONCE)])
async def test_the_same_claimant_gets_the_same_answer_again(house, request_):
    opened = await house.claims.open("a", "x")
    first = await house.claims.redeem(opened.claim, request_)
    again = await house.claims.redeem(opened.claim, request_)
    assert msgspec.json.encode(again) == msgspec.json.encode(first)
    assert house.told == [("x", REGISTERED, ACTIVE)]
    assert house.heard == [("x", ACTIVE, None)] * 2
    for other in (NAMELESS, ClaimRequest(csr="key-2"), ClaimRequest(nonce="m" * 16), ClaimRequest("key-1", "m" * 16)):
        await house.refused(opened.claim, other)


async def test_who_has_no_name_is_answered_once_and_never_the_same(house):
    tokens = set()
    for id in "xy":
        opened = await house.claims.open("a", id)
        tokens.add((await house.claims.redeem(opened.claim, NAMELESS)).token)
        await house.refused(opened.claim)
    assert len(tokens) == 2


async def test_no_second_answer_with_a_token_that_is_not_valid_any_more(house):
    opened = await house.claims.open("a", "x")
    await house.claims.redeem(opened.claim, BY_NONCE)
    await house.lifecycle.rotate_token("a", "x")
    await house.refused(opened.claim, BY_NONCE)
    opened = await house.claims.open("a", "y")
    await house.claims.redeem(opened.claim, BY_KEY)
    await house.lifecycle.decommission("a", "y")
    await house.refused(opened.claim, BY_KEY)


async def test_of_many_at_once_one_gets_in(house):
    opened = await house.claims.open("a", "x")
    requests = [ClaimRequest(csr=f"key-{n % 4}") for n in range(20)]
    done = await asyncio.gather(
        *(house.claims.redeem(opened.claim, request) for request in requests), return_exceptions=True
    )
    answered = [it for it in done if not isinstance(it, Refused)]
    assert len(answered) == 5
    assert len({it.certificate.der for it in answered}) == 1
    assert len(house.told) == 1


async def test_through_a_gateway_of_its_tenant(house):
    opened = await house.claims.open("a", "x")
    await house.claims.redeem(opened.claim, BY_NONCE, via=3)
    assert house.heard == [("x", ACTIVE, 3)]


async def test_through_no_other_gateway(house):
    opened = await house.claims.open("a", "x")
    said = {await house.refused(opened.claim, via=via) for via in (4, 99, 2)}
    await house.lifecycle.suspend("a", "g")
    said.add(await house.refused(opened.claim, via=3))
    assert said == {await house.refused("rmc_" + "a" * 43)}
    assert (await house.state(), house.heard, house.told) == (REGISTERED, [], [("g", ACTIVE, SUSPENDED)])


async def test_a_listener_that_failed_is_told_again_with_the_next_answer(house):
    opened = await house.claims.open("a", "x")
    house.deaf = True
    with pytest.raises(Failed):
        await house.claims.redeem(opened.claim, BY_NONCE, via=3)
    house.deaf = False
    provisioned = await house.claims.redeem(opened.claim, BY_NONCE, via=3)
    assert house.heard == [("x", ACTIVE, 3)]
    assert await house.credentials.holder(TOKENS.of(provisioned.token)) is not None


async def test_secrets_are_in_no_repr(house):
    opened = await house.claims.open("a", "x")
    provisioned = await house.claims.redeem(opened.claim, BY_NONCE)
    assert opened.claim not in repr(opened)
    assert provisioned.token not in repr(provisioned)
