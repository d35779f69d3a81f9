"""Loading: defaults, then one TOML file, then the environment, then flags; each value knows where it came from.

A key that does not exist, or a value that is not what its key takes, is refused with its path and its origin,
in every layer alike; nothing is silently ignored.
"""

import difflib
import ipaddress
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from ringmain.apps.config import Config
from ringmain.apps.config_error import ConfigError
from ringmain.apps.config_keys import PREFIX, SWITCHES, Key, keys, sections, text_of
from ringmain.model.site import zone_of

FILE_NAME = "ringmain.toml"


class Loaded(msgspec.Struct, frozen=True):
    """The configuration, the origin of each key (`default`, `file:PATH`, `env:NAME`, `flag:NAME`), and the file."""

    config: Config
    origins: dict[str, str]
    file: Path | None


def load(
    *,
    file: Path | None = None,
    environ: Mapping[str, str] | None = None,
    flags: Mapping[str, tuple[str, object]] | None = None,
    cwd: Path | None = None,
) -> Loaded:
    """The configuration of this process. `flags` maps a key's path to (flag as typed, value); strings are read as
    in the environment. Raises `ConfigError`.
    """
    environ = os.environ if environ is None else environ
    path = _file_to_read(file, environ, cwd or Path())
    values: dict[str, object] = {}
    origins = dict.fromkeys(keys(), "default")
    layers = (_from_file(path), _from_environment(environ), _from_flags(flags or {}))
    for layer in layers:
        for key, value, origin in layer:
            values[key.path] = _converted(key, value, origin)
            origins[key.path] = origin
    config = _built(values)
    _check(config, origins, environ)
    return Loaded(config, origins, path)


def _file_to_read(named: Path | None, environ: Mapping[str, str], cwd: Path) -> Path | None:
    if named is not None:
        return named
    if environ.get("RINGMAIN_CONFIG"):
        return Path(environ["RINGMAIN_CONFIG"])
    found = cwd / FILE_NAME
    return found if found.is_file() else None


def _from_file(path: Path | None) -> Iterator[tuple[Key, object, str]]:
    if path is None:
        return
    origin = f"file:{path}"
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"configuration file {path} can not be read: {error.strerror}", "name another with --config, or create it"
        ) from error
    except ValueError as error:
        raise ConfigError(f"{path} is not TOML: {error}", "correct that line; the format is https://toml.io") from error
    for name, value in document.items():
        if name not in sections():
            yield _known(name, origin), value, origin
        elif isinstance(value, dict):
            for inner, inner_value in value.items():
                yield _known(f"{name}.{inner}", origin), inner_value, origin
        else:
            raise ConfigError(
                f"Expected a table - at `$.{name}` (from {origin})",
                f"write [{name}] on a line of its own, then its keys",
            )


def _from_environment(environ: Mapping[str, str]) -> Iterator[tuple[Key, object, str]]:
    for name in sorted(environ):
        if name.startswith(PREFIX) and name not in SWITCHES:
            path = name.removeprefix(PREFIX).lower().replace("__", ".")
            yield _known(path, f"env:{name}"), environ[name], f"env:{name}"


def _from_flags(flags: Mapping[str, tuple[str, object]]) -> Iterator[tuple[Key, object, str]]:
    for path, (flag, value) in flags.items():
        yield _known(path, f"flag:{flag}"), value, f"flag:{flag}"


def _known(path: str, origin: str) -> Key:
    key = keys().get(path)
    if key is not None:
        return key
    near = difflib.get_close_matches(path, keys(), n=1, cutoff=0.7)
    hint = "`ringmain config show` lists every key"
    if near:
        spelt = f"{keys()[near[0]].env}" if origin.startswith("env:") else f"$.{near[0]}"
        hint = f"did you mean `{spelt}`? {hint}"
    raise ConfigError(f"unknown key `$.{path}` (from {origin})", hint)


def _converted(key: Key, value: object, origin: str) -> object:
    strict = not isinstance(value, str) or origin.startswith("file:")
    if not strict and isinstance(key.default, tuple):
        value = [part.strip() for part in str(value).split(",") if part.strip()]
    try:
        converted: object = msgspec.convert(value, key.type, strict=strict)
    except msgspec.ValidationError as error:
        what, _, within = str(error).partition(" - at `$")
        raise ConfigError(
            f"{what} - at `$.{key.path}{within.rstrip('`')}` (from {origin})",
            f"{key.doc} The default is {text_of(key.default)}.",
        ) from error
    return converted


def _built(values: Mapping[str, object]) -> Config:
    document: dict[str, object] = {}
    for path, value in values.items():
        section, _, name = path.rpartition(".")
        if not section:
            document[name] = value
            continue
        table = document.setdefault(section, {})
        assert isinstance(table, dict)
        table[name] = value
    return msgspec.convert(document, Config)


def _check(config: Config, origins: Mapping[str, str], environ: Mapping[str, str]) -> None:
    """What no single key can say."""
    for path, host in (
        ("mqtt.host", config.mqtt.host),
        ("http.host", config.http.host),
        ("edge.host", config.edge.host),
    ):
        if not config.insecure and not is_loopback(host):
            raise ConfigError(
                f"{host} is not loopback, and the listener has no TLS - at `$.{path}` (from {origins[path]})",
                "keep 127.0.0.1 and use mqtt.tls_host, or a reverse proxy with TLS for HTTP; or accept that tokens"
                " are readable on the way with insecure = true",
            )
    if not is_loopback(config.mqtt.open_host):
        raise ConfigError(
            f"{config.mqtt.open_host} is not loopback, and everybody may enter - at `$.mqtt.open_host`"
            f" (from {origins['mqtt.open_host']})",
            "the open listener is for test suites on this machine; devices come to mqtt.port and mqtt.tls_port",
        )
    if config.storage.synchronous != "full" and environ.get("RINGMAIN_UNSAFE_TEST") != "1":
        raise ConfigError(
            "without syncing, acknowledged readings are lost with the power - at `$.storage.synchronous`"
            f" (from {origins['storage.synchronous']})",
            'use "full"; a test that wants to lose data sets RINGMAIN_UNSAFE_TEST=1',
        )
    if config.storage.log_retain_mib >= config.storage.log_limit_mib:
        raise ConfigError(
            f"{config.storage.log_retain_mib} MiB retained leave no room below the log's limit of"
            f" {config.storage.log_limit_mib} MiB - at `$.storage.log_retain_mib`"
            f" (from {origins['storage.log_retain_mib']})",
            "raise storage.log_limit_mib or lower storage.log_retain_mib",
        )
    try:
        zone_of(config.site.zone)
    except ValueError as error:
        raise ConfigError(
            f"{error} - at `$.site.zone` (from {origins['site.zone']})", "use a name such as Europe/London or UTC"
        ) from error
    if bool(config.tls.certificate) is not bool(config.tls.key):
        named, lacking = ("certificate", "key") if config.tls.certificate else ("key", "certificate")
        raise ConfigError(
            f"a certificate and its key come together, and `$.tls.{lacking}` is not there - at `$.tls.{named}`"
            f" (from {origins[f'tls.{named}']})",
            f"name tls.{lacking} too, or neither of them for the platform's own",
        )
    _check_ports(config, origins)


def _check_ports(config: Config, origins: Mapping[str, str]) -> None:
    seen: dict[int | None, str] = {}
    for path, port in (
        ("mqtt.port", config.mqtt.port),
        ("mqtt.tls_port", config.mqtt.tls_port),
        ("http.port", config.http.port),
        ("edge.port", config.edge.port),
        ("edge.tls_port", config.edge.tls_port),
        ("mqtt.open_port", config.mqtt.open_port),
    ):
        if port and port in seen:
            raise ConfigError(
                f"port {port} is also `$.{seen[port]}` - at `$.{path}` (from {origins[path]})",
                "give each listener a port of its own, or 0 for a free one",
            )
        seen[port] = path


def is_loopback(host: str) -> bool:
    """Whether a listener on `host` can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
