"""Who speaks for whom, in memory: what must not be known, and that each change holds at once."""

import msgspec

from ringmain.model.device import EDGE_PROFILE, METER_PROFILE, Device, LifecycleState, Profile
from ringmain.model.gateway import Delegation
from ringmain.model.standing import ALWAYS
from ringmain.services.gateways.standings import Standings

ACTIVE, SUSPENDED = LifecycleState.ACTIVE, LifecycleState.SUSPENDED
GW, OTHER = (Device(key, "acme", f"gw{key}", "gateway", ACTIVE, "main", 0, 0) for key in (1, 2))
M3, M4 = (Device(key, "acme", f"m{key}", "meter", ACTIVE, "main", 0, 0) for key in (3, 4))
DEVICES = {3: M3, 4: M4}


def standings(*delegations):
    made = Standings()
    for device in (GW, OTHER, M3, M4):
        made.know(device)
    made.use("acme", METER_PROFILE)
    for gateway in (1, 2):
        made.delegate(gateway, [it for it in delegations if it.gateway == gateway], DEVICES)
    return made


def test_nobody_speaks_for_anybody_at_first():
    assert dict(Standings().of(1)) == {}
    assert Standings().key_of("acme", "m3") is None
    assert Standings().gateways == {}


def test_names_are_known_in_their_tenant_only_delegated_or_not():
    made = standings()
    assert made.key_of("acme", "m3") == 3
    assert made.key_of("rival", "m3") is None
    assert set(made.gateways) == {1, 2}


def test_spans_of_a_pair_stand_in_order():
    made = standings(Delegation(1, 3, 50), Delegation(1, 3, 10, 20), Delegation(2, 3, 20, 50), Delegation(1, 4))
    assert made.of(1)["m3"].spans == ((10, 20), (50, ALWAYS[1]))
    assert made.of(2)["m3"].spans == ((20, 50),)
    assert made.of(1)["m4"].spans == (ALWAYS,)
    assert [made.of(1)["m3"].covers(at) for at in (9, 10, 19, 20, 49, 50)] == [False, True, True, False, False, True]


def test_what_is_delegated_anew_replaces_all_of_before():
    made = standings(Delegation(1, 3), Delegation(1, 4), Delegation(2, 3))
    made.delegate(1, [Delegation(1, 4)], DEVICES)
    assert set(made.of(1)) == {"m4"}
    assert set(made.of(2)) == {"m3"}
    assert made.know(M3) == {2}, "who no longer speaks for it is not told of it"
    made.delegate(1, [], {})
    assert made.know(M4) == set()


def test_a_changed_device_is_seen_by_all_who_speak_for_it():
    made = standings(Delegation(1, 3), Delegation(2, 3), Delegation(1, 4))
    suspended = msgspec.structs.replace(M3, state=SUSPENDED, state_since_ms=9)
    assert made.know(suspended) == {1, 2}
    assert made.of(1)["m3"].device == made.of(2)["m3"].device == suspended
    assert made.of(1)["m4"].device == M4
    gone = msgspec.structs.replace(GW, state=SUSPENDED)
    assert made.know(gone) == set()
    assert made.gateways[1] == gone


def test_a_changed_profile_is_seen_and_the_same_one_is_no_news():
    made = standings(Delegation(1, 3), Delegation(2, 4))
    changed = Profile("meter", expected_interval_s=5)
    assert made.use("acme", METER_PROFILE) == set()
    assert made.use("rival", changed) == set()
    assert made.use("acme", EDGE_PROFILE) == set()
    assert made.use("acme", changed) == {1, 2}
    assert made.of(1)["m3"].profile is made.of(2)["m4"].profile
    assert made.of(1)["m3"].profile == changed
    assert ("acme", "meter") in made.profiles()
