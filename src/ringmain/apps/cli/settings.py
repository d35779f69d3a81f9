"""What every command shares: the file and the keys named on the command line, and the configuration they give.

A command calls `loaded()` (or `configuration()`) and hands on its own flags; it never looks at the environment.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click
import msgspec

from ringmain.apps.config_error import ConfigError
from ringmain.model.ids import DEFAULT_TENANT, TenantId

if TYPE_CHECKING:
    from ringmain.apps.config import Config
    from ringmain.apps.config_load import Loaded


class Invocation(msgspec.Struct, frozen=True):
    """The options before the command: `--config FILE`, every `--set KEY=VALUE`, and `--tenant NAME`."""

    file: Path | None = None
    assignments: tuple[str, ...] = ()
    tenant: TenantId = DEFAULT_TENANT


_SERVER_FLAGS = {
    "storage.dir": ("--storage-dir", "Data directory."),
    "mqtt.port": ("--mqtt-port", "Port of plain MQTT; 0 takes a free one."),
    "mqtt.tls_port": ("--mqtt-tls-port", "Port of MQTT over TLS; 0 takes a free one."),
    "mqtt.open_port": ("--open-mqtt", "Port of MQTT without credentials, loopback only: for test suites."),
    "http.port": ("--http-port", "Port of HTTP; 0 takes a free one."),
    "log.level": ("--log-level", "Least level that is written: debug, info, warning, error."),
    "log.format": ("--log-format", "console or json."),
}

Command = TypeVar("Command", bound=Callable[..., object])


def server_flags(function: Command) -> Command:
    """Give a command a flag for each key of `_SERVER_FLAGS`; they arrive as keyword arguments `storage_dir`, ..."""
    for flag, help_ in reversed(_SERVER_FLAGS.values()):
        click.option(flag, help=help_)(function)
    return function


def loaded(arguments: Mapping[str, object] | None = None) -> "Loaded":
    """The configuration of this invocation. `arguments` are those that `server_flags` gave; None means not named."""
    invocation = _invocation()
    flags: dict[str, tuple[str, object]] = {}
    for assignment in invocation.assignments:
        path, equals, value = assignment.partition("=")
        if not equals:
            raise ConfigError(f"--set {assignment} has no `=`", "write --set mqtt.port=1884")
        flags[path.strip()] = (f"--set {path.strip()}", value)
    for path, (flag, _) in _SERVER_FLAGS.items():
        value_named = (arguments or {}).get(flag.removeprefix("--").replace("-", "_"))
        if value_named is not None:
            flags[path] = (flag, value_named)
    from ringmain.apps.config_load import load  # noqa: PLC0415  # reads TOML and time zones: not for `--help`

    return load(file=invocation.file, flags=flags)


def configuration(arguments: Mapping[str, object] | None = None) -> "Config":
    """Only the values of `loaded`."""
    return loaded(arguments).config


def tenant() -> TenantId:
    """Whom this invocation speaks for."""
    return _invocation().tenant


def _invocation() -> Invocation:
    return click.get_current_context().find_object(Invocation) or Invocation()
