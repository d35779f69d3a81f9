"""A session in memory and its frozen picture."""

import pytest

from ringmain.model.session import Session, SessionState
from ringmain.services.sessions.live import Live
from ringmain.services.sessions.timeline import NEVER_MS

START_MS = 1_700_000_000_000


def live(state: SessionState, deadline_ms: int) -> Live:
    return Live(7, state, 3, "mqtt", "peer", START_MS, START_MS + 5, deadline_ms, 60)


@pytest.mark.parametrize("state", [state for state in SessionState if state is not SessionState.ONLINE])
def test_a_deadline_stands_as_it_was_set(state):
    assert live(state, START_MS).due_ms() == START_MS


def test_an_online_deadline_moves_with_what_was_heard_but_not_before_the_one_set():
    assert live(SessionState.ONLINE, START_MS).due_ms() == START_MS + 5 + 90_000
    assert live(SessionState.ONLINE, START_MS + 10**6).due_ms() == START_MS + 10**6


def test_the_picture_says_zero_where_nothing_is_expected():
    state = SessionState.OFFLINE
    assert live(state, NEVER_MS).frozen() == Session(7, state, 3, "mqtt", "peer", START_MS, START_MS + 5, 0, 60)
    assert live(SessionState.STALE, START_MS).frozen().expected_by_ms == START_MS
