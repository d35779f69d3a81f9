"""One suite over every home of the directory: tenants, sites, profiles."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ringmain.adapters.embedded.database import Database
from ringmain.adapters.embedded.directory import Directory as EmbeddedDirectory
from ringmain.adapters.simulated.directory import Directory as SimulatedDirectory
from ringmain.model.device import (
    BUILT_IN_PROFILES,
    GENERIC_PROFILE,
    METER_PROFILE,
    Channel,
    ChannelKind,
    Profile,
)
from ringmain.model.errors import Refused
from ringmain.model.site import Site
from ringmain.ports.directory import CHANNELS_MAX, EXPECTED_INTERVAL_S_MAX, Directory

EXACT, MEASURED = ChannelKind.EXACT, ChannelKind.MEASURED


@pytest.fixture(params=["embedded", "simulated"])
async def directory(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Directory]:
    if request.param == "simulated":
        yield SimulatedDirectory()
        return
    database = await Database.open(tmp_path / "registry.sqlite")
    yield EmbeddedDirectory(database)
    await database.close()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["", "a b", "a/b", "+", "-a", "a" * 65, "a\n"])
async def test_a_tenant_or_site_that_cannot_be_named_is_refused(directory: Directory, name):
    with pytest.raises(Refused) as refused:
        await directory.add_tenant(name, 1)
    assert refused.value.code == "unprocessable"
    await directory.add_tenant("acme", 1)
    with pytest.raises(Refused):
        await directory.put_site("acme", Site(name, "UTC"))
    assert await directory.tenants() == ["acme"]


async def test_a_second_tenant_of_a_name_is_refused_and_changes_nothing(directory: Directory):
    await directory.add_tenant("acme", 1)
    await directory.put_site("acme", Site("main", "Europe/London"))
    with pytest.raises(Refused) as refused:
        await directory.add_tenant("acme", 2)
    assert refused.value.code == "already_exists"
    assert await directory.sites("acme") == [Site("main", "Europe/London")]


async def test_an_unknown_zone_is_refused(directory: Directory):
    await directory.add_tenant("acme", 1)
    with pytest.raises(Refused) as refused:
        await directory.put_site("acme", Site("main", "Europe/Atlantis"))
    assert refused.value.code == "unprocessable"
    assert "Atlantis" in refused.value.detail
    assert await directory.sites("acme") == [Site("main", "UTC")]


async def test_nothing_can_be_put_for_an_unknown_tenant(directory: Directory):
    with pytest.raises(Refused) as refused:
        await directory.put_site("nobody", Site("main", "UTC"))
    assert refused.value.code == "not_found"
    with pytest.raises(Refused) as refused:
        await directory.put_profile("nobody", Profile("p"))
    assert refused.value.code == "not_found"
    assert await directory.sites("nobody") == []


@pytest.mark.parametrize(
    "profile",
    [
        Profile("no name"),
        Profile("p", expected_interval_s=0),
        Profile("p", expected_interval_s=EXPECTED_INTERVAL_S_MAX + 1),
        Profile("p", decoder="no name"),
        Profile("p", channels=(Channel("1st"),)),
        Profile("p", channels=(Channel("a"), Channel("a"))),
        Profile("p", channels=tuple(Channel(f"c{i}") for i in range(CHANNELS_MAX + 1))),
    ],
)
async def test_an_unsound_profile_is_refused(directory: Directory, profile):
    await directory.add_tenant("acme", 1)
    with pytest.raises(Refused) as refused:
        await directory.put_profile("acme", profile)
    assert refused.value.code == "unprocessable"
    assert await directory.profile("acme", "p") is None


async def test_a_channel_keeps_its_kind_even_when_it_was_left_out_in_between(directory: Directory):
    await directory.add_tenant("acme", 1)
    first = Profile("p", channels=(Channel("level"), Channel("count", kind=EXACT)))
    await directory.put_profile("acme", first)
    for changed in (
        Profile("p", channels=(Channel("level", kind=EXACT), Channel("count", kind=EXACT))),
        Profile("p", channels=(Channel("level"), Channel("count"))),
        Profile("p", channels=(Channel("level"),)),  # without its row `count` would be read as MEASURED
    ):
        with pytest.raises(Refused) as refused:
            await directory.put_profile("acme", changed)
        assert refused.value.code == "unprocessable"
        assert await directory.profile("acme", "p") == first
    without = Profile("p", channels=(Channel("count", kind=EXACT),))
    await directory.put_profile("acme", without)
    with pytest.raises(Refused):
        await directory.put_profile(
            "acme", first.__class__("p", channels=(Channel("level", kind=EXACT), *without.channels))
        )
    await directory.put_profile("acme", first)
    assert await directory.profile("acme", "p") == first


async def test_a_profile_that_stands_in_for_a_built_in_one_keeps_the_kinds_of_its_channels(directory: Directory):
    await directory.add_tenant("acme", 1)
    with pytest.raises(Refused):
        await directory.put_profile("acme", Profile("meter", channels=(Channel("energy_wh", kind=MEASURED),)))
    assert await directory.profile("acme", "meter") == METER_PROFILE
    own = Profile("meter", expected_interval_s=900, channels=METER_PROFILE.channels)
    await directory.put_profile("acme", own)
    assert await directory.profile("acme", "meter") == own


async def test_tenants_do_not_see_each_other(directory: Directory):
    for tenant in ("b", "a"):
        await directory.add_tenant(tenant, 1)
    await directory.put_profile("a", Profile("p", 7))
    await directory.put_site("a", Site("attic", "Europe/Paris"))
    assert await directory.tenants() == ["a", "b"]
    assert await directory.profile("b", "p") is None
    assert await directory.sites("a") == [Site("attic", "Europe/Paris"), Site("main", "UTC")]
    assert await directory.sites("b") == [Site("main", "UTC")]
    assert await directory.profiles("b") == sorted(BUILT_IN_PROFILES, key=lambda profile: profile.name)
    await directory.put_profile("b", Profile("p", 9))
    assert await directory.profile("a", "p") == Profile("p", 7)
    for tenant, kind in (("a", EXACT), ("b", MEASURED)):  # a kind set by one binds no other
        await directory.put_profile(tenant, Profile("q", channels=(Channel("level", kind=kind),)))
        assert (await directory.profile(tenant, "q")).is_exact("level") is (kind is EXACT)


async def test_what_changes_is_seen_at_once(directory: Directory):
    await directory.add_tenant("acme", 1)
    assert await directory.profile("acme", "generic") == GENERIC_PROFILE
    for interval_s in (1, 2):
        await directory.put_profile("acme", Profile("generic", interval_s))
        assert await directory.profile("acme", "generic") == Profile("generic", interval_s)
        assert Profile("generic", interval_s) in await directory.profiles("acme")


async def test_profiles_and_sites_survive_a_restart(tmp_path: Path):
    database = await Database.open(tmp_path / "registry.sqlite")
    directory = EmbeddedDirectory(database)
    await directory.add_tenant("acme", 1)
    profile = Profile("p", 5, (Channel("a", "m3", EXACT, "7-0:3.0.0"),))
    await directory.put_profile("acme", profile)
    await directory.put_site("acme", Site("attic", "Europe/Paris"))
    await database.close()
    database = await Database.open(tmp_path / "registry.sqlite")
    directory = EmbeddedDirectory(database)
    assert await directory.profile("acme", "p") == profile
    assert Site("attic", "Europe/Paris") in await directory.sites("acme")
    with pytest.raises(Refused):
        await directory.put_profile("acme", Profile("p", 5))
    await database.close()
