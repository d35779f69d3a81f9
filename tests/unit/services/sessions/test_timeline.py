"""The timeline of a session: every pair of state and event is in the table or void, and silence is counted right."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.model.session import SESSIONS, SessionEvent, SessionState
from ringmain.services.sessions import timeline

NEVER_SEEN, ONLINE, SLEEPING, STALE, OFFLINE = SessionState


@pytest.mark.parametrize("event", list(SessionEvent))
@pytest.mark.parametrize("state", list(SessionState))
def test_every_pair_is_in_the_table_or_void(state, event):
    assert timeline.after(state, event) == SESSIONS.get((state, event))


@pytest.mark.parametrize("state", list(SessionState))
def test_activity_brings_every_state_online_and_nothing_else_does(state):
    assert timeline.after(state, SessionEvent.ACTIVITY) is ONLINE
    for event in set(SessionEvent) - {SessionEvent.ACTIVITY}:
        assert timeline.after(state, event) is not ONLINE


@pytest.mark.parametrize("event", list(SessionEvent))
def test_who_was_never_seen_only_appears_by_activity(event):
    expected = ONLINE if event is SessionEvent.ACTIVITY else None
    assert timeline.after(NEVER_SEEN, event) is expected


@given(st.sampled_from(list(SessionState)))
def test_what_silence_is_stands_in_the_table(state):
    event = timeline.overdue(state)
    assert (event is None) == (state in {NEVER_SEEN, OFFLINE})
    if event is not None:
        assert timeline.after(state, event) in {STALE, OFFLINE}


def test_an_hourly_meter():
    hour = 3_600
    assert timeline.stale_at(0, hour) == 90 * 60_000
    assert timeline.offline_at(timeline.stale_at(0, hour), hour) == 180 * 60_000
    assert timeline.awake_at(0, hour) == 30 * 60_000


@given(st.integers(0, 2**41), st.integers(1, 366 * 86_400))
def test_stale_after_one_and_a_half_intervals_and_offline_after_three(seen_ms, interval_s):
    stale_ms = timeline.stale_at(seen_ms, interval_s)
    assert (stale_ms - seen_ms) * 2 == interval_s * 3000
    assert timeline.offline_at(stale_ms, interval_s) - seen_ms == interval_s * 3000


@given(st.sampled_from(list(SessionState)), st.integers(0, 2**41), st.integers(1, 10**7), st.integers(0, 2**41))
def test_a_restart_gives_everyone_the_time_of_one_more_report(state, deadline_ms, interval_s, now_ms):
    resumed_ms = timeline.resumed_at(state, deadline_ms, interval_s, now_ms)
    if state in {NEVER_SEEN, OFFLINE}:
        assert resumed_ms == timeline.NEVER_MS
    else:
        assert resumed_ms == max(deadline_ms, timeline.stale_at(now_ms, interval_s))
