"""Rosters: who must not be on one, and what tells a new one from an old one."""

import msgspec
import pytest

from ringmain.model.device import METER_PROFILE, Device, LifecycleState, Profile
from ringmain.model.gateway import Roster, token_sha256, verifier
from ringmain.model.standing import ALWAYS, Standing
from ringmain.services.gateways.roster import content_of, entries_of, listed, roster_of

GW = Device(1, "acme", "gw", "gateway", LifecycleState.ACTIVE, "main", 0, 0)
SALT = b"s" * 32


def standing(key, spans=(ALWAYS,), state=LifecycleState.ACTIVE, profile=METER_PROFILE):
    return Standing(Device(key, "acme", f"m{key}", profile.name, state, "main", 0, 7), profile, spans)


def roster(*standings, secrets=None, now_ms=100):
    those = listed(standings, now_ms)
    return roster_of(GW, SALT, those, entries_of(SALT, those, secrets or {}))


def test_who_has_no_business_at_the_gateway_any_more_is_not_listed():
    gone = standing(2, state=LifecycleState.DECOMMISSIONED)
    assert listed([gone, standing(3, ((0, 100),)), standing(4, ((0, 50), (60, 99)))], 100) == []


@pytest.mark.parametrize("state", [it for it in LifecycleState if it is not LifecycleState.DECOMMISSIONED])
def test_every_other_state_is_told(state):
    (entry,) = roster(standing(2, state=state)).entries
    assert (entry.key, entry.id, entry.profile, entry.state, entry.state_since_ms) == (2, "m2", "meter", state, 7)
    assert (entry.from_ms, entry.to_ms, entry.verifiers) == (0, None, ())


def test_the_span_is_the_one_that_holds_now_or_is_next():
    entries = roster(
        standing(5, ((0, 50), (90, 110), (120, ALWAYS[1]))), standing(3, ((0, 50), (101, ALWAYS[1])))
    ).entries
    assert [(it.id, it.from_ms, it.to_ms) for it in entries] == [("m3", 101, None), ("m5", 90, 110)], "in order of keys"


def test_verifiers_are_of_the_tokens_in_force_and_of_nothing_else():
    one, other = token_sha256("one"), token_sha256("other")
    entries = roster(standing(2), standing(3), secrets={2: [one, other], 9: [one]}).entries
    assert set(entries[0].verifiers) == {verifier(SALT, one), verifier(SALT, other)}
    assert entries[1].verifiers == ()
    assert one not in msgspec.json.encode(roster(standing(2), secrets={2: [one]}))


def test_profiles_are_those_in_use_each_once():
    pump = Profile("pump")
    made = roster(standing(2), standing(3), standing(4, profile=pump), standing(5, ((0, 1),), profile=Profile("old")))
    assert made.profiles == (METER_PROFILE, pump)
    assert (made.tenant, made.gateway, made.salt, made.version) == ("acme", "gw", SALT, 0)
    assert msgspec.json.decode(msgspec.json.encode(made), type=Roster) == made


def test_content_is_the_same_whatever_the_order_and_the_version():
    one, other = token_sha256("one"), token_sha256("other")
    first = roster(standing(2), standing(3), secrets={2: [one, other]})
    again = roster(standing(3), standing(2), secrets={2: [other, one]})
    assert content_of(first) == content_of(msgspec.structs.replace(again, version=9))


@pytest.mark.parametrize(
    "changed",
    [
        roster(standing(2)),
        roster(standing(2), standing(3, ((5, ALWAYS[1]),))),
        roster(standing(2), standing(3, state=LifecycleState.SUSPENDED)),
        roster(standing(2), standing(3), secrets={3: [token_sha256("x")]}),
        roster(standing(2), standing(3, profile=Profile("meter"))),
    ],
)
def test_content_differs_where_anything_differs(changed):
    assert content_of(changed) != content_of(roster(standing(2), standing(3)))
