"""`ringmain config`: what is configured, and where each value came from."""

import click

from ringmain.apps.cli.output import FORMATS, Format, show
from ringmain.apps.cli.settings import loaded, server_flags
from ringmain.apps.config_keys import keys, text_of
from ringmain.apps.config_load import Loaded


@click.group()
def config() -> None:
    """Show and check the configuration."""


@config.command("show")
@server_flags
@FORMATS
def show_values(output: Format, **flags: str | None) -> None:
    """Print each key, its value, and where it came from."""
    settings = loaded(flags)
    rows = [{"key": path, "value": _value(settings, path), "origin": settings.origins[path]} for path in keys()]
    if output is Format.TABLE:
        rows = [{**row, "value": text_of(row["value"])} for row in rows]
    show(rows, output)


@config.command()
@server_flags
def check(**flags: str | None) -> None:
    """Read everything, refuse what is wrong, start nothing."""
    settings = loaded(flags)
    named = [path for path, origin in settings.origins.items() if origin != "default"]
    click.echo(f"configuration is sound: {len(named)} of {len(settings.origins)} keys set, the others are defaults")
    click.echo(f"file: {settings.file or 'none'}")


def _value(settings: Loaded, path: str) -> object:
    value: object = settings.config
    for name in path.split("."):
        value = getattr(value, name)
    return value
