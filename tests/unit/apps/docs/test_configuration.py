"""The configuration's page names every key, its variable, its default and its bounds."""

from ringmain.apps.config_keys import SWITCHES, keys
from ringmain.apps.docs.configuration import configuration_page

PAGE = configuration_page()


def test_every_key_has_one_row() -> None:
    for key in keys().values():
        assert PAGE.count(f"| `{key.path}`<br>`{key.env}` |") == 1
        assert key.doc in PAGE


def test_what_a_key_takes() -> None:
    assert "| `1883` | 0 to 65,535 |" in PAGE
    assert "| `false` | `true` or `false` |" in PAGE
    assert "| `console`, `json` |" in PAGE
    assert "| `[]` | list of text |" in PAGE


def test_every_switch_is_there() -> None:
    assert all(f"| `{name}` |" in PAGE for name in SWITCHES)
