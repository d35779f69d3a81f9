"""Tables and diagrams: complete, and only between their markers."""

import pytest

from ringmain.apps.docs.tables import TABLES, marked, with_tables
from ringmain.model.device import LIFECYCLE, PERMISSIONS
from ringmain.model.errors import ERRORS
from ringmain.model.session import SESSIONS


@pytest.mark.parametrize(("name", "table"), [("lifecycle", LIFECYCLE), ("sessions", SESSIONS)])
def test_every_transition_is_drawn(name: str, table: dict) -> None:
    text = TABLES[name]()
    for (state, event), to in table.items():
        assert f"    {state.name} --> {to.name}: {event.value}\n" in text
    assert text.count("-->") == len(table) + 1 + text.count("--> [*]")


def test_a_terminal_state_ends_the_diagram() -> None:
    assert "DECOMMISSIONED --> [*]" in TABLES["lifecycle"]()
    assert "--> [*]" not in TABLES["sessions"]()


def test_a_cell_of_the_matrix() -> None:
    assert "| **ACTIVE** | · | · | SUSPENDED | DECOMMISSIONED |\n" in TABLES["lifecycle"]()


def test_every_permission_and_error_has_its_row() -> None:
    assert all(f"| **{state.name}** |" in TABLES["permissions"]() for state in PERMISSIONS)
    assert all(f"| `{code}` |" in TABLES["errors"]() for code in ERRORS)
    assert "| `too_many_requests` | Rate limit reached | 0x96 | 4.29 | 429 |" in TABLES["errors"]()


def test_only_what_stands_between_markers_is_written() -> None:
    page = "before\n<!-- table: permissions -->\nx\n<!-- end -->\nbetween\n<!-- table: errors --><!-- end -->\nafter"
    written = with_tables(page)
    assert marked(page) == ("permissions",), "a marker has a line of its own"
    assert written.startswith("before\n<!-- table: permissions -->\n\n| |")
    assert "\nbetween\n<!-- table: errors --><!-- end -->\nafter" in written
    assert with_tables(written) == written


def test_an_unknown_table_is_an_error() -> None:
    with pytest.raises(KeyError):
        with_tables("<!-- table: nonsense -->\n<!-- end -->")
