"""The reference names every command, exit code and metric."""

from prometheus_client.parser import text_string_to_metric_families

from ringmain.apps.cli.exits import Exit
from ringmain.apps.docs.reference import reference_page
from ringmain.apps.observe import new_metrics

PAGE = reference_page()


def test_commands_with_their_arguments() -> None:
    assert "| `ringmain device add ID --profile --token` | Make one active device and print its token. |" in PAGE
    assert "| `ringmain config check" in PAGE
    assert "| `ringmain lab --data" in PAGE


def test_exit_codes() -> None:
    assert all(f"| {code.value} | " in PAGE for code in Exit)


def test_metrics_are_those_of_a_scrape() -> None:
    families = text_string_to_metric_families(new_metrics().render().decode())
    names = [
        family.name
        for family in families
        if family.name.startswith("ringmain_") and not family.name.endswith("_created")
    ]
    assert len(names) == 16
    for name in names:
        assert f"| `{name}` |" in PAGE or f"| `{name}_total` |" in PAGE
