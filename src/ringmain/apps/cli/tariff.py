"""`ringmain tariff`: tariff files, checked before the platform sees them. `docs/tariffs.md` describes the format."""

from pathlib import Path

import click

from ringmain.apps.cli.client import Client
from ringmain.apps.cli.exits import CommandError, Exit
from ringmain.apps.cli.output import FORMATS, Format, show, show_one
from ringmain.apps.cli.settings import configuration, tenant
from ringmain.metering.tariff_file import read_tariff
from ringmain.metering.tariffs import Tariff

FILE = click.argument("file", type=click.Path(path_type=Path))


@click.group()
def tariff() -> None:
    """Check tariff files and put them on the platform."""


@tariff.command("check")
@FILE
def check(file: Path) -> None:
    """Read a tariff FILE (.toml or .json); an error is named by its line and field. Nothing is sent."""
    found = _read(file)
    click.echo(f"{file}: tariff {found.id} is in order ({len(found.versions)} version(s), {found.currency})")


@tariff.command("put")
@FILE
def put(file: Path) -> None:
    """Put the tariff of a FILE on the running platform, as a new version of it where it differs."""
    found = _read(file)
    with Client(configuration(), tenant()) as client:
        client.put(f"/api/v1/tariffs/{found.id}", found)
    click.echo(f"tariff {found.id} is on the platform")


@tariff.command("ls")
@FORMATS
def list_tariffs(output: Format) -> None:
    """List tariffs by id."""
    with Client(configuration(), tenant()) as client:
        show(client.pages("/api/v1/tariffs", {}, None), output)


@tariff.command("show")
@click.argument("id")
@FORMATS
def show_tariff(id: str, output: Format) -> None:
    """Show the newest version of a tariff."""
    with Client(configuration(), tenant()) as client:
        show_one(client.get(f"/api/v1/tariffs/{id}"), output)


def _read(file: Path) -> Tariff:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise CommandError(Exit.REFUSED, f"{file}: {error.strerror}", "name a tariff file; nothing was sent") from error
    return read_tariff(data, file.name)
