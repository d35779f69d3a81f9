"""Four layers, each value with its origin; and everything that is refused, with its path."""

from pathlib import Path

import pytest

from ringmain.apps.config import Config
from ringmain.apps.config_error import ConfigError
from ringmain.apps.config_keys import keys, text_of
from ringmain.apps.config_load import is_loopback, load


def refused(tmp_path: Path, toml: str = "", **layers) -> ConfigError:
    if toml:
        (tmp_path / "ringmain.toml").write_text(toml)
    with pytest.raises(ConfigError) as caught:
        load(environ=layers.get("environ", {}), flags=layers.get("flags", {}), cwd=tmp_path)
    assert caught.value.hint
    return caught.value


def test_without_anything_all_is_default(tmp_path: Path) -> None:
    loaded = load(environ={}, cwd=tmp_path)
    assert loaded.config == Config()
    assert loaded.file is None
    assert loaded.origins == dict.fromkeys(keys(), "default")


def test_each_layer_overrides_the_one_before(tmp_path: Path) -> None:
    file = tmp_path / "ringmain.toml"
    file.write_text('[mqtt]\nport = 1\ntls_port = 1\nreceive_maximum = 1\n[site]\nzone = "Europe/London"\n')
    loaded = load(
        environ={"RINGMAIN_MQTT__PORT": "2", "RINGMAIN_MQTT__TLS_PORT": "2"},
        flags={"mqtt.port": ("--mqtt-port", "3")},
        cwd=tmp_path,
    )
    assert (loaded.config.mqtt.port, loaded.config.mqtt.tls_port, loaded.config.mqtt.receive_maximum) == (3, 2, 1)
    assert loaded.config.site.zone == "Europe/London"
    assert loaded.origins["mqtt.port"] == "flag:--mqtt-port"
    assert loaded.origins["mqtt.tls_port"] == "env:RINGMAIN_MQTT__TLS_PORT"
    assert loaded.origins["mqtt.receive_maximum"] == f"file:{file}"
    assert loaded.origins["http.port"] == "default"


def test_which_file_is_read(tmp_path: Path) -> None:
    here, named, from_env = (tmp_path / name for name in ("ringmain.toml", "named.toml", "env.toml"))
    for port, file in enumerate((here, named, from_env), 1):
        file.write_text(f"[http]\nport = {port}\n")
    environ = {"RINGMAIN_CONFIG": str(from_env)}
    assert load(environ={}, cwd=tmp_path).config.http.port == 1
    assert load(environ=environ, cwd=tmp_path).config.http.port == 3
    assert load(file=named, environ=environ, cwd=tmp_path).config.http.port == 2


def test_a_named_file_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can not be read: No such file"):
        load(file=tmp_path / "none.toml", environ={})


@pytest.mark.parametrize(
    ("toml", "told"),
    [
        ("[mqtt]\nprot = 1\n", "unknown key `$.mqtt.prot`"),
        ("[mqqt]\nport = 1\n", "unknown key `$.mqqt`"),
        ("mqtt.port.deep = 1\n", "Expected `int`, got `object` - at `$.mqtt.port`"),
        ('[mqtt]\nport = "1883"\n', "Expected `int`, got `str` - at `$.mqtt.port`"),
        ("[mqtt]\nport = 65536\n", "Expected `int` <= 65535 - at `$.mqtt.port`"),
        ("[mqtt]\nport = -1\n", "Expected `int` >= 0 - at `$.mqtt.port`"),
        ("[mqtt]\nport = true\n", "Expected `int`, got `bool` - at `$.mqtt.port`"),
        ("mqtt = 5\n", "Expected a table - at `$.mqtt`"),
        ('insecure = "yes"\n', "Expected `bool`, got `str` - at `$.insecure`"),
        ('[log]\nlevel = "loud"\n', "Invalid enum value 'loud' - at `$.log.level`"),
        ('[tls]\nnames = ["a", 5]\n', "Expected `str`, got `int` - at `$.tls.names[1]`"),
        ('[tls]\nnames = ["zähler.example"]\n', "matching regex"),
        ("[storage]\nlog_retain_mib = 4096\n", "at `$.storage.log_retain_mib`"),
        ('[site]\nzone = "Mars/Olympus"\n', "at `$.site.zone`"),
        ("[http]\nport = 1883\n", "port 1883 is also `$.mqtt.port` - at `$.http.port`"),
        ("not toml\n", "is not TOML"),
        ("[mqtt]\nport = 1\nport = 2\n", "is not TOML"),
    ],
)
def test_what_a_file_may_not_say(tmp_path: Path, toml: str, told: str) -> None:
    detail = refused(tmp_path, toml).detail
    assert told in detail
    assert str(tmp_path / "ringmain.toml") in detail


def test_a_file_that_is_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "ringmain.toml").write_bytes(b"[site]\nzone = '\xff'\n")
    assert "is not TOML" in refused(tmp_path).detail


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({"RINGMAIN_MQTT__PROT": "1"}, "unknown key `$.mqtt.prot` (from env:RINGMAIN_MQTT__PROT)"),
        ({"RINGMAIN_MQTT_PORT": "1"}, "unknown key `$.mqtt_port`"),
        ({"RINGMAIN_MQTT__PORT": ""}, "at `$.mqtt.port` (from env:RINGMAIN_MQTT__PORT)"),
        ({"RINGMAIN_MQTT__PORT": "1883.5"}, "at `$.mqtt.port`"),
        ({"RINGMAIN_MQTT": "1"}, "unknown key `$.mqtt`"),
        ({"RINGMAIN_": "1"}, "unknown key `$.`"),
    ],
)
def test_what_the_environment_may_not_say(tmp_path: Path, environ: dict[str, str], told: str) -> None:
    assert told in refused(tmp_path, environ=environ).detail


def test_a_single_underscore_is_recognised_as_a_slip(tmp_path: Path) -> None:
    assert "did you mean `RINGMAIN_MQTT__PORT`?" in refused(tmp_path, environ={"RINGMAIN_MQTT_PORT": "1"}).hint


def test_the_switches_of_the_test_suite_are_no_keys(tmp_path: Path) -> None:
    load(environ={"RINGMAIN_PROVE": "1", "RINGMAIN_REQUIRE_SERVICES": "1", "PATH": "/bin"}, cwd=tmp_path)


def test_a_list_in_the_environment(tmp_path: Path) -> None:
    assert load(environ={"RINGMAIN_TLS__NAMES": "a.example, 10.0.0.1,"}, cwd=tmp_path).config.tls.names == (
        "a.example",
        "10.0.0.1",
    )


@pytest.mark.parametrize("key", ["mqtt.host", "http.host"])
@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "meter.example", "localhost.example"])
def test_a_plain_listener_beyond_loopback_needs_the_insecure_flag(tmp_path: Path, key: str, host: str) -> None:
    flags = {key: ("--set", host)}
    assert f"at `$.{key}`" in refused(tmp_path, flags=flags).detail
    assert load(environ={"RINGMAIN_INSECURE": "true"}, flags=flags, cwd=tmp_path).config.insecure


def test_the_tls_listener_may_go_wide(tmp_path: Path) -> None:
    assert load(environ={"RINGMAIN_MQTT__TLS_HOST": "0.0.0.0"}, cwd=tmp_path).config.mqtt.tls_host == "0.0.0.0"


@pytest.mark.parametrize(("host", "loopback"), [("127.9.9.9", True), ("::1", True), ("localhost", True), ("::", False)])
def test_is_loopback(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


def test_weakened_syncing_needs_the_test_switch(tmp_path: Path) -> None:
    weak = {"RINGMAIN_STORAGE__SYNCHRONOUS": "off"}
    assert "at `$.storage.synchronous`" in refused(tmp_path, environ=weak).detail
    assert "at `$.storage.synchronous`" in refused(tmp_path, environ={**weak, "RINGMAIN_UNSAFE_TEST": "0"}).detail
    assert load(environ={**weak, "RINGMAIN_UNSAFE_TEST": "1"}, cwd=tmp_path).config.storage.synchronous == "off"


def test_several_listeners_may_all_take_free_ports(tmp_path: Path) -> None:
    zero = {f"{key}.port": ("--set", 0) for key in ("mqtt", "http")}
    assert load(environ={}, flags={**zero, "mqtt.tls_port": ("--set", 0)}, cwd=tmp_path).config.mqtt.port == 0


@pytest.mark.parametrize("path", [path for path, key in keys().items() if key.default is not None])
def test_every_default_may_be_written_out(tmp_path: Path, path: str) -> None:
    """Each key can be set in the file to the text that `config show` prints, and says so."""
    section, _, name = path.rpartition(".")
    line = f"{name} = {text_of(keys()[path].default)}\n"
    (tmp_path / "ringmain.toml").write_text(f"[{section}]\n{line}" if section else line)
    loaded = load(environ={}, cwd=tmp_path)
    assert loaded.config == Config()
    assert [key for key, origin in loaded.origins.items() if origin != "default"] == [path]


@pytest.mark.parametrize(("named", "lacking"), [("certificate", "key"), ("key", "certificate")])
def test_a_certificate_and_its_key_come_together(tmp_path: Path, named: str, lacking: str) -> None:
    error = refused(tmp_path, f'[tls]\n{named} = "tls.pem"\n')
    assert f"`$.tls.{named}` (from file:" in error.detail
    assert f"tls.{lacking}" in error.hint
    both = tmp_path / "both.toml"
    both.write_text('[tls]\ncertificate = "tls.pem"\nkey = "tls.key"\n')
    assert load(file=both, environ={}).config.tls.key == "tls.key"


def test_what_is_off_by_default_has_no_text_in_the_file(tmp_path: Path) -> None:
    """TOML knows no null: such a key is left out."""
    off = [path for path, key in keys().items() if key.default is None]
    assert off == ["mqtt.open_port"]
    assert load(environ={}, cwd=tmp_path).config.mqtt.open_port is None


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "example.org"])
@pytest.mark.parametrize("insecure", ["", "insecure = true\n"])
def test_the_open_listener_is_for_this_machine_alone(tmp_path: Path, host: str, insecure: str) -> None:
    error = refused(tmp_path, f'{insecure}[mqtt]\nopen_port = 0\nopen_host = "{host}"\n')
    assert "at `$.mqtt.open_host`" in error.detail
