"""`ringmain tls`: the certificates of the running platform's TLS listener."""

import click

from ringmain.apps.cli.client import Client
from ringmain.apps.cli.output import FORMATS, Format, show_one
from ringmain.apps.cli.settings import configuration


@click.group()
def tls() -> None:
    """The certificates of the running platform."""


@tls.command("reload")
@FORMATS
def reload_files(output: Format) -> None:
    """Take certificate, key, CAs and revocation lists anew; files of no use are refused and nothing changes."""
    with Client(configuration()) as client:
        show_one(client.post("/api/v1/platform/tls/reload"), output)
