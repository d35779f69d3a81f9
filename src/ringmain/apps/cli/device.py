"""`ringmain device`: devices through their whole lifecycle.

All of it talks to the running platform. Import and add also work while none runs: they then take the directory's
lock and use the same lifecycle service themselves.
"""

import asyncio
import csv
import io
from typing import BinaryIO

import click
import msgspec

from ringmain.apps.cli.client import Client, NotRunning, device_path
from ringmain.apps.cli.exits import CommandError, Exit
from ringmain.apps.cli.output import FORMATS, Format, show, show_one
from ringmain.apps.cli.settings import configuration, tenant
from ringmain.model.device import LifecycleState

_COLUMNS = ("id", "profile", "state", "site", "state_since")
_TOKENS = click.option(
    "-o", "--output", type=click.Choice(Format, case_sensitive=False), default=Format.CSV, help="Form of the tokens."
)


@click.group()
def device() -> None:
    """Import, add, list and move devices through their lifecycle."""


@device.command("import")
@click.argument("file", type=click.File("rb"))
@_TOKENS
def import_file(file: BinaryIO, output: Format) -> None:
    """Make active devices of a FILE with the columns id,profile[,token]; `-` reads standard input.

    All of them are made or none. Tokens that were made because the file gave none are printed as id,token: they are
    told once and kept nowhere.
    """
    try:
        text = file.read().decode("utf-8")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise CommandError(
            Exit.REFUSED, f"{file.name}, line {line}: not UTF-8; nothing was imported", "save the file as UTF-8 (CSV)"
        ) from error
    _make(text, output)


@device.command("add")
@click.argument("id")
@click.option("--profile", default="generic", show_default=True, help="What it measures.")
@click.option("--token", help="Its token, where it has one already; made otherwise.")
@_TOKENS
def add(id: str, profile: str, token: str | None, output: Format) -> None:
    """Make one active device and print its token."""
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerows([("id", "profile", "token"), (id, profile, token or "")])
    _make(line.getvalue(), output)


@device.command("ls")
@click.option("--state", type=click.Choice(LifecycleState, case_sensitive=False), help="Only those in this state.")
@click.option("--limit", type=click.IntRange(min=1), help="Only the first so many.")
@FORMATS
def list_devices(state: LifecycleState | None, limit: int | None, output: Format) -> None:
    """List devices by id."""
    query = {"state": state.value if state else None}
    with Client(configuration(), tenant()) as client:
        show(client.pages("/api/v1/devices", query, limit), output, _COLUMNS)


@device.command("show")
@click.argument("id")
@FORMATS
def show_device(id: str, output: Format) -> None:
    """Show one device, its session and its latest readings."""
    with Client(configuration(), tenant()) as client:
        found = dict(client.get(device_path(id)))
        found["session"] = client.get(device_path(id, "session"))
        found["latest"] = client.get(device_path(id, "latest"))["items"]
    show_one(found, output)


@device.command()
@click.argument("id")
@FORMATS
def provision(id: str, output: Format) -> None:
    """Give a registered device its token; printed once and kept nowhere."""
    _show_token(id, "provision", output)


@device.command()
@click.argument("id")
@FORMATS
def token(id: str, output: Format) -> None:
    """Replace a device's token; the new one is printed once, the old one ends now."""
    _show_token(id, "token", output)


@device.command()
@click.argument("id")
@click.option("--profile", help="Register the device first, with this profile.")
@click.option("--ttl-s", type=click.IntRange(min=1), help="How long the claim is valid; 7 days otherwise.")
@click.option("--no-activate", is_flag=True, help="Leave it provisioned: its readings wait in quarantine.")
@FORMATS
def claim(id: str, profile: str | None, ttl_s: int | None, no_activate: bool, output: Format) -> None:
    """Make a one-time claim for a registered device; it fetches its own credentials with it.

    The claim is printed once. A new one replaces one that was not used.
    """
    wanted: dict[str, object] = {"activate": not no_activate}
    if ttl_s is not None:
        wanted["ttl_s"] = ttl_s
    with Client(configuration(), tenant()) as client:
        if profile is not None:
            client.post("/api/v1/devices", {"id": id, "profile": profile})
        made = client.post(device_path(id, "claims"), wanted)
    show_one({"id": id, **made}, output)


@device.command()
@click.argument("ids", nargs=-1, required=True)
@FORMATS
def activate(ids: tuple[str, ...], output: Format) -> None:
    """Let provisioned or suspended devices send and be billed."""
    _move(ids, "activate", output)


@device.command()
@click.argument("ids", nargs=-1, required=True)
@FORMATS
def suspend(ids: tuple[str, ...], output: Format) -> None:
    """Refuse devices until they are activated again; live connections are cut."""
    _move(ids, "suspend", output)


@device.command()
@click.argument("ids", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
@FORMATS
def decommission(ids: tuple[str, ...], yes: bool, output: Format) -> None:
    """End devices for good: tokens are revoked and ids never given again."""
    if not yes:
        click.confirm(f"Decommission {', '.join(ids)}? There is no way back", abort=True, err=True)
    _move(ids, "decommission", output)


def _show_token(id: str, verb: str, output: Format) -> None:
    with Client(configuration(), tenant()) as client:
        answer = client.post(device_path(id, verb))
    show_one({**answer["device"], "token": answer["token"]}, output)


def _move(ids: tuple[str, ...], verb: str, output: Format) -> None:
    moved = []
    try:
        with Client(configuration(), tenant()) as client:
            for id in ids:
                moved.append(client.post(device_path(id, verb)))  # noqa: PERF401  # what came before a refusal stays
    finally:
        # Also where one was refused: those before it have moved, and that must be seen.
        if moved:
            show(moved, output, _COLUMNS)


def _make(text: str, output: Format) -> None:
    config = configuration()
    try:
        with Client(config, tenant()) as client:
            result = client.post_csv("/api/v1/devices/import", text)
    except NotRunning:
        from ringmain.apps.cli.offline import import_offline  # noqa: PLC0415  # opens the registry: only now

        result = msgspec.to_builtins(asyncio.run(import_offline(config, tenant(), text)))
    for profile in result["profiles_created"]:
        click.echo(f"made the profile {profile}, which was not there; it takes any channel", err=True)
    created, unchanged = result["created"], result["unchanged"]
    click.echo(f"devices made: {created}; there already, unchanged: {unchanged}", err=True)
    if result["tokens"]:
        show(result["tokens"], output, ("id", "token"))
