"""Tables of `docs/gateways.md`: every key of a gateway's settings and every figure of its report, from the structs."""

from collections.abc import Callable
from enum import Enum

import msgspec
from msgspec.inspect import EnumType, Field, IntType, LiteralType, Metadata, StructType, Type, VarTupleType, type_info

from ringmain.model.gateway import DropPolicy, GatewayReport, GatewaySettings, SettingsState

_OF_POLICIES = "What a full buffer does; see below."


def _settings() -> str:
    rows = "".join(
        f"| `{field.name}` | `{_shown(field.default)}` | {_takes(field.type)} | {_meaning(field)} |\n"
        for field in _fields(GatewaySettings)
    )
    return f"| key | default | takes | meaning |\n|---|---|---|---|\n{rows}"


def _report() -> str:
    return "".join(f"`{field.name}` " for field in _fields(GatewayReport)).strip() + "\n"


def _unwrapped(kind: type[Enum]) -> str:
    """What an enum's docstring says of its values."""
    return " ".join((kind.__doc__ or "").split()) + "\n"


def _fields(kind: type[msgspec.Struct]) -> tuple[Field, ...]:
    info = type_info(kind)
    assert isinstance(info, StructType)
    return info.fields


def _meaning(field: Field) -> str:
    if isinstance(field.type, Metadata) and field.type.extra_json_schema:
        return str(field.type.extra_json_schema["description"])
    assert isinstance(field.type, EnumType), f"{field.name} of a gateway's settings has no description"
    return _OF_POLICIES


def _shown(default: object) -> str:
    return msgspec.json.encode(default).decode().replace("[]", "[ ]")


def _takes(info: Type) -> str:
    if isinstance(info, Metadata):
        return _takes(info.type)
    if isinstance(info, IntType):
        return f"{info.ge:,} to {info.le:,}"
    if isinstance(info, EnumType):
        return ", ".join(f"`{each.value}`" for each in info.cls)
    if isinstance(info, LiteralType):
        return ", ".join(f"`{each}`" for each in info.values)
    if isinstance(info, VarTupleType):
        return f"at most {info.max_length} of {_takes(info.item_type)}"
    return "text"


TABLES: dict[str, Callable[[], str]] = {
    "gateway-settings": _settings,
    "drop-policies": lambda: _unwrapped(DropPolicy),
    "settings-states": lambda: _unwrapped(SettingsState),
    "gateway-report": _report,
}
