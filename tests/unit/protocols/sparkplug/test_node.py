"""The table of a node: which pairs there are, and what may never be."""

from ringmain.protocols.sparkplug.node import ASKS, NODE, NodeEvent, NodeState

IMPOSSIBLE = {
    *((state, NodeEvent.NEXT) for state in NodeState if state is not NodeState.ALIVE),
    (NodeState.UNKNOWN, NodeEvent.DEATH),
}


def test_every_pair_that_can_be_has_its_place():
    assert set(NODE) == {(state, event) for state in NodeState for event in NodeEvent} - IMPOSSIBLE


def test_only_a_birth_makes_a_node_alive():
    revived = {event for (state, event), to in NODE.items() if to is NodeState.ALIVE and state is not NodeState.ALIVE}
    assert revived == {NodeEvent.BIRTH}
    assert all(NODE[state, NodeEvent.BIRTH] is NodeState.ALIVE for state in NodeState)


def test_an_old_death_changes_nothing():
    assert all(NODE[state, NodeEvent.OLD_DEATH] is state for state in NodeState)


def test_whatever_asks_leaves_no_node_believed_that_lacks_a_message():
    assert all(NODE[state, NodeEvent.GAP] in {NodeState.UNKNOWN, NodeState.INCOMPLETE} for state in NodeState)
    assert {NodeEvent.GAP, NodeEvent.UNDECLARED} == ASKS
