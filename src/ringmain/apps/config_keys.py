"""The keys of the configuration as a flat table, read from the structs of `config`.

`mqtt.port` in a flag, `$.mqtt.port` in an error, `RINGMAIN_MQTT__PORT` in the environment and `port` in the
table `[mqtt]` of the file are four spellings of one `Key`.
"""

import typing
from functools import cache

import msgspec

from ringmain.apps.config import Config

PREFIX = "RINGMAIN_"

SWITCHES = {
    "RINGMAIN_CONFIG": "Path of the configuration file, where `--config` does not name one.",
    "RINGMAIN_UNSAFE_TEST": '`1` permits `storage.synchronous = "off"`. For the power-cut test only.',
    "RINGMAIN_RESTARTS": "Set by the platform itself when it starts anew after a broken log: when it did so before.",
    "RINGMAIN_REQUIRE_SERVICES": "`1` makes the test suite fail where a service it needs is missing.",
    "RINGMAIN_PROVE": "`1` runs the campaigns of the test suite at their full figures.",
}
"""Variables with our prefix that are no configuration keys; any other unknown one is refused as a typing error."""


class Key(msgspec.Struct, frozen=True):
    """One key: where it stands, what it may be, and why it is there."""

    path: str
    type: object
    default: object
    doc: str

    @property
    def env(self) -> str:
        """The environment variable: `mqtt.port` is `RINGMAIN_MQTT__PORT`."""
        return PREFIX + self.path.replace(".", "__").upper()


@cache
def keys() -> dict[str, Key]:
    """Every key by its dotted path, in the order of the structs."""
    return {key.path: key for key in _keys_of(Config, "")}


@cache
def sections() -> dict[str, str]:
    """The docstring of each section, by name."""
    return {
        field.name: (field.type.__doc__ or "").strip()
        for field in msgspec.structs.fields(Config)
        if _is_section(field.type)
    }


def _keys_of(struct: type[msgspec.Struct], prefix: str) -> list[Key]:
    hints = typing.get_type_hints(struct, include_extras=True)
    found: list[Key] = []
    for field in msgspec.structs.fields(struct):
        path = prefix + field.name
        if _is_section(field.type):
            found += _keys_of(field.type, path + ".")
        else:
            found.append(Key(path, hints[field.name], field.default, _doc(hints[field.name])))
    return found


def _is_section(type_: object) -> bool:
    return isinstance(type_, type) and issubclass(type_, msgspec.Struct)


def _doc(hint: object) -> str:
    metas = getattr(hint, "__metadata__", ())
    return " ".join(meta.description for meta in metas if meta.description)


def text_of(value: object) -> str:
    """A value as one writes it in the file."""
    if value is None:
        return "(off)"
    if isinstance(value, tuple):
        return "[" + ", ".join(text_of(item) for item in value) + "]"
    return msgspec.json.encode(value).decode()
