"""`ringmain up`: the platform in the foreground, until SIGTERM or Ctrl-C."""

import click

from ringmain.apps.cli.settings import configuration, server_flags


@click.command()
@server_flags
def up(**flags: str | None) -> int:
    """Run the platform: MQTT, HTTP, storage and billing in one process."""
    config = configuration(flags)
    from ringmain.apps.server.main import run  # noqa: PLC0415  # only `up` pays for the whole platform

    return run(config)
