"""One suite over every home of the registry; with it the credentials that `add` makes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringmain.adapters.embedded.credentials import Credentials as EmbeddedCredentials
from ringmain.adapters.embedded.database import IN_CLAUSE_MAX, Database
from ringmain.adapters.embedded.directory import Directory as EmbeddedDirectory
from ringmain.adapters.embedded.registry import Registry as EmbeddedRegistry
from ringmain.adapters.simulated.credentials import Credentials as SimulatedCredentials
from ringmain.adapters.simulated.directory import Directory as SimulatedDirectory
from ringmain.adapters.simulated.registry import Registry as SimulatedRegistry
from ringmain.model.device import Device, LifecycleState, Profile
from ringmain.model.errors import Refused
from ringmain.model.site import Site
from ringmain.ports.credentials import Credentials, Holder, SealedToken
from ringmain.ports.registry import NewDevice, Registry

REGISTERED, ACTIVE, SUSPENDED = LifecycleState.REGISTERED, LifecycleState.ACTIVE, LifecycleState.SUSPENDED
DIGEST = bytes(32)


@pytest.fixture(params=["embedded", "simulated"])
async def homes(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Registry, Credentials]]:
    database = None
    if request.param == "simulated":
        directory = SimulatedDirectory()
        credentials = SimulatedCredentials(directory)
        registry = SimulatedRegistry(directory, credentials)
    else:
        database = await Database.open(tmp_path / "registry.sqlite")
        directory, credentials = EmbeddedDirectory(database), EmbeddedCredentials(database)
        registry = EmbeddedRegistry(database)
    for tenant in ("a", "b"):
        await directory.add_tenant(tenant, 1)
    await directory.put_site("a", Site("attic", "UTC"))
    await directory.put_profile("a", Profile("pump"))
    yield registry, credentials
    if database is not None:
        await database.close()


@pytest.fixture
def registry(homes) -> Registry:
    return homes[0]


@pytest.fixture
def credentials(homes) -> Credentials:
    return homes[1]


@pytest.mark.parametrize(
    ("tenant", "new"),
    [
        ("nobody", NewDevice("x", "generic")),
        ("a", NewDevice("x", "unheard-of")),
        ("a", NewDevice("x", "generic", site="nowhere")),
        ("b", NewDevice("x", "generic", site="attic")),
        ("b", NewDevice("x", "pump")),
    ],
)
async def test_an_unknown_tenant_profile_or_site_makes_no_device_at_all(registry: Registry, tenant, new):
    with pytest.raises(Refused) as refused:
        await registry.add(tenant, [NewDevice("y", "generic"), new], 1)
    assert refused.value.code == "not_found"
    assert await registry.device(tenant, "x") is None
    assert await registry.device(tenant, "y") is None


@pytest.mark.slow
@pytest.mark.parametrize("state", list(LifecycleState))
async def test_an_id_is_never_reused_whatever_became_of_its_device(registry: Registry, state):
    (device,) = await registry.add("a", [NewDevice("x", "generic", state)], 1)
    with pytest.raises(Refused) as refused:
        await registry.add("a", [NewDevice("y", "generic"), NewDevice("x", "generic")], 2)
    assert refused.value.code == "already_exists"
    assert "x" in refused.value.detail
    assert await registry.device("a", "x") == device
    assert await registry.device("a", "y") is None


async def test_the_same_id_twice_in_one_call_is_refused(registry: Registry):
    with pytest.raises(Refused) as refused:
        await registry.add("a", [NewDevice("x", "generic"), NewDevice("x", "meter")], 1)
    assert refused.value.code == "already_exists"
    assert await registry.page("a", after=None, limit=9) == []


async def test_a_token_in_use_in_another_tenant_is_refused_without_saying_where(
    registry: Registry, credentials: Credentials
):
    (owner,) = await registry.add("b", [NewDevice("secret-name", "generic", token_digest=DIGEST)], 1)
    with pytest.raises(Refused) as refused:
        await registry.add("a", [NewDevice("x", "generic", token_digest=DIGEST)], 2)
    assert refused.value.code == "already_exists"
    assert "secret-name" not in refused.value.detail
    assert await registry.device("a", "x") is None
    assert await credentials.holder(DIGEST) == Holder("b", "secret-name", device=owner.key)


async def test_the_same_token_twice_in_one_call_is_refused(registry: Registry, credentials: Credentials):
    twice = [NewDevice(id, "generic", token_digest=DIGEST) for id in "xy"]
    with pytest.raises(Refused) as refused:
        await registry.add("a", twice, 1)
    assert refused.value.code == "already_exists"
    assert await credentials.holder(DIGEST) is None
    assert await registry.page("a", after=None, limit=9) == []


async def test_keys_differ_over_tenants_and_are_never_reused_after_a_refusal(registry: Registry):
    (first,) = await registry.add("a", [NewDevice("x", "generic")], 1)
    with pytest.raises(Refused):
        await registry.add("a", [NewDevice("y", "generic"), NewDevice("x", "generic")], 1)
    (second,) = await registry.add("b", [NewDevice("x", "generic")], 1)
    assert second.key > first.key
    assert await registry.by_key(first.key) == first
    assert await registry.by_key(second.key) == second
    assert await registry.device("a", "x") == first
    assert await registry.device("b", "x") == second


async def test_unknown_devices_are_none(registry: Registry):
    assert await registry.device("a", "x") is None
    assert await registry.by_key(1) is None
    await registry.add("b", [NewDevice("x", "generic")], 1)
    assert await registry.device("a", "x") is None
    assert await registry.devices("a", ["x"]) == []
    assert await registry.page("a", after=None, limit=9) == []


async def test_a_device_asked_for_in_vain_is_found_once_it_exists(registry: Registry, credentials: Credentials):
    for id in ("x", "y"):
        assert await registry.device("a", id) is None
        assert await credentials.holder(id.encode()) is None
        (device,) = await registry.add("a", [NewDevice(id, "generic", token_digest=id.encode())], 1)
        assert await registry.device("a", id) == await registry.by_key(device.key) == device
        assert await credentials.holder(id.encode()) == Holder("a", id, device=device.key)


async def test_devices_are_answered_in_the_order_given(registry: Registry):
    ids = [f"d{at * 7919 % 3001}" for at in range(3001)]
    made = await registry.add("a", [NewDevice(id, "pump", ACTIVE, "attic") for id in ids], 5)
    assert [device.id for device in made] == ids
    assert made[0] == Device(made[0].key, "a", "d0", "pump", ACTIVE, "attic", 5, 5)
    assert len({device.key for device in made}) == 3001
    assert await registry.add("a", [], 6) == []


async def test_many_devices_are_found_by_their_ids_at_once(registry: Registry):
    made = await registry.add("a", [NewDevice(f"d{at}", "generic") for at in range(20)], 5)
    asked = [f"d{at}" for at in range(10, IN_CLAUSE_MAX + 11)]
    found = await registry.devices("a", asked)
    assert sorted(found, key=lambda device: device.key) == list(made[10:])
    assert await registry.devices("a", []) == []


async def test_pages_are_in_order_of_id_and_by_state(registry: Registry):
    await registry.add("a", [NewDevice(id, "generic", ACTIVE if id < "c" else REGISTERED) for id in "dBbaC"], 1)
    await registry.add("b", [NewDevice("aa", "generic", ACTIVE)], 1)

    async def ids(after, limit, state=None):
        return "".join(device.id for device in await registry.page("a", after=after, limit=limit, state=state))

    assert await ids(None, 9) == "BCabd"
    assert await ids(None, 2) == "BC"
    assert await ids("C", 2) == "ab"
    assert await ids("d", 9) == ""
    assert await ids("aa", 9) == "bd"  # behind an id that does not exist
    assert await ids(None, 9, REGISTERED) == "d"
    assert await ids("B", 2, ACTIVE) == "Ca"


async def test_a_move_compares_and_sets(registry: Registry):
    (device,) = await registry.add("a", [NewDevice("x", "generic", ACTIVE)], 1)
    assert await registry.device("a", "x") == device
    moved = await registry.move(device.key, ACTIVE, SUSPENDED, 7, "ann")
    assert (moved.state, moved.state_since_ms, moved.created_ms) == (SUSPENDED, 7, 1)
    with pytest.raises(Refused) as refused:
        await registry.move(device.key, ACTIVE, SUSPENDED, 8, "bob")
    assert refused.value.code == "invalid_transition"
    assert "suspended" in refused.value.detail
    assert await registry.device("a", "x") == await registry.by_key(device.key) == moved
    assert await registry.journal(device.key) == [(7, ACTIVE, SUSPENDED, "ann")]
    assert await registry.move(device.key, SUSPENDED, ACTIVE, 9, "eve") == await registry.by_key(device.key)
    assert await registry.journal(device.key) == [(7, ACTIVE, SUSPENDED, "ann"), (9, SUSPENDED, ACTIVE, "eve")]


async def test_a_device_that_does_not_exist_cannot_move(registry: Registry):
    with pytest.raises(Refused) as refused:
        await registry.move(1, ACTIVE, SUSPENDED, 7, "ann")
    assert refused.value.code == "not_found"
    assert await registry.journal(1) == []


async def test_what_a_token_seals_is_kept_with_it(registry: Registry, credentials: Credentials):
    new = [NewDevice("x", "generic", token_digest=DIGEST, token_sealed=b"s"), NewDevice("y", "generic")]
    x, y = (await registry.add("a", [*new, NewDevice("z", "generic", token_digest=b"z" * 32)], 1))[:2]
    assert await credentials.sealed([x.key, y.key, y.key + 1]) == {x.key: [SealedToken(DIGEST, b"s")]}
