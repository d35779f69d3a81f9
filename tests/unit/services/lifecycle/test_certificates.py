"""Certificates of devices: one more before the last one ends, and the end of a lost one."""

from types import SimpleNamespace

import pytest

from ringmain.adapters.simulated.clock import SimulatedClock
from ringmain.adapters.simulated.credentials import Credentials
from ringmain.adapters.simulated.directory import Directory
from ringmain.adapters.simulated.registry import Registry
from ringmain.model.device import LifecycleState
from ringmain.model.errors import Refused
from ringmain.ports.credentials import Certificate
from ringmain.ports.registry import NewDevice
from ringmain.services.lifecycle.certificates import CERTIFICATES_MAX, Certificates
from ringmain.services.lifecycle.claims import Issued
from ringmain.services.lifecycle.service import Lifecycle
from ringmain.services.lifecycle.tokens import TokenDigest

REGISTERED, PROVISIONED, ACTIVE, SUSPENDED, DECOMMISSIONED = LifecycleState
TOKENS = TokenDigest(bytes(range(32)))


def issue(csr, device, at_ms):
    return Issued(Certificate(csr, f"{device.id} {csr}".encode(), at_ms + 1000), csr.encode())


@pytest.fixture
async def house():
    """Tenant `a` has the active device `x`; `b` has one of the same name."""
    directory = Directory()
    credentials = Credentials(directory)
    registry = Registry(directory, credentials)
    told = []
    for tenant in "ab":
        await directory.add_tenant(tenant, 0)
        await registry.add(tenant, [NewDevice("x", "gateway", ACTIVE, token_digest=tenant.encode())], 0)
    clock = SimulatedClock(1_000)
    lifecycle = Lifecycle(
        registry, directory, credentials, clock, TOKENS, [lambda device, before: told.append((device.key, before))]
    )
    certificates = Certificates(lifecycle, registry, credentials, clock, TOKENS, issue)
    return SimpleNamespace(certificates=certificates, credentials=credentials, registry=registry, told=told)


async def test_one_more_is_a_credential_beside_the_others(house):
    await house.certificates.issue("a", "x", "1")
    made = await house.certificates.issue("a", "x", "2")
    assert made == Certificate("2", b"x 2", 2_000)
    assert [it.serial for it in await house.certificates.of("a", "x")] == ["1", "2"]
    assert await house.certificates.of("b", "x") == []
    holder = await house.credentials.holder(TOKENS.of_certificate(b"x 2"))
    assert (holder.device, holder.expires_ms) == (1, 2_000)
    assert house.told == []


async def test_a_revoked_one_ends_alone_and_connections_are_told(house):
    for serial in "12":
        await house.certificates.issue("a", "x", serial)
    await house.certificates.revoke("a", "x", "1")
    assert [it.serial for it in await house.certificates.of("a", "x")] == ["2"]
    assert await house.credentials.holder(TOKENS.of_certificate(b"x 1")) is None
    assert await house.credentials.holder(b"a") is not None
    assert house.told == [(1, ACTIVE)]


@pytest.mark.parametrize(("tenant", "id", "serial"), [("a", "x", "9"), ("b", "x", "1"), ("a", "y", "1")])
async def test_what_is_not_there_can_not_be_revoked(house, tenant, id, serial):
    await house.certificates.issue("a", "x", "1")
    with pytest.raises(Refused) as refused:
        await house.certificates.revoke(tenant, id, serial)
    assert refused.value.code == "not_found"
    assert len(await house.certificates.of("a", "x")) == 1
    assert house.told == []


@pytest.mark.parametrize("state", [REGISTERED, SUSPENDED, DECOMMISSIONED])
async def test_who_may_not_connect_gets_none(house, state):
    await house.registry.add("a", [NewDevice("z", "gateway", state)], 0)
    with pytest.raises(Refused) as refused:
        await house.certificates.issue("a", "z", "1")
    assert refused.value.code == "invalid_transition"
    assert await house.certificates.of("a", "z") == []


async def test_there_is_a_limit(house):
    for serial in range(CERTIFICATES_MAX):
        await house.certificates.issue("a", "x", str(serial))
    with pytest.raises(Refused) as refused:
        await house.certificates.issue("a", "x", "more")
    assert refused.value.code == "already_exists"
    await house.certificates.revoke("a", "x", "0")
    await house.certificates.issue("a", "x", "more")
