"""Tables of `docs/protocols/sparkplug.md`: the states of a node, what is counted, and every limit, from the code."""

from collections.abc import Callable

from ringmain.apps.docs.tables import diagram, matrix
from ringmain.gateway.translate.sparkplug_counted import MEANINGS
from ringmain.gateway.translate.sparkplug_host import DECLARED_TOTAL_MAX, NODES_MAX, REBIRTH_INTERVAL_MS
from ringmain.protocols.sparkplug.metric import METRICS_MAX, NAME_BYTES_MAX, VALUE_BYTES_MAX
from ringmain.protocols.sparkplug.node import ASKS, NODE, NodeEvent, NodeState
from ringmain.protocols.sparkplug.session import DECLARED_MAX, DEVICES_MAX
from ringmain.protocols.sparkplug.topics import ID_LENGTH_MAX

_DEAD_LETTER = "a dead letter"
_FORGOTTEN = "the node born longest ago is forgotten, and asked for a rebirth when it says something"

_LIMITS = (
    ("metrics of a payload", f"{METRICS_MAX:,}", _DEAD_LETTER),
    ("a metric's name", f"{NAME_BYTES_MAX:,} bytes", _DEAD_LETTER),
    ("a value of text or bytes", f"{VALUE_BYTES_MAX:,} bytes", _DEAD_LETTER),
    ("metrics that a node and its devices declare", f"{DECLARED_MAX:,}", _DEAD_LETTER),
    ("devices of a node", f"{DEVICES_MAX:,}", _DEAD_LETTER),
    ("an id in a topic", f"{ID_LENGTH_MAX} characters", "rejected as `unknown_topic`"),
    ("rebirth requests to a node", f"one in {REBIRTH_INTERVAL_MS // 1_000} s", "held; the next message asks again"),
    ("nodes that are followed", f"{NODES_MAX:,}", _FORGOTTEN),
    ("metrics that all nodes declare", f"{DECLARED_TOTAL_MAX:,}", _FORGOTTEN),
)


def _node() -> str:
    changes = {(state, event): to for (state, event), to in NODE.items() if to is not state}
    asking = " and ".join(f"*{event.value}*" for event in NodeEvent if event in ASKS)
    return f"{diagram(changes, NodeState.UNKNOWN)}\n{matrix(NODE)}\nA rebirth is asked for at {asking}.\n"


def _counted() -> str:
    rows = "".join(f"| `{counted}` | {meaning} |\n" for counted, meaning in MEANINGS.items())
    return f"| name | what is counted |\n|---|---|\n{rows}"


def _limits() -> str:
    rows = "".join(f"| {what} | {limit} | {beyond} |\n" for what, limit, beyond in _LIMITS)
    return f"| what | limit | beyond it |\n|---|---|---|\n{rows}"


TABLES: dict[str, Callable[[], str]] = {
    "sparkplug-node": _node,
    "sparkplug-counted": _counted,
    "sparkplug-limits": _limits,
}
