"""The schema alone: every key has a meaning and bounds, and its defaults are what the fixed contract says."""

import msgspec
import pytest

from ringmain.apps.config import Config
from ringmain.apps.config_keys import SWITCHES, keys, sections


def test_every_key_says_what_it_is() -> None:
    assert all(len(key.doc) > 20 and key.doc.endswith(".") for key in keys().values())


def test_every_section_has_a_docstring() -> None:
    assert list(sections()) == ["storage", "mqtt", "http", "tls", "edge", "site", "log"]
    assert all(sections().values())


@pytest.mark.parametrize(
    ("path", "variable", "default"),
    [
        ("storage.dir", "RINGMAIN_STORAGE__DIR", "ringmain-data"),
        ("mqtt.port", "RINGMAIN_MQTT__PORT", 1883),
        ("mqtt.tls_port", "RINGMAIN_MQTT__TLS_PORT", 8883),
        ("http.port", "RINGMAIN_HTTP__PORT", 8080),
        ("edge.dir", "RINGMAIN_EDGE__DIR", "ringmain-edge"),
        ("edge.port", "RINGMAIN_EDGE__PORT", 1884),
    ],
)
def test_fixed_names(path: str, variable: str, default: object) -> None:
    assert keys()[path].env == variable
    assert keys()[path].default == default


def test_no_switch_is_also_a_key() -> None:
    assert not set(SWITCHES) & {key.env for key in keys().values()}


def test_defaults_satisfy_their_own_bounds() -> None:
    assert msgspec.convert(msgspec.to_builtins(Config()), Config) == Config()


def test_it_is_frozen() -> None:
    with pytest.raises(AttributeError):
        Config().insecure = True  # type: ignore[misc]


def test_paths_lie_in_the_data_directory() -> None:
    config = msgspec.convert({"storage": {"dir": "/var/lib/x"}}, Config)
    assert str(config.socket_path) == "/var/lib/x/ringmain.sock"
    assert str(config.registry_path) == "/var/lib/x/registry.sqlite"


def test_the_home_directory_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/meter")
    assert str(msgspec.convert({"storage": {"dir": "~/data"}}, Config).storage_dir) == "/home/meter/data"
