"""`ringmain gateway`: edge gateways as the platform sees them. All of it talks to the running platform."""

from typing import Any
from urllib.parse import quote

import click
import msgspec

from ringmain.apps.cli.client import Client
from ringmain.apps.cli.exits import CommandError, Exit
from ringmain.apps.cli.output import FORMATS, Format, show, show_one
from ringmain.apps.cli.settings import configuration, tenant
from ringmain.model.gateway import GatewaySettings

_COLUMNS = ("id", "state", "session", "delegated", "settings_version", "roster_version", "report")
_KEYS = {field.name: field for field in msgspec.structs.fields(GatewaySettings)}


@click.group()
def gateway() -> None:
    """See edge gateways, give them devices to speak for, and settings."""


@gateway.command("list")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many.")
@FORMATS
def list_gateways(limit: int | None, output: Format) -> None:
    """List gateways by id, with the summary of what each last said."""
    with Client(configuration(), tenant()) as client:
        show(client.pages("/api/v1/gateways", {}, limit), output, _COLUMNS)


@gateway.command("show")
@click.argument("id")
@FORMATS
def show_gateway(id: str, output: Format) -> None:
    """Show one gateway with its settings, its last report, and the devices that it speaks for."""
    with Client(configuration(), tenant()) as client:
        found = dict(client.get(_path(id)))
        found["settings"] = client.get(_path(id, "settings"))["settings"]
        found["delegations"] = list(client.pages(_path(id, "delegations"), {}, None))
    show_one(found, output)


@gateway.command()
@click.argument("id")
@click.argument("devices", nargs=-1, required=True)
@click.option("--from", "from_", metavar="TIME", help="Event time from which on (RFC 3339); all before it otherwise.")
@click.option("--to", metavar="TIME", help="Event time until which; until further notice otherwise.")
@FORMATS
def delegate(id: str, devices: tuple[str, ...], from_: str | None, to: str | None, output: Format) -> None:
    """Let gateway ID speak for DEVICES, all of them or none."""
    body: dict[str, object] = {"devices": devices}
    body |= {name: at for name, at in (("from", from_), ("to", to)) if at is not None}
    with Client(configuration(), tenant()) as client:
        show_one(client.put(_path(id, "delegations"), body), output)


@gateway.command()
@click.argument("id")
@click.argument("devices", nargs=-1, required=True)
@click.option("--at", metavar="TIME", help="Event time of the end (RFC 3339); now otherwise.")
@FORMATS
def undelegate(id: str, devices: tuple[str, ...], at: str | None, output: Format) -> None:
    """End what gateway ID has of DEVICES; what was stamped before the end is still taken."""
    left: list[Any] = []
    try:
        with Client(configuration(), tenant()) as client:
            for device in devices:
                left += client.delete(_path(id, f"delegations/{quote(device, safe='')}"), {"at": at})["items"]
    finally:
        # Also where one was refused: those before it have ended, and that must be seen.
        if left:
            show(left, output, ("device", "state", "from", "to"))


@gateway.command()
@click.argument("id")
@click.argument("assignments", metavar="[KEY=VALUE]...", nargs=-1)
@FORMATS
def settings(id: str, assignments: tuple[str, ...], output: Format) -> None:
    """Show the settings of gateway ID, or change single keys: keep_alive_s=30 windows=15m,1h."""
    changes = dict(_change(assignment) for assignment in assignments)
    with Client(configuration(), tenant()) as client:
        found = client.get(_path(id, "settings"))
        if changes:
            found = client.put(_path(id, "settings"), {**found["settings"], **changes})
    show_one({"version": found["version"], **found["settings"]}, output)


def _change(assignment: str) -> tuple[str, object]:
    """A key and its new value; whether it fits is for the platform to say."""
    name, equals, text = assignment.partition("=")
    if not equals or name not in _KEYS:
        raise CommandError(
            Exit.USAGE,
            f"{assignment[:80]!r} is no KEY=VALUE of a gateway's settings; nothing was changed",
            f"keys are {', '.join(_KEYS)}",
        )
    default = _KEYS[name].default
    if isinstance(default, tuple):
        return name, [each for each in text.split(",") if each]
    if isinstance(default, str):
        return name, text
    try:
        return name, int(text)
    except ValueError as error:
        raise CommandError(
            Exit.USAGE, f"{name} is a whole number, got {text[:80]!r}; nothing was changed", "write it without a unit"
        ) from error


def _path(id: str, below: str = "") -> str:
    return f"/api/v1/gateways/{quote(id, safe='')}" + (f"/{below}" if below else "")
