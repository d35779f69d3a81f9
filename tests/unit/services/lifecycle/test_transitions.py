"""Every pair of state and event is in the table, or refused with what is possible instead."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringmain.model.device import LIFECYCLE, LifecycleEvent, LifecycleState
from ringmain.model.errors import Refused
from ringmain.services.lifecycle.transitions import after, events


@pytest.mark.parametrize("event", list(LifecycleEvent))
@pytest.mark.parametrize("state", list(LifecycleState))
def test_every_pair_is_in_the_table_or_refused(state, event):
    if (state, event) in LIFECYCLE:
        assert after(state, event) is LIFECYCLE[state, event]
        assert event in events(state)
        return
    assert event not in events(state)
    with pytest.raises(Refused) as refused:
        after(state, event)
    assert refused.value.code == "invalid_transition"
    assert state.value in refused.value.detail
    assert event.value in refused.value.detail
    for possible in events(state):
        assert possible.value in refused.value.hint


def test_the_hint_of_a_final_state_names_no_event():
    with pytest.raises(Refused) as refused:
        after(LifecycleState.DECOMMISSIONED, LifecycleEvent.ACTIVATE)
    assert "final" in refused.value.hint
    assert "Possible" not in refused.value.hint


@given(st.lists(st.sampled_from(list(LifecycleEvent))))
def test_no_walk_becomes_active_without_a_token_or_leaves_the_final_state(walk):
    state = LifecycleState.REGISTERED
    provisioned = False
    for event in walk:
        try:
            following = after(state, event)
        except Refused:
            continue
        assert state is not LifecycleState.DECOMMISSIONED
        provisioned = provisioned or event is LifecycleEvent.PROVISION
        assert provisioned or following in {LifecycleState.REGISTERED, LifecycleState.DECOMMISSIONED}
        state = following
