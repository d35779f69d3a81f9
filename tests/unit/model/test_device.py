"""The lifecycle table and the permission matrix, and what a profile makes of a channel."""

import pytest

from ringmain.model.device import (
    BUILT_IN_PROFILES,
    GENERIC_PROFILE,
    LIFECYCLE,
    METER_PROFILE,
    PERMISSIONS,
    Channel,
    ChannelKind,
    LifecycleState,
    Profile,
    Telemetry,
)
from ringmain.model.session import SESSIONS, SessionEvent, SessionState


def test_nothing_leads_out_of_the_end():
    assert not [it for it in LIFECYCLE if it[0] is LifecycleState.DECOMMISSIONED]


def test_every_state_can_be_reached_and_left():
    assert set(LIFECYCLE.values()) == set(LifecycleState) - {LifecycleState.REGISTERED}
    assert {state for state, _ in LIFECYCLE} == set(LifecycleState) - {LifecycleState.DECOMMISSIONED}


def test_who_may_not_connect_may_not_deliver_either():
    assert set(PERMISSIONS) == set(LifecycleState)
    for state, may in PERMISSIONS.items():
        assert may.connect is (may.telemetry is not Telemetry.REFUSED), state


def test_only_an_active_device_is_believed():
    assert [state for state, may in PERMISSIONS.items() if may.telemetry is Telemetry.ACCEPTED] == [
        LifecycleState.ACTIVE
    ]


@pytest.mark.parametrize("profile", [*BUILT_IN_PROFILES, Profile("other")])
def test_energy_is_exact_whatever_the_profile(profile):
    assert profile.is_exact("heat_return_wh")
    assert not profile.is_exact("power_w")
    assert not profile.is_exact("wh")


def test_a_profile_has_the_last_word_on_its_own_channels():
    profile = Profile("p", channels=(Channel("count", kind=ChannelKind.EXACT), Channel("noise_wh")))
    assert profile.is_exact("count")
    assert not profile.is_exact("noise_wh")


def test_the_built_in_ones():
    assert [it.name for it in (GENERIC_PROFILE, METER_PROFILE)] == ["generic", "meter"]
    assert METER_PROFILE.is_exact("energy_wh")


def test_a_session_only_comes_online_by_activity():
    assert {event for (_, event), to in SESSIONS.items() if to is SessionState.ONLINE} == {SessionEvent.ACTIVITY}
    assert {state for (state, event) in SESSIONS if event is SessionEvent.ACTIVITY} == set(SessionState)


def test_a_disconnect_is_no_activity_and_wakes_nobody():
    assert SESSIONS[SessionState.SLEEPING, SessionEvent.DISCONNECT] is SessionState.SLEEPING
    assert (SessionState.OFFLINE, SessionEvent.DISCONNECT) not in SESSIONS
