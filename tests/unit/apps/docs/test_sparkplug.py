"""The page of Sparkplug carries every table, and says of each what the code does."""

from pathlib import Path

from ringmain.apps.docs.sparkplug import TABLES
from ringmain.apps.docs.tables import marked
from ringmain.gateway.translate.sparkplug_counted import Counted
from ringmain.protocols.sparkplug.node import NodeState

PAGE = Path(__file__).parents[4] / "docs" / "protocols" / "sparkplug.md"


def test_the_page_carries_every_table() -> None:
    assert set(marked(PAGE.read_text(encoding="utf-8"))) == set(TABLES)


def test_every_state_is_described_drawn_and_in_the_matrix() -> None:
    page, table = PAGE.read_text(encoding="utf-8"), TABLES["sparkplug-node"]()
    for state in NodeState:
        assert f"{state.name}: " in page.replace("\n", " ")
        assert f"| **{state.name}** |" in table
    assert "    [*] --> UNKNOWN\n" in table
    assert "ALIVE --> INCOMPLETE: another seq" in table
    assert "ALIVE --> ALIVE" not in table, "the drawing has the changes only"
    assert "asked for at *another seq* and *metric of no birth*." in table


def test_every_count_has_a_row() -> None:
    table = TABLES["sparkplug-counted"]()
    assert all(f"| `{counted}` | " in table for counted in Counted)


def test_the_limits() -> None:
    table = TABLES["sparkplug-limits"]()
    assert "| metrics of a payload | 5,000 | a dead letter |" in table
    assert "| rebirth requests to a node | one in 10 s |" in table
