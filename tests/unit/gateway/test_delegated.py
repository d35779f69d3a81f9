"""Who comes in at an edge: the roster decides, and nothing else; in doubt nobody does."""

import pytest

from ringmain.gateway.delegated import Delegates
from ringmain.model.device import GENERIC_PROFILE, METER_PROFILE, LifecycleState
from ringmain.model.errors import Refused
from ringmain.model.gateway import Roster, RosterEntry, token_sha256, verifier
from ringmain.model.ids import DeviceId, DeviceKey, TenantId

SALT = b"s" * 32
NOW_MS = 1_000_000


def entry(
    key: int, *tokens: str, state: LifecycleState = LifecycleState.ACTIVE, to_ms: int | None = None
) -> RosterEntry:
    known = tuple(verifier(SALT, token_sha256(token)) for token in tokens)
    return RosterEntry(
        DeviceKey(key), DeviceId(f"m{key}"), METER_PROFILE.name, state, 5, known, from_ms=9_999_999, to_ms=to_ms
    )


def roster(*entries: RosterEntry, version: int = 1) -> Roster:
    return Roster(version, TenantId("town"), DeviceId("gw"), SALT, (METER_PROFILE, GENERIC_PROFILE), entries)


@pytest.fixture
def delegates():
    found = Delegates(lambda: NOW_MS)
    found.take(roster(entry(1, "one"), entry(2, "two", "newer"), entry(3, "three", state=LifecycleState.SUSPENDED)))
    return found


@pytest.mark.parametrize(
    ("user", "password", "device"),
    [
        ("town/m1", b"one", "m1"),
        ("m1", b"one", "m1"),
        ("one", None, "m1"),
        ("one", b"", "m1"),
        ("m2", b"two", "m2"),
        ("m2", b"newer", "m2"),
    ],
)
async def test_those_who_come_in(delegates, user, password, device):
    principal = await delegates.sign_in(user, password)
    assert principal.device.id == device
    assert principal.device.tenant == "town"
    assert principal.profile == METER_PROFILE


@pytest.mark.parametrize(
    ("user", "password", "code"),
    [
        ("m1", b"two", "bad_credentials"),
        ("m2", b"one", "bad_credentials"),
        ("other/m1", b"one", "bad_credentials"),
        ("default/m1", b"one", "bad_credentials"),
        ("", b"one", "bad_credentials"),
        ("m1", b"\xff", "bad_credentials"),
        ("m1", None, "bad_credentials"),
        (None, None, "bad_credentials"),
        ("", b"", "bad_credentials"),
        ("m3", b"three", "device_suspended"),
        ("three", None, "device_suspended"),
    ],
)
async def test_those_who_do_not(delegates, user, password, code):
    with pytest.raises(Refused) as refused:
        await delegates.sign_in(user, password)
    assert refused.value.code == code


async def test_nobody_without_a_roster():
    with pytest.raises(Refused) as refused:
        await Delegates(lambda: NOW_MS).sign_in("m1", b"one")
    assert refused.value.code == "unavailable"


async def test_a_delegation_that_is_over(delegates):
    delegates.take(roster(entry(1, "one", to_ms=NOW_MS), entry(2, "two", to_ms=NOW_MS + 1)))
    with pytest.raises(Refused) as refused:
        await delegates.sign_in("m1", b"one")
    assert refused.value.code == "not_delegated"
    assert delegates.principal(DeviceKey(1)) is None
    await delegates.sign_in("m2", b"two")


async def test_a_profile_that_the_roster_lacks_is_no_way_in(delegates):
    delegates.take(Roster(2, TenantId("town"), DeviceId("gw"), SALT, (), (entry(1, "one"),)))
    with pytest.raises(Refused):
        await delegates.sign_in("m1", b"one")


def test_who_has_to_go_when_a_roster_comes(delegates):
    same = entry(1, "one")
    assert delegates.take(roster(same, entry(2, "two", "newer"), version=2)) == [3]
    assert delegates.take(roster(same, entry(2, "newer"), version=3)) == [2], "a token was replaced"
    assert delegates.take(roster(same, entry(2, "newer", state=LifecycleState.SUSPENDED), version=4)) == [2]
    assert delegates.take(roster(entry(1, "one", "second"), version=5)) == [2]
    assert delegates.take(roster(version=6)) == [1]
    assert len(delegates) == 0


async def test_an_old_roster_is_forgotten_whole(delegates):
    delegates.take(roster(entry(9, "nine"), version=2))
    for token in ("one", "two", "newer"):
        with pytest.raises(Refused):
            await delegates.sign_in(token, None)
    assert (await delegates.sign_in("nine", None)).device.key == 9
