"""The states of one edge node as a host application sees it (Sparkplug 3.0.0 §5), as one table: the code, the test and
the diagram in the docs.
"""

from enum import StrEnum


class NodeState(StrEnum):
    """UNKNOWN: no birth since the platform started, or none that could be followed. ALIVE: born, and nothing is
    missing. INCOMPLETE: born, but a message is missing. DEAD: it said so, or its will did.
    """

    UNKNOWN = "unknown"
    ALIVE = "alive"
    INCOMPLETE = "incomplete"
    DEAD = "dead"


class NodeEvent(StrEnum):
    """What a message of a node is, as it stands to those before it."""

    BIRTH = "NBIRTH"
    NEXT = "the next seq"
    GAP = "another seq"
    UNDECLARED = "metric of no birth"
    DEATH = "NDEATH of that birth"
    OLD_DEATH = "NDEATH of another"


NODE: dict[tuple[NodeState, NodeEvent], NodeState] = {
    (NodeState.UNKNOWN, NodeEvent.BIRTH): NodeState.ALIVE,
    (NodeState.UNKNOWN, NodeEvent.GAP): NodeState.UNKNOWN,
    (NodeState.UNKNOWN, NodeEvent.UNDECLARED): NodeState.UNKNOWN,
    (NodeState.UNKNOWN, NodeEvent.OLD_DEATH): NodeState.UNKNOWN,
    (NodeState.ALIVE, NodeEvent.BIRTH): NodeState.ALIVE,
    (NodeState.ALIVE, NodeEvent.NEXT): NodeState.ALIVE,
    (NodeState.ALIVE, NodeEvent.GAP): NodeState.INCOMPLETE,
    (NodeState.ALIVE, NodeEvent.UNDECLARED): NodeState.ALIVE,
    (NodeState.ALIVE, NodeEvent.DEATH): NodeState.DEAD,
    (NodeState.ALIVE, NodeEvent.OLD_DEATH): NodeState.ALIVE,
    (NodeState.INCOMPLETE, NodeEvent.BIRTH): NodeState.ALIVE,
    (NodeState.INCOMPLETE, NodeEvent.GAP): NodeState.INCOMPLETE,
    (NodeState.INCOMPLETE, NodeEvent.UNDECLARED): NodeState.INCOMPLETE,
    (NodeState.INCOMPLETE, NodeEvent.DEATH): NodeState.DEAD,
    (NodeState.INCOMPLETE, NodeEvent.OLD_DEATH): NodeState.INCOMPLETE,
    (NodeState.DEAD, NodeEvent.BIRTH): NodeState.ALIVE,
    (NodeState.DEAD, NodeEvent.GAP): NodeState.UNKNOWN,
    (NodeState.DEAD, NodeEvent.UNDECLARED): NodeState.UNKNOWN,
    (NodeState.DEAD, NodeEvent.DEATH): NodeState.DEAD,
    (NodeState.DEAD, NodeEvent.OLD_DEATH): NodeState.DEAD,
}
"""Only ALIVE has a next seq, and without a birth no NDEATH is of it."""

ASKS = frozenset({NodeEvent.GAP, NodeEvent.UNDECLARED})
"""After these a rebirth is asked for, whatever the state."""
