"""The lifecycle of devices over the simulated registry, and the import over the real one."""

import asyncio
from pathlib import Path

import pytest

from ringmain.adapters.embedded.credentials import Credentials as EmbeddedCredentials
from ringmain.adapters.embedded.database import Database
from ringmain.adapters.embedded.directory import Directory as EmbeddedDirectory
from ringmain.adapters.embedded.registry import Registry as EmbeddedRegistry
from ringmain.adapters.simulated.credentials import Credentials
from ringmain.adapters.simulated.directory import Directory
from ringmain.adapters.simulated.registry import Registry
from ringmain.model.device import LIFECYCLE, Device, LifecycleEvent, LifecycleState, Profile
from ringmain.model.errors import Failed, Refused
from ringmain.model.gateway import token_sha256
from ringmain.ports.credentials import Holder, Role
from ringmain.ports.registry import NewDevice
from ringmain.services.lifecycle.importing import ImportRefused
from ringmain.services.lifecycle.service import IssuedToken, Lifecycle
from ringmain.services.lifecycle.tokens import TokenDigest

REGISTERED, PROVISIONED, ACTIVE, SUSPENDED, DECOMMISSIONED = LifecycleState
TOKENS = TokenDigest(bytes(range(32)))
DIGEST = TOKENS.of("t")


class TickingClock:
    """Each look at it is a millisecond later."""

    def __init__(self) -> None:
        self.at_ms = 0

    def now_ms(self) -> int:
        self.at_ms += 1
        return self.at_ms

    def monotonic_s(self) -> float:
        return self.at_ms / 1000


class House:
    """A lifecycle with tenants `a` and `b`, and what its listeners were told."""

    def __init__(self, directory, credentials, registry) -> None:
        self.directory, self.credentials, self.registry = directory, credentials, registry
        self.told: list[tuple[str, LifecycleState, LifecycleState]] = []
        self.lifecycle = Lifecycle(registry, directory, credentials, TickingClock(), TOKENS, [self.tell])

    def tell(self, device: Device, before: LifecycleState) -> None:
        self.told.append((device.id, before, device.state))

    async def holder(self, token: str) -> Holder | None:
        return await self.credentials.holder(TOKENS.of(token))


@pytest.fixture
async def house() -> House:
    directory = Directory()
    credentials = Credentials(directory)
    house = House(directory, credentials, Registry(directory, credentials))
    for tenant in ("a", "b"):
        await directory.add_tenant(tenant, 0)
    return house


async def device_in(house: House, state: LifecycleState, id: str = "x") -> Device:
    await house.registry.add("a", [NewDevice(id, "generic", state, token_digest=TOKENS.of(f"token of {id}"))], 0)
    return await house.registry.device("a", id)


CALLS = {
    LifecycleEvent.PROVISION: lambda house: house.lifecycle.provision("a", "x"),
    LifecycleEvent.ACTIVATE: lambda house: house.lifecycle.activate("a", "x"),
    LifecycleEvent.SUSPEND: lambda house: house.lifecycle.suspend("a", "x"),
    LifecycleEvent.DECOMMISSION: lambda house: house.lifecycle.decommission("a", "x"),
}


@pytest.mark.parametrize("event", list(LifecycleEvent))
@pytest.mark.parametrize("state", list(LifecycleState))
async def test_every_call_in_every_state_does_what_the_table_says_or_changes_nothing(house: House, state, event):
    device = await device_in(house, state)
    following = LIFECYCLE.get((state, event))
    if following is None:
        with pytest.raises(Refused) as refused:
            await CALLS[event](house)
        assert refused.value.code == "invalid_transition"
        assert await house.registry.device("a", "x") == device
        assert house.told == []
        assert await house.holder("token of x") is not None
        assert await house.registry.journal(device.key) == []
        return
    await CALLS[event](house)
    assert (await house.registry.device("a", "x")).state is following
    assert house.told == [("x", state, following)]
    ((at_ms, seen, became, by),) = await house.registry.journal(device.key)
    assert (seen, became, by) == (state, following, "operator")
    assert at_ms > 0


@pytest.mark.parametrize("call", [*CALLS.values(), lambda house: house.lifecycle.rotate_token("a", "x")])
async def test_a_device_of_another_tenant_does_not_exist(house: House, call):
    await house.registry.add("b", [NewDevice("x", "generic", ACTIVE)], 0)
    with pytest.raises(Refused) as refused:
        await call(house)
    assert refused.value.code == "not_found"
    assert (await house.registry.device("b", "x")).state is ACTIVE


@pytest.mark.parametrize(
    ("new", "code"),
    [
        (NewDevice("a b", "generic"), "unprocessable"),
        (NewDevice("", "generic"), "unprocessable"),
        (NewDevice("x", "generic", ACTIVE), "invalid_request"),
        (NewDevice("x", "generic", token_digest=DIGEST), "invalid_request"),
        (NewDevice("x", "unheard-of"), "not_found"),
        (NewDevice("x", "generic", site="nowhere"), "not_found"),
    ],
)
async def test_what_cannot_be_registered(house: House, new, code):
    with pytest.raises(Refused) as refused:
        await house.lifecycle.register("a", new)
    assert refused.value.code == code
    assert await house.registry.page("a", after=None, limit=9) == []
    assert await house.credentials.holder(DIGEST) is None


@pytest.mark.parametrize("token", ["", "a\n", "a" * 257])
async def test_what_is_no_token_provisions_nothing(house: House, token):
    await house.lifecycle.register("a", NewDevice("x", "generic"))
    with pytest.raises(Refused) as refused:
        await house.lifecycle.provision("a", "x", token)
    assert refused.value.code == "unprocessable"
    assert (await house.registry.device("a", "x")).state is REGISTERED
    assert house.told == []


async def test_a_token_of_another_provisions_and_rotates_nothing(house: House):
    await device_in(house, ACTIVE, "other")
    await house.lifecycle.register("a", NewDevice("x", "generic"))
    with pytest.raises(Refused) as refused:
        await house.lifecycle.provision("a", "x", "token of other")
    assert refused.value.code == "already_exists"
    assert (await house.registry.device("a", "x")).state is REGISTERED
    await house.lifecycle.provision("a", "x", "mine")
    with pytest.raises(Refused):
        await house.lifecycle.rotate_token("a", "x", "token of other")
    assert (await house.holder("mine")).name == "x"
    assert (await house.holder("token of other")).name == "other"


@pytest.mark.parametrize("state", [REGISTERED, DECOMMISSIONED])
async def test_there_is_no_token_to_rotate_before_provisioning_or_after_the_end(house: House, state):
    await device_in(house, state)
    with pytest.raises(Refused) as refused:
        await house.lifecycle.rotate_token("a", "x")
    assert refused.value.code == "invalid_transition"
    assert house.told == []


async def test_a_device_walks_its_whole_life(house: House):
    device = await house.lifecycle.register("a", NewDevice("x", "meter"))
    assert (device.state, device.tenant, device.profile) == (REGISTERED, "a", "meter")
    device, token = await house.lifecycle.provision("a", "x", by="ann")
    assert device.state is PROVISIONED
    assert await house.holder(token) == Holder("a", "x", device=device.key)
    assert (await house.lifecycle.activate("a", "x", by="ann")).state is ACTIVE
    assert (await house.lifecycle.suspend("a", "x", by="bob")).state is SUSPENDED
    assert await house.holder(token) is not None  # it is the state that refuses, and the token works again after
    assert (await house.lifecycle.activate("a", "x", by="bob")).state is ACTIVE
    assert (await house.lifecycle.decommission("a", "x", by="eve")).state is DECOMMISSIONED
    assert await house.holder(token) is None
    assert [by for *_, by in await house.registry.journal(device.key)] == ["ann", "ann", "bob", "bob", "eve"]
    with pytest.raises(Refused) as refused:
        await house.lifecycle.register("a", NewDevice("x", "meter"))
    assert refused.value.code == "already_exists"


async def test_rotating_ends_the_old_token_and_tells_so_that_its_connection_goes(house: House):
    device = await device_in(house, ACTIVE)
    rotated, token = await house.lifecycle.rotate_token("a", "x")
    assert rotated == device
    assert await house.holder("token of x") is None
    assert (await house.holder(token)).device == device.key
    assert house.told == [("x", ACTIVE, ACTIVE)]
    assert (await house.lifecycle.rotate_token("a", "x", "brought"))[1] == "brought"
    assert await house.holder(token) is None


async def test_of_two_at_once_one_is_refused(house: House):
    await device_in(house, ACTIVE)
    done = await asyncio.gather(*(house.lifecycle.suspend("a", "x") for _ in range(5)), return_exceptions=True)
    assert sum(isinstance(it, Device) for it in done) == 1
    assert sum(isinstance(it, Refused) and it.code == "invalid_transition" for it in done) == 4
    assert house.told == [("x", ACTIVE, SUSPENDED)]


async def test_no_token_outlives_a_decommission_that_it_was_rotated_during(tmp_path: Path):
    database = await Database.open(tmp_path / "registry.sqlite")
    house = House(EmbeddedDirectory(database), EmbeddedCredentials(database), EmbeddedRegistry(database))
    await house.directory.add_tenant("a", 0)
    await device_in(house, ACTIVE)
    ended, rotated = await asyncio.gather(
        house.lifecycle.decommission("a", "x"),
        house.lifecycle.rotate_token("a", "x", "new"),
        return_exceptions=True,
    )
    assert ended.state is DECOMMISSIONED
    assert isinstance(rotated, Refused)
    assert await house.holder("new") is None
    await database.close()


async def test_listeners_are_told_only_after_the_commit(house: House, monkeypatch):
    await device_in(house, ACTIVE)

    async def fail(*args):
        raise Failed("storage_failed", "no")

    monkeypatch.setattr(house.registry, "move", fail)
    with pytest.raises(Failed):
        await house.lifecycle.suspend("a", "x")
    assert house.told == []


async def test_a_crash_between_revocation_and_move_leaves_a_decommission_that_can_be_repeated(house, monkeypatch):
    await device_in(house, ACTIVE)
    with monkeypatch.context() as patch:

        async def fail(*args):
            raise Failed("storage_failed", "no")

        patch.setattr(house.registry, "move", fail)
        with pytest.raises(Failed):
            await house.lifecycle.decommission("a", "x")
    assert await house.holder("token of x") is None
    assert (await house.lifecycle.decommission("a", "x")).state is DECOMMISSIONED


FILE = "id,profile,token\nm-1,meter,one\nm-2,pump,two\nm-3,meter,\n"


async def test_an_import_makes_active_devices_and_says_what_it_made(house: House):
    result = await house.lifecycle.import_csv("a", FILE)
    assert (result.created, result.unchanged, result.profiles_created) == (3, 0, ("pump",))
    (issued,) = result.tokens
    assert issued.id == "m-3"
    for id, token in (("m-1", "one"), ("m-2", "two"), ("m-3", issued.token)):
        device = await house.registry.device("a", id)
        assert device.state is ACTIVE
        assert await house.holder(token) == Holder("a", id, device=device.key)
    assert await house.directory.profile("a", "pump") == Profile("pump")
    assert await house.registry.page("b", after=None, limit=9) == []


async def test_the_same_file_again_changes_nothing(house: House):
    first = await house.lifecycle.import_csv("a", FILE)
    before = await house.registry.page("a", after=None, limit=9)
    again = await house.lifecycle.import_csv("a", FILE)
    assert (again.created, again.unchanged, again.profiles_created, again.tokens) == (0, 3, (), ())
    assert await house.registry.page("a", after=None, limit=9) == before
    assert await house.holder(first.tokens[0].token) is not None
    grown = await house.lifecycle.import_csv("a", FILE + "m-4,meter,four\n")
    assert (grown.created, grown.unchanged) == (1, 3)


async def test_whatever_differs_from_what_exists_is_told_and_nothing_is_made(house: House):
    await house.lifecycle.import_csv("a", "id,profile,token\nm-1,meter,one\nm-2,pump,two\n")
    await house.lifecycle.import_csv("b", "id,profile,token\nz,meter,theirs\n")
    await house.credentials.grant(TOKENS.of("ann's"), Holder("a", "ann", role=Role.ADMIN), 1)
    for state in (REGISTERED, PROVISIONED, SUSPENDED, DECOMMISSIONED):
        await device_in(house, state, state.value)
    file = (
        "id,profile,token\n"
        "new,lamp,new\n"
        "m-1,meter,other\n"
        "m-2,meter,two\n"
        "x-1,meter,one\n"
        "x-2,meter,theirs\n"
        "x-3,meter,ann's\n"
        "m-1x,meter,\n"
        "registered,generic,\n"
        "provisioned,generic,\n"
        "suspended,generic,\n"
        "decommissioned,generic,\n"
    )
    with pytest.raises(ImportRefused) as refused:
        await house.lifecycle.import_csv("a", file)
    assert [(it.line, it.field) for it in refused.value.problems] == [
        (3, "token"),
        (4, "profile"),
        (5, "token"),
        (6, "token"),
        (7, "token"),
        (9, "id"),
        (10, "id"),
        (11, "id"),
        (12, "id"),
    ]
    assert "suspended" in refused.value.problems[-2].problem
    for hidden in ("theirs", "ann", "one"):
        assert hidden not in " ".join(it.problem for it in refused.value.problems).replace("rotate it", "").split()
    assert await house.registry.device("a", "new") is None
    assert await house.directory.profile("a", "lamp") is None
    assert await house.holder("new") is None
    assert await house.holder("other") is None


async def test_a_token_that_moved_from_one_device_to_another_in_the_file_is_refused(house: House):
    await house.lifecycle.import_csv("a", "id,profile,token\nm-1,meter,one\nm-2,meter,two\n")
    with pytest.raises(ImportRefused) as refused:
        await house.lifecycle.import_csv("a", "id,profile,token\nm-1,meter,two\nm-2,meter,one\n")
    assert [(it.line, it.field) for it in refused.value.problems] == [(2, "token"), (3, "token")]


async def test_a_faulty_file_is_refused_before_anything_is_looked_up(house: House):
    with pytest.raises(ImportRefused):
        await house.lifecycle.import_csv("a", "id,profile\nx,generic\nx,generic\n")
    assert await house.registry.page("a", after=None, limit=9) == []


async def test_a_file_for_a_tenant_that_does_not_exist_is_refused(house: House):
    with pytest.raises(Refused) as refused:
        await house.lifecycle.import_csv("nobody", "id,profile\nx,generic\n")
    assert refused.value.code == "not_found"


async def test_the_same_tokens_may_not_serve_two_tenants(house: House):
    await house.lifecycle.import_csv("a", "id,profile,token\nx,meter,t\n")
    with pytest.raises(ImportRefused) as refused:
        await house.lifecycle.import_csv("b", "id,profile,token\nx,meter,t\n")
    assert [(it.line, it.field) for it in refused.value.problems] == [(2, "token")]


LINES = 30_000
"""More than three of the parts that an import is cut into, and of the values of one IN clause."""


@pytest.mark.slow
async def test_thirty_thousand_lines_go_through_the_real_registry_and_survive_a_restart(tmp_path: Path):
    path = tmp_path / "registry.sqlite"
    database = await Database.open(path)
    house = House(EmbeddedDirectory(database), EmbeddedCredentials(database), EmbeddedRegistry(database))
    await house.directory.add_tenant("a", 0)
    lines = [f"d-{at},meter,{f'token-{at}' if at % 2 else ''}\n" for at in range(LINES)]
    text = "id,profile,token\n" + "".join(lines)
    result = await house.lifecycle.import_csv("a", text)
    assert (result.created, len(result.tokens)) == (LINES, LINES // 2)
    assert (await house.lifecycle.import_csv("a", text)).unchanged == LINES
    with pytest.raises(ImportRefused):
        await house.lifecycle.import_csv("a", text.replace(f"token-{LINES - 1}", "other"))
    await database.close()
    database = await Database.open(path)
    credentials = EmbeddedCredentials(database)
    for issued in (result.tokens[0], result.tokens[-1], IssuedToken(f"d-{LINES - 1}", f"token-{LINES - 1}")):
        assert (await credentials.holder(TOKENS.of(issued.token))).name == issued.id
    await database.close()


async def sealed_tokens(house: House, id: str) -> list[bytes]:
    """What a gateway could be told of a device's tokens."""
    device = await house.registry.device("a", id)
    held = await house.credentials.sealed([device.key])
    return [TOKENS.unseal(token.digest, token.sealed) for token in held.get(device.key, ())]


async def test_every_token_that_is_granted_can_be_told_to_a_gateway(house: House):
    await house.lifecycle.register("a", NewDevice("x", "generic"))
    assert await sealed_tokens(house, "x") == []
    for call in (house.lifecycle.provision, house.lifecycle.rotate_token):
        _, token = await call("a", "x")
        assert await sealed_tokens(house, "x") == [token_sha256(token)]
    await house.lifecycle.rotate_token("a", "x", "brought along")
    assert await sealed_tokens(house, "x") == [token_sha256("brought along")]
    result = await house.lifecycle.import_csv("a", "id,profile,token\ny,generic,mine\nz,generic,\n")
    assert await sealed_tokens(house, "y") == [token_sha256("mine")]
    assert await sealed_tokens(house, "z") == [token_sha256(result.tokens[0].token)]


async def test_a_token_from_before_can_be_told_once_it_is_replaced(house: House):
    await device_in(house, ACTIVE)
    assert await sealed_tokens(house, "x") == []
    _, token = await house.lifecycle.rotate_token("a", "x")
    assert await sealed_tokens(house, "x") == [token_sha256(token)]
