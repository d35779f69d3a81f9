"""State tables of the model as Markdown and Mermaid, for the pages that carry markers for them.

A page says `<!-- table: NAME -->` and `<!-- end -->`; what stands between is ours.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeVar

from ringmain.model.device import LIFECYCLE, PERMISSIONS, LifecycleState
from ringmain.model.errors import ERRORS
from ringmain.model.session import SESSIONS, SessionState

_MARKED = re.compile(r"(<!-- table: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


S = TypeVar("S", bound=StrEnum)
E = TypeVar("E", bound=StrEnum)


def with_tables(page: str, tables: Mapping[str, Callable[[], str]] | None = None) -> str:
    """The page with every marked table written anew. KeyError for a name that is no table."""
    known = TABLES if tables is None else tables
    return _MARKED.sub(lambda found: f"{found[1]}\n{known[found[2]]()}\n{found[3]}", page)


def marked(page: str) -> tuple[str, ...]:
    """The names of the tables that a page carries."""
    return tuple(found[2] for found in _MARKED.finditer(page))


def diagram(table: Mapping[tuple[S, E], S], first: S) -> str:
    """A table of transitions as a Mermaid state diagram that begins in `first`."""
    lines = ["```mermaid", "stateDiagram-v2", f"    [*] --> {first.name}"]
    lines += [f"    {state.name} --> {to.name}: {event.value}" for (state, event), to in table.items()]
    left = {state for state, _ in table}
    lines += [f"    {to.name} --> [*]" for to in dict.fromkeys(table.values()) if to not in left]
    return "\n".join([*lines, "```", ""])


def matrix(table: Mapping[tuple[S, E], S]) -> str:
    """A table of transitions as Markdown: states down, events across, `·` where there is nothing."""
    state_known, event_known = next(iter(table))
    states, events = list(type(state_known)), list(type(event_known))
    lines = [f"| | {' | '.join(event.value for event in events)} |", "|---" * (len(events) + 1) + "|"]
    for state in states:
        cells = [table.get((state, event)) for event in events]
        lines.append(f"| **{state.name}** | {' | '.join(to.name if to else '·' for to in cells)} |")
    return "\n".join([*lines, ""])


def _permissions() -> str:
    lines = ["| | connect | telemetry | commands | billed |", "|---|---|---|---|---|"]
    lines += [
        f"| **{state.name}** | {'yes' if row.connect else 'refused'} | {row.telemetry.value} | {row.commands} |"
        f" {row.billed} |"
        for state, row in PERMISSIONS.items()
    ]
    return "\n".join([*lines, ""])


def _errors() -> str:
    lines = ["| code | meaning | MQTT 5 | CoAP | HTTP | AMQP |", "|---|---|---|---|---|---|"]
    lines += [
        f"| `{row.code}` | {row.title} | 0x{row.mqtt_reason:02X} | {row.coap} | {row.http_status} | `{row.amqp}` |"
        for row in ERRORS.values()
    ]
    return "\n".join([*lines, ""])


TABLES: dict[str, Callable[[], str]] = {
    "lifecycle": lambda: diagram(LIFECYCLE, LifecycleState.REGISTERED) + "\n" + matrix(LIFECYCLE),
    "permissions": _permissions,
    "sessions": lambda: diagram(SESSIONS, SessionState.NEVER_SEEN) + "\n" + matrix(SESSIONS),
    "errors": _errors,
}
