"""One suite over every home of delegations."""

from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.adapters.embedded.credentials import Credentials as EmbeddedCredentials
from ringmain.adapters.embedded.database import Database
from ringmain.adapters.embedded.delegations import Delegations as EmbeddedDelegations
from ringmain.adapters.embedded.directory import Directory as EmbeddedDirectory
from ringmain.adapters.embedded.registry import Registry as EmbeddedRegistry
from ringmain.adapters.simulated.credentials import Credentials as SimulatedCredentials
from ringmain.adapters.simulated.delegations import Delegations as SimulatedDelegations
from ringmain.adapters.simulated.directory import Directory as SimulatedDirectory
from ringmain.adapters.simulated.registry import Registry as SimulatedRegistry
from ringmain.model.device import Device, LifecycleState
from ringmain.model.errors import Refused
from ringmain.model.gateway import SPEAKING_PROFILES, Delegation
from ringmain.model.time import INSTANT_MAX
from ringmain.ports import delegations as port
from ringmain.ports.delegations import SPANS_MAX, Delegations, merged
from ringmain.ports.registry import NewDevice

GW, OTHER, M1, M2, M3, FOREIGN_GW, FOREIGN = 1, 2, 3, 4, 5, 6, 7
"""Keys: registered in this order."""


async def _furnish(directory, registry) -> None:
    for tenant in ("a", "b"):
        await directory.add_tenant(tenant, 1)
    ours = [("gw", "gateway"), ("other", "gateway"), ("m1", "meter"), ("m2", "meter"), ("m3", "generic")]
    made = await registry.add("a", [NewDevice(*row) for row in ours], 1)
    made = [*made, *await registry.add("b", [NewDevice("gw", "gateway"), NewDevice("m1", "meter")], 1)]
    assert [device.key for device in made] == [GW, OTHER, M1, M2, M3, FOREIGN_GW, FOREIGN]


@pytest.fixture(params=["embedded", "simulated"])
async def held(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Delegations]:
    if request.param == "simulated":
        directory = SimulatedDirectory()
        registry = SimulatedRegistry(directory, SimulatedCredentials(directory))
        await _furnish(directory, registry)
        yield SimulatedDelegations(registry)
        return
    database = await Database.open(tmp_path / "registry.sqlite")
    await _furnish(EmbeddedDirectory(database), EmbeddedRegistry(database))
    assert EmbeddedCredentials(database)
    yield EmbeddedDelegations(database)
    await database.close()


def given_to(gateway: int, device: int, from_ms: int = 0, to_ms: int | None = None) -> Delegation:
    return Delegation(gateway, device, from_ms, to_ms)


async def refusal(held: Delegations, *delegations: Delegation) -> Refused:
    before = await held.all()
    with pytest.raises(Refused) as refused:
        await held.put(delegations, 10)
    assert await held.all() == before, "a refusal changed something"
    return refused.value


@pytest.mark.slow
@pytest.mark.parametrize(
    ("gateway", "device", "code"),
    [
        (99, M1, "not_found"),
        (GW, 99, "not_found"),
        (GW, FOREIGN, "not_found"),
        (FOREIGN_GW, M1, "not_found"),
        (M2, M1, "unprocessable"),
        (GW, OTHER, "unprocessable"),
        (GW, GW, "unprocessable"),
    ],
)
async def test_a_pair_that_can_not_be_is_refused_with_all_that_came_with_it(held: Delegations, gateway, device, code):
    await held.put([given_to(GW, M3)], 1)
    assert (await refusal(held, given_to(GW, M1), given_to(gateway, device))).code == code


async def test_a_device_of_another_tenant_is_told_in_the_words_of_one_that_never_was(held: Delegations):
    foreign, never = await refusal(held, given_to(GW, FOREIGN)), await refusal(held, given_to(GW, 99))
    assert foreign.detail == never.detail


@pytest.mark.parametrize(
    ("from_ms", "to_ms"), [(-1, None), (5, 5), (5, 4), (0, 0), (INSTANT_MAX + 1, None), (0, INSTANT_MAX + 2)]
)
async def test_a_span_that_holds_no_time_is_refused(held: Delegations, from_ms, to_ms):
    assert (await refusal(held, given_to(GW, M1, from_ms, to_ms))).code == "unprocessable"


async def test_a_gateway_has_a_limit_and_ended_delegations_do_not_count(held: Delegations, monkeypatch):
    monkeypatch.setattr(port, "DELEGATIONS_MAX", 2)
    await held.put([given_to(GW, M1), given_to(GW, M2)], 1)
    assert (await refusal(held, given_to(GW, M3))).code == "unprocessable"
    await held.put([given_to(OTHER, M3)], 1)
    assert await held.end(GW, M1, 5) == 1
    await held.put([given_to(GW, M3)], 5)
    assert (await refusal(held, given_to(GW, M1, 20))).code == "unprocessable"


async def test_a_pair_has_a_limit(held: Delegations):
    await held.put([given_to(GW, M1, 10 * n, 10 * n + 5) for n in range(SPANS_MAX)], 1)
    assert (await refusal(held, given_to(GW, M1, 10 * SPANS_MAX))).code == "unprocessable"
    await held.put([given_to(GW, M1)], 1)
    assert await held.all() == [given_to(GW, M1)]


async def test_what_is_not_there_can_not_be_ended(held: Delegations):
    await held.put([given_to(GW, M1), given_to(GW, M3, 0, 5)], 1)
    assert await held.end(GW, M2, 5) == 0
    assert await held.end(OTHER, M1, 5) == 0
    assert await held.end(GW, M3, 5) == 0, "it has ended"
    assert await held.all() == [given_to(GW, M1), given_to(GW, M3, 0, 5)]


async def test_ending_dates_what_runs_and_takes_away_what_would_begin_later(held: Delegations):
    await held.put([given_to(GW, M1, 0, 10), given_to(GW, M1, 20, 30), given_to(GW, M1, 40)], 1)
    await held.put([given_to(OTHER, M1), given_to(GW, M2)], 1)
    assert await held.end(GW, M1, 25) == 2
    assert await held.of_gateway(GW) == [given_to(GW, M1, 0, 10), given_to(GW, M1, 20, 25), given_to(GW, M2)]
    assert await held.of_gateway(OTHER) == [given_to(OTHER, M1)]
    assert await held.end(GW, M1, 0) == 2, "for good: it never was"
    assert await held.of_device(M1) == [given_to(OTHER, M1)]


async def test_the_same_twice_changes_nothing_and_what_overlaps_is_replaced(held: Delegations):
    await held.put([given_to(GW, M1, 10, 20), given_to(GW, M1, 20, 30)], 1)
    await held.put([given_to(GW, M1, 10, 20)], 2)
    assert await held.of_device(M1) == [given_to(GW, M1, 10, 20), given_to(GW, M1, 20, 30)]
    await held.put([given_to(GW, M1, 29)], 3)
    assert await held.of_device(M1) == [given_to(GW, M1, 10, 20), given_to(GW, M1, 29)]
    await held.put([given_to(GW, M1, 0, 15), given_to(GW, M1, 12, 29)], 4)
    assert await held.of_device(M1) == [given_to(GW, M1, 12, 29), given_to(GW, M1, 29)], "the later one stands"


async def test_a_device_may_have_several_gateways(held: Delegations):
    await held.put([given_to(OTHER, M1, 100), given_to(GW, M1, 0, 100), given_to(GW, M2)], 1)
    assert await held.of_device(M1) == [given_to(GW, M1, 0, 100), given_to(OTHER, M1, 100)]
    assert await held.of_gateway(GW) == [given_to(GW, M1, 0, 100), given_to(GW, M2)]
    assert await held.all() == [given_to(GW, M1, 0, 100), given_to(GW, M2), given_to(OTHER, M1, 100)]


async def test_nothing_put_is_nothing(held: Delegations):
    await held.put([], 1)
    assert await held.all() == []
    assert await held.of_gateway(GW) == []
    assert await held.of_device(M1) == []


async def test_delegations_survive_a_restart(tmp_path: Path):
    database = await Database.open(tmp_path / "registry.sqlite")
    await _furnish(EmbeddedDirectory(database), EmbeddedRegistry(database))
    await EmbeddedDelegations(database).put([given_to(GW, M1, 5, 9)], 1)
    await database.close()
    database = await Database.open(tmp_path / "registry.sqlite")
    assert await EmbeddedDelegations(database).all() == [given_to(GW, M1, 5, 9)]
    await database.close()


@given(
    st.lists(
        st.tuples(st.sampled_from([M1, M2]), st.integers(0, 20), st.one_of(st.none(), st.integers(1, 10))),
        max_size=12,
    )
)
def test_spans_of_a_pair_never_overlap_and_the_last_put_always_stands(steps):
    held: set[Delegation] = set()
    for device, from_ms, length in steps:
        new = given_to(GW, device, from_ms, None if length is None else from_ms + length)
        go, come = merged(held, [new])
        held = (held - go) | come
        assert new in held
        for pair in (M1, M2):
            spans = sorted((it.from_ms, it.to_ms) for it in held if it.device == pair)
            for (_, end), (start, _) in pairwise(spans):
                assert end is not None
                assert end <= start


def test_a_bridge_speaks_for_others_and_nobody_for_a_bridge():
    for profile in sorted(SPEAKING_PROFILES):
        bridge, meter = (Device(9, "a", "x", name, LifecycleState.ACTIVE, "main", 0, 0) for name in (profile, "meter"))
        port.check_pair(bridge, meter)
        with pytest.raises(Refused):
            port.check_pair(bridge, bridge)
