"""`docs/configuration.md`: every key with its default, bounds and meaning, from the structs of the configuration."""

import msgspec
from msgspec.inspect import BoolType, IntType, LiteralType, Type, VarTupleType, type_info

from ringmain.apps.config_keys import SWITCHES, Key, keys, sections, text_of

_HEAD = """\
# Configuration

One TOML file, then the environment, then flags; each overrides the one before. The file is the one that `--config`
names, else the one in `$RINGMAIN_CONFIG`, else `ringmain.toml` in the working directory, else none: every key has a
default. `ringmain config show` prints each value with where it came from, `ringmain config check` refuses what is
wrong and starts nothing.

```toml
[mqtt]
port = 1884          # RINGMAIN_MQTT__PORT=1884, or --set mqtt.port=1884 before the command
```

A key that does not exist, or a value that its key does not take, is refused with its path and its origin:

```
ringmain: Expected `int` <= 65535 - at `$.mqtt.port` (from env:RINGMAIN_MQTT__PORT)
```

This page is written by `make docs` from the code.
"""


def configuration_page() -> str:
    """The whole page."""
    parts = [_HEAD]
    for section, doc in sections().items():
        listed = [key for key in keys().values() if key.path.startswith(section + ".")]
        parts.append(f"\n## `[{section}]`\n\n{_unwrapped(doc)}\n\n{_table(listed)}")
    parts.append(f"\n## Top level\n\n{_table([key for key in keys().values() if '.' not in key.path])}")
    rows = "".join(f"| `{name}` | {doc} |\n" for name, doc in SWITCHES.items())
    parts.append(
        "\n## Other variables\n\nAny further variable that begins with `RINGMAIN_` is refused: it is a misspelling"
        f" more often than not.\n\n| variable | meaning |\n|---|---|\n{rows}"
    )
    return "".join(parts)


def _table(listed: list[Key]) -> str:
    head = "| key | default | takes | meaning |\n|---|---|---|---|\n"
    return head + "".join(
        f"| `{key.path}`<br>`{key.env}` | `{text_of(key.default)}` | {_takes(type_info(key.type))} | {key.doc} |\n"
        for key in listed
    )


def _takes(info: Type) -> str:
    if isinstance(info, msgspec.inspect.Metadata):
        return _takes(info.type)
    if isinstance(info, BoolType):
        return "`true` or `false`"
    if isinstance(info, IntType):
        return f"{info.ge:,} to {info.le:,}"
    if isinstance(info, LiteralType):
        return ", ".join(f"`{value}`" for value in info.values)
    if isinstance(info, VarTupleType):
        return "list of text"
    return "text"


def _unwrapped(text: str) -> str:
    return " ".join(text.split())
